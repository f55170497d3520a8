//! Which stack slots may share their bytes.
//!
//! A slot is in use at a point if some access of it may come before and some may come after. Its address may have been
//! given to a helper, which keeps no address beyond the call, and may go through additions and block parameters: whoever
//! holds an address made from it may access it.

use crate::ir::{Block, Func, SlotId, reverse_postorder};
use crate::passes::slots::{Set, Slots, grow};
use std::collections::BTreeSet;

/// Pairs of slots that are in use at once, both ways around, and the slots in use at all.
#[derive(Clone, Debug, Default)]
pub(super) struct Conflicts {
    /// Slots that share no byte.
    pub(super) pairs: BTreeSet<(SlotId, SlotId)>,
    /// Slots that need bytes.
    pub(super) used: Set,
}

/// The conflicts of a function's slots.
pub(super) fn conflicts(func: &Func) -> Conflicts {
    let order = reverse_postorder(func);
    let slots = Slots::new(func, &order);
    let accesses: Vec<Vec<Set>> = func.block_ids().map(|block| accesses(func, block, &slots)).collect();
    let before = forward(func, &order, &accesses);
    let after = backward(func, &order, &accesses);
    let mut conflicts = Conflicts::default();
    for &block in &order {
        mark(&accesses[block.index()], &before[block.index()], &after[block.index()], &mut conflicts);
    }
    for &slot in slots.escaped() {
        conflicts.used.insert(slot);
        let all = conflicts.used.iter().copied().filter(|other| *other != slot);
        conflicts.pairs.extend(all.flat_map(|other| [(slot, other), (other, slot)]));
    }
    conflicts
}

/// For each instruction of a block, and its terminator, the slots that it may access.
fn accesses(func: &Func, block: Block, slots: &Slots) -> Vec<Set> {
    let insts = func.block(block).insts.iter().map(|&inst| slots.accessed(func, inst));
    insts.chain([slots.terminator(func, block)]).collect()
}

/// For each block, the slots that may have been accessed before it.
fn forward(func: &Func, order: &[Block], accesses: &[Vec<Set>]) -> Vec<Set> {
    let mut before = vec![Set::new(); func.blocks.len()];
    let mut changed = true;
    while changed {
        changed = false;
        for &block in order {
            let out: Set = accesses[block.index()].iter().flatten().chain(&before[block.index()]).copied().collect();
            for (target, _) in func.block(block).terminator.targets() {
                changed |= grow(&mut before[target.index()], out.clone());
            }
        }
    }
    before
}

/// For each block, the slots that may be accessed behind it.
fn backward(func: &Func, order: &[Block], accesses: &[Vec<Set>]) -> Vec<Set> {
    let mut after = vec![Set::new(); func.blocks.len()];
    let mut changed = true;
    while changed {
        changed = false;
        for &block in order.iter().rev() {
            for (target, _) in func.block(block).terminator.targets() {
                let at = target.index();
                let there: Set = accesses[at].iter().flatten().chain(&after[at]).copied().collect();
                changed |= grow(&mut after[block.index()], there);
            }
        }
    }
    after
}

/// Walks a block and notes what is in use together.
fn mark(accesses: &[Set], before: &Set, after: &Set, conflicts: &mut Conflicts) {
    let mut later: Vec<Set> = vec![after.clone()];
    for slots in accesses.iter().rev() {
        let next: Set = slots.union(&later[later.len() - 1]).copied().collect();
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
