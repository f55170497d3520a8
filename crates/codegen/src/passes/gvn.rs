//! What has been computed is not computed again.
//!
//! - `v = op a, b` is `u = op a, b` where `u`'s block dominates `v`'s (global value numbering, scoped by dominators).
//! - Loads of the context and of `.rodata` count: nobody writes there. So do helpers whose answer is stable within one
//!   run: the ids of the task, the task, the CPU, the cgroup.
//!
//! Not done: loads of memory that the program writes, and `ktime_get_ns`, whose answers differ.

use super::cfg::{Renames, is_pure, map_operands};
use crate::ir::{BinOp, Block, Cfg, Func, Op, Value, reverse_postorder};
use std::collections::BTreeMap;

/// An operation and its operands as numbers.
type Key = (u8, u64, Vec<u64>);

/// Names later computations after earlier ones.
pub fn run(func: &mut Func) -> bool {
    let order = reverse_postorder(func);
    let dominators = Cfg::new(func);
    let mut known: BTreeMap<Key, Vec<(Block, Value)>> = BTreeMap::new();
    let mut renames = Renames::new(func);
    for &block in &order {
        for inst in func.block(block).insts.clone() {
            let mut op = func.inst(inst).op;
            map_operands(&mut op, &mut |value| renames.get(value));
            let Some(result) = func.inst(inst).result.filter(|_| is_pure(func, &op)) else { continue };
            let same = known.entry(key(&op)).or_default();
            match same.iter().find(|(at, _)| dominators.dominates(*at, block)) {
                Some(&(_, value)) => renames.set(result, value),
                None => same.push((block, result)),
            }
        }
    }
    renames.apply(func)
}

fn key(op: &Op) -> Key {
    let id = |value: &Value| u64::from(value.0);
    match op {
        Op::Const(number) => (0, *number as u64, Vec::new()),
        Op::Bin(op, a, b) => {
            let (a, b) = if is_commutative(*op) && b < a { (b, a) } else { (a, b) };
            (1, *op as u64, vec![id(a), id(b)])
        }
        Op::Extend { bits, signed, value } => (2, u64::from(*bits) << 1 | u64::from(*signed), vec![id(value)]),
        Op::Load { access, base, offset } => (3, u64::from(access.bytes()), vec![id(base), *offset as u64]),
        Op::SlotAddr(slot) => (4, u64::from(slot.0), Vec::new()),
        Op::MapAddr(map) => (5, u64::from(map.0), Vec::new()),
        Op::GlobalAddr(global) => (6, u64::from(global.0), Vec::new()),
        Op::Core(core) => (7, u64::from(core.0), Vec::new()),
        Op::Call { helper, args } => (8, u64::from(helper.id()), args.iter().map(id).collect()),
        // Never asked for: they are not pure.
        Op::Store { .. } | Op::AtomicAdd { .. } | Op::Scan(_) => (9, 0, Vec::new()),
    }
}

fn is_commutative(op: BinOp) -> bool {
    matches!(op, BinOp::Add | BinOp::Mul | BinOp::And | BinOp::Or | BinOp::Xor)
}
