//! Stores to the stack that nobody reads.
//!
//! - `store s, …` goes, if on every way each of its bytes is overwritten before a read, or the slot is not read again.
//!
//! A slot counts as read by every instruction that gets an address made from it and does not write known bytes: loads,
//! helpers, stores of the address itself. Bytes are followed inside a block; at its end, what a later block may access
//! counts as read.

use super::shape::Shape;
use super::slot_set::SlotSet;
use super::slots::{Access, Slots};
use crate::ir::{Block, Func, SlotId};
use std::ops::Range;

/// Removes dead stores.
pub fn run(func: &mut Func, shape: &mut Shape) -> bool {
    let cfg = shape.cfg(func);
    let slots = Slots::new(func, cfg);
    let mut dead = Dead::new(func);
    let mut changed = false;
    for &block in cfg.order() {
        changed |= clean(func, block, &slots, &mut dead);
    }
    changed
}

/// For each byte of each slot, whether it is written before it is read from here on.
struct Dead {
    bytes: Vec<bool>,
    /// Where each slot begins.
    starts: Vec<usize>,
}

impl Dead {
    fn new(func: &Func) -> Dead {
        let mut starts = vec![0];
        starts.extend(func.slots.iter().scan(0, |end, slot| {
            *end += slot.size as usize;
            Some(*end)
        }));
        Dead { bytes: vec![false; starts[func.slots.len()]], starts }
    }

    fn slot(&mut self, slot: SlotId) -> &mut [bool] {
        &mut self.bytes[self.starts[slot.index()]..self.starts[slot.index() + 1]]
    }

    fn read(&mut self, slots: SlotSet) {
        slots.iter().for_each(|slot| self.slot(slot).fill(false));
    }

    /// Writes bytes of a slot; says whether nobody reads them.
    fn write(&mut self, slot: SlotId, range: Range<usize>) -> bool {
        let bytes = &mut self.slot(slot)[range];
        let unread = bytes.iter().all(|dead| *dead);
        bytes.fill(true);
        unread
    }
}

fn clean(func: &mut Func, block: Block, slots: &Slots, dead: &mut Dead) -> bool {
    for slot in (0..func.slots.len() as u32).map(SlotId) {
        dead.slot(slot).fill(!slots.read_behind(block, slot));
    }
    dead.read(slots.terminator(func, block));
    let mut insts = std::mem::take(&mut func.blocks[block.index()].insts);
    let before = insts.len();
    insts.reverse();
    insts.retain(|&inst| {
        if let Access::Write(slot, range, removable) = slots.access(func, inst) {
            if dead.write(slot, range) && removable {
                return false;
            }
            // What else the instruction reads (a helper's other arguments) comes before it writes.
            dead.read(slots.also_read(func, inst, slot));
        } else {
            dead.read(slots.accessed(func, inst));
        }
        true
    });
    insts.reverse();
    let changed = insts.len() < before;
    func.blocks[block.index()].insts = insts;
    changed
}
