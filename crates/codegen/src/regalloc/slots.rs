//! Which stack slots may share their bytes.
//!
//! A slot is in use at a point if some access of it may come before and some may come after. Its address may have been
//! given to a helper, which keeps no address beyond the call, and may go through additions and block parameters: whoever
//! holds an address made from it may access it.

use crate::ir::{Block, Func, Op, SlotId, Value};
use crate::passes::cfg;
use std::collections::BTreeSet;

/// Pairs of slots that are in use at once, both ways around, and the slots in use at all.
#[derive(Clone, Debug, Default)]
pub(super) struct Conflicts {
    /// Slots that share no byte.
    pub(super) pairs: BTreeSet<(SlotId, SlotId)>,
    /// Slots that need bytes.
    pub(super) used: BTreeSet<SlotId>,
}

type Slots = BTreeSet<SlotId>;

/// The conflicts of a function's slots.
pub(super) fn conflicts(func: &Func) -> Conflicts {
    let order = cfg::reverse_postorder(func);
    let holders = holders(func, &order);
    let accesses: Vec<Vec<Slots>> = func.block_ids().map(|block| accesses(func, block, &holders)).collect();
    let before = forward(func, &order, &accesses);
    let after = backward(func, &order, &accesses);
    let mut conflicts = Conflicts::default();
    for &block in &order {
        mark(&accesses[block.index()], &before[block.index()], &after[block.index()], &mut conflicts);
    }
    conflicts
}

/// For each value, the slots whose address it may be made from.
fn holders(func: &Func, order: &[Block]) -> Vec<Slots> {
    let mut holders: Vec<Slots> = vec![Slots::new(); func.values.len()];
    let mut changed = true;
    while changed {
        changed = false;
        for &block in order {
            for &inst in &func.block(block).insts {
                let data = func.inst(inst);
                let Some(result) = data.result else { continue };
                let made = match &data.op {
                    Op::SlotAddr(slot) => Slots::from([*slot]),
                    Op::Bin(_, a, b) => holders[a.index()].union(&holders[b.index()]).copied().collect(),
                    _ => continue,
                };
                changed |= grow(&mut holders[result.index()], made);
            }
            let terminator = &func.block(block).terminator;
            for (side, (target, args)) in terminator.targets().into_iter().enumerate() {
                let params = &func.block(target).params[cfg::implicit_params(terminator, side)..];
                for (param, arg) in params.iter().zip(args) {
                    let made = holders[arg.index()].clone();
                    changed |= grow(&mut holders[param.index()], made);
                }
            }
        }
    }
    holders
}

fn grow(slots: &mut Slots, more: Slots) -> bool {
    let before = slots.len();
    slots.extend(more);
    slots.len() > before
}

/// For each instruction of a block, and its terminator, the slots that it may access.
fn accesses(func: &Func, block: Block, holders: &[Slots]) -> Vec<Slots> {
    let data = func.block(block);
    let mut all = Vec::new();
    for &inst in &data.insts {
        let mut slots = Slots::new();
        let op = &func.inst(inst).op;
        // Making an address is no access.
        if !matches!(op, Op::SlotAddr(_) | Op::Bin(..)) {
            cfg::operands(op, &mut |value: Value| slots.extend(&holders[value.index()]));
        }
        all.push(slots);
    }
    let mut slots = Slots::new();
    cfg::terminator_operands(&data.terminator, &mut |value| slots.extend(&holders[value.index()]));
    all.push(slots);
    all
}

/// For each block, the slots that may have been accessed before it.
fn forward(func: &Func, order: &[Block], accesses: &[Vec<Slots>]) -> Vec<Slots> {
    let mut before = vec![Slots::new(); func.blocks.len()];
    let mut changed = true;
    while changed {
        changed = false;
        for &block in order {
            let out: Slots = accesses[block.index()].iter().flatten().chain(&before[block.index()]).copied().collect();
            for (target, _) in func.block(block).terminator.targets() {
                changed |= grow(&mut before[target.index()], out.clone());
            }
        }
    }
    before
}

/// For each block, the slots that may be accessed behind it.
fn backward(func: &Func, order: &[Block], accesses: &[Vec<Slots>]) -> Vec<Slots> {
    let mut after = vec![Slots::new(); func.blocks.len()];
    let mut changed = true;
    while changed {
        changed = false;
        for &block in order.iter().rev() {
            for (target, _) in func.block(block).terminator.targets() {
                let at = target.index();
                let there: Slots = accesses[at].iter().flatten().chain(&after[at]).copied().collect();
                changed |= grow(&mut after[block.index()], there);
            }
        }
    }
    after
}

/// Walks a block and notes what is in use together.
fn mark(accesses: &[Slots], before: &Slots, after: &Slots, conflicts: &mut Conflicts) {
    let mut later: Vec<Slots> = vec![after.clone()];
    for slots in accesses.iter().rev() {
        let next: Slots = slots.union(&later[later.len() - 1]).copied().collect();
        later.push(next);
    }
    later.reverse();
    let mut before = before.clone();
    for (slots, later) in accesses.iter().zip(&later) {
        before.extend(slots);
        let live: Vec<SlotId> = before.intersection(later).copied().collect();
        conflicts.used.extend(slots);
        for &a in &live {
            conflicts.pairs.extend(live.iter().filter(|&&b| b != a).map(|&b| (a, b)));
        }
    }
}
