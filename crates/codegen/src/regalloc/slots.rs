//! Which stack slots may share their bytes.
//!
//! A slot is in use at a point if some access of it may come before and some may come after. Its address may have been
//! given to a helper, which keeps no address beyond the call, and may go through additions and block parameters: whoever
//! holds an address made from it may access it.

use crate::ir::{Block, Cfg, Func, SlotId};
use crate::passes::slot_set::SlotSet;
use crate::passes::slots::Slots;

/// Which slots are in use at once, and which at all.
#[derive(Clone, Debug, Default)]
pub(super) struct Conflicts {
    /// For each slot, those that share no byte with it; itself among them.
    with: Vec<SlotSet>,
    /// Slots that need bytes.
    pub(super) used: SlotSet,
}

impl Conflicts {
    /// Whether the two may not share bytes.
    pub(super) fn meet(&self, a: SlotId, b: SlotId) -> bool {
        a != b && self.with[a.index()].contains(b)
    }

    /// All of these are in use at once.
    fn add(&mut self, live: SlotSet) {
        for slot in live.iter() {
            self.with[slot.index()].grow(live);
        }
    }
}

/// The conflicts of a function's slots.
pub(super) fn conflicts(func: &Func) -> Conflicts {
    let cfg = Cfg::new(func);
    let slots = Slots::new(func, &cfg);
    let accesses: Vec<SlotSet> = func.block_ids().map(|block| accessed(func, block, &slots)).collect();
    let before = forward(func, &cfg, &accesses);
    let after = backward(func, &cfg, &accesses);
    let mut conflicts = Conflicts { with: vec![SlotSet::default(); func.slots.len()], used: SlotSet::default() };
    for &block in cfg.order() {
        mark(func, &slots, block, before[block.index()], after[block.index()], &mut conflicts);
    }
    for slot in slots.escaped().iter() {
        conflicts.used.grow(SlotSet::of(slot));
        for other in conflicts.used.iter() {
            conflicts.add(SlotSet::of(slot).with(SlotSet::of(other)));
        }
    }
    conflicts
}

/// The slots that a block may access.
fn accessed(func: &Func, block: Block, slots: &Slots) -> SlotSet {
    let insts = func.block(block).insts.iter().map(|&inst| slots.accessed(func, inst));
    insts.fold(slots.terminator(func, block), SlotSet::with)
}

/// For each block, the slots that may have been accessed before it.
fn forward(func: &Func, cfg: &Cfg, accesses: &[SlotSet]) -> Vec<SlotSet> {
    let mut before = vec![SlotSet::default(); func.blocks.len()];
    let mut changed = true;
    while changed {
        changed = false;
        for &block in cfg.order() {
            let out = accesses[block.index()].with(before[block.index()]);
            for (target, _) in func.block(block).terminator.targets() {
                changed |= before[target.index()].grow(out);
            }
        }
    }
    before
}

/// For each block, the slots that may be accessed behind it.
fn backward(func: &Func, cfg: &Cfg, accesses: &[SlotSet]) -> Vec<SlotSet> {
    let mut after = vec![SlotSet::default(); func.blocks.len()];
    let mut changed = true;
    while changed {
        changed = false;
        for &block in cfg.order().iter().rev() {
            for (target, _) in func.block(block).terminator.targets() {
                let there = accesses[target.index()].with(after[target.index()]);
                changed |= after[block.index()].grow(there);
            }
        }
    }
    after
}

/// Walks a block and notes what is in use together: accessed up to some place, and there or behind it.
fn mark(func: &Func, slots: &Slots, block: Block, before: SlotSet, after: SlotSet, conflicts: &mut Conflicts) {
    let insts = func.block(block).insts.iter().map(|&inst| slots.accessed(func, inst));
    let accesses: Vec<SlotSet> = insts.chain([slots.terminator(func, block)]).collect();
    let mut later = accesses.clone();
    later.iter_mut().rev().fold(after, |behind, here| {
        here.grow(behind);
        *here
    });
    let mut before = before;
    for (accessed, later) in accesses.into_iter().zip(later) {
        before.grow(accessed);
        conflicts.used.grow(accessed);
        conflicts.add(before.shared(later));
    }
}
