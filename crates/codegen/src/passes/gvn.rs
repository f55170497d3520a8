//! What has been computed is not computed again.
//!
//! - `v = op a, b` is `u = op a, b` where `u`'s block dominates `v`'s (global value numbering, scoped by dominators).
//! - Loads of the context and of `.rodata` count: nobody writes there. So do helpers whose answer is stable within one
//!   run: the ids of the task, the task, the CPU, the cgroup.
//!
//! Not done: loads of memory that the program writes, and `ktime_get_ns`, whose answers differ.

use super::cfg::{Renames, is_pure, map_operands};
use super::shape::Shape;
use crate::hash::Mixed;
use crate::ir::{BinOp, Block, Func, Op, Value};
use std::collections::HashMap;

/// Names later computations after earlier ones.
pub fn run(func: &mut Func, shape: &mut Shape) -> bool {
    let cfg = shape.cfg(func);
    let mut known = Known::default();
    let mut renames = Renames::new(func);
    for &block in cfg.order() {
        for &inst in &func.block(block).insts {
            let mut op = func.inst(inst).op;
            map_operands(&mut op, &mut |value| renames.get(value));
            let Some(result) = func.inst(inst).result.filter(|_| is_pure(func, &op)) else { continue };
            if let Some(value) = known.same(ordered(op), block, result, |at| cfg.dominates(at, block)) {
                renames.set(result, value);
            }
        }
    }
    renames.apply(func)
}

/// Computations by what they compute; those of equal ones that are not behind one another, one behind the other.
#[derive(Default)]
struct Known {
    /// The last of each kind.
    last: HashMap<Op, usize, Mixed>,
    all: Vec<(Block, Value, Option<usize>)>,
}

impl Known {
    /// The value of the same computation in a block that `is_before` this one; else this one is one more of its kind.
    fn same(&mut self, op: Op, block: Block, value: Value, is_before: impl Fn(Block) -> bool) -> Option<Value> {
        let last = self.last.get(&op).copied();
        let mut next = last;
        while let Some((at, value, before)) = next.map(|place| self.all[place]) {
            if is_before(at) {
                return Some(value);
            }
            next = before;
        }
        self.last.insert(op, self.all.len());
        self.all.push((block, value, last));
        None
    }
}

/// The operation with exchangeable operands in order.
fn ordered(op: Op) -> Op {
    match op {
        Op::Bin(op, a, b) if is_commutative(op) && b < a => Op::Bin(op, b, a),
        op => op,
    }
}

fn is_commutative(op: BinOp) -> bool {
    matches!(op, BinOp::Add | BinOp::Mul | BinOp::And | BinOp::Or | BinOp::Xor)
}
