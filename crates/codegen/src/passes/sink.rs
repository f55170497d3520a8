//! What only one way needs is computed on that way.
//!
//! - `v = op …` in `a`, with all uses in blocks that one block `b` behind `a` dominates, moves to the first use in `b`
//!   or to its end.
//! - `a: v = op …; br c, t(v), u` with no other use of `v` is `a: br c, e, u; e: v = op …; jump t(v)`.
//!
//! Condition: `op` is pure: it gives the same answer there. It moves the least number of instructions if each is tried
//! before its operands. Not looked at: how long the operands live then; they lived up to here for other users mostly.

use super::cfg;
use super::shape::Shape;
use crate::ir::{Block, BlockData, Cfg, Func, Inst, Op, Terminator, Value};

/// Moves computations down.
pub fn run(func: &mut Func, shape: &mut Shape) -> bool {
    let mut changed = false;
    let cfg = shape.cfg(func);
    // Opening an edge passes the same values in another place.
    let uses = cfg::use_counts(func, cfg);
    for &block in cfg.order() {
        changed |= (0..2).any(|side| open_edge(func, block, side, &uses));
    }
    if changed {
        shape.changed();
    }
    sink(func, shape.cfg(func)) || changed
}

/// Makes a block on an edge that passes a value which nobody else needs; the value then sinks there.
fn open_edge(func: &mut Func, block: Block, side: usize, uses: &[u32]) -> bool {
    let terminator = &func.block(block).terminator;
    if !matches!(terminator, Terminator::Branch { .. }) {
        return false;
    }
    let Some((target, args)) = terminator.targets().nth(side) else { return false };
    let args = args.to_vec();
    let insts = func.block(block).insts.iter().map(|&inst| func.inst(inst));
    let computed = insts.filter(|data| {
        matches!(data.op, Op::Bin(..) | Op::Extend { .. } | Op::Load { .. }) && cfg::is_pure(func, &data.op)
    });
    let mut passed = computed.filter_map(|data| data.result.filter(|value| args.contains(value)));
    if !passed.any(|value| uses[value.index()] == 1) {
        return false;
    }
    let edge = Block(func.blocks.len() as u32);
    let (span, cold) = (func.block(block).span, func.block(target).cold);
    let terminator = Terminator::Jump(target, args);
    func.blocks.push(BlockData { params: Vec::new(), insts: Vec::new(), terminator, span, cold });
    if let Some((target, args)) = func.blocks[block.index()].terminator.targets_mut().nth(side) {
        *target = edge;
        args.clear();
    }
    true
}

fn sink(func: &mut Func, cfg: &Cfg) -> bool {
    let mut lowest = lowest(func, cfg);
    let mut moved = false;
    for &block in cfg.order().iter().rev() {
        for inst in func.block(block).insts.clone().into_iter().rev() {
            let data = func.inst(inst);
            let target = data.result.and_then(|result| lowest[result.index()]);
            let target = target.filter(|&target| target != block && cfg::is_pure(func, &data.op)).unwrap_or(block);
            if target != block {
                place(func, block, target, inst);
                moved = true;
            }
            let op = func.inst(inst).op;
            cfg::operands(&op, &mut |value| note(&mut lowest, cfg, value, target));
        }
    }
    moved
}

/// For each value, the block that dominates all its uses in terminators and stands lowest.
fn lowest(func: &Func, cfg: &Cfg) -> Vec<Option<Block>> {
    let mut lowest = vec![None; func.values.len()];
    // From below: each further use then only goes on from where the last one ended.
    for &block in cfg.order().iter().rev() {
        cfg::terminator_operands(&func.block(block).terminator, &mut |value| {
            note(&mut lowest, cfg, value, block);
        });
    }
    lowest
}

fn note(lowest: &mut [Option<Block>], dominators: &Cfg, value: Value, block: Block) {
    let at = &mut lowest[value.index()];
    *at = Some(match *at {
        // Often so, and a short way to say it: uses in all arms of a long chain would walk up to its start each.
        Some(other) if dominators.dominates(other, block) => other,
        Some(other) => dominators.common(other, block),
        None => block,
    });
}

fn place(func: &mut Func, from: Block, to: Block, inst: Inst) {
    func.blocks[from.index()].insts.retain(|other| *other != inst);
    let result = func.inst(inst).result;
    let uses = |op: &Op| {
        let mut used = false;
        cfg::operands(op, &mut |value| used |= Some(value) == result);
        used
    };
    let insts = &func.block(to).insts;
    let at = insts.iter().position(|other| uses(&func.inst(*other).op)).unwrap_or(insts.len());
    func.blocks[to.index()].insts.insert(at, inst);
}
