//! Stores to the stack that nobody reads.
//!
//! - `store s, …` goes, if on every way each of its bytes is overwritten before a read, or the slot is not read again.
//!
//! A slot counts as read by every instruction that gets an address made from it and does not write known bytes: loads,
//! helpers, stores of the address itself. Bytes are followed inside a block; at its end, what a later block may access
//! counts as read.

use super::slots::{Access, Slots};
use crate::ir::{Block, Func, SlotId, reverse_postorder};
use std::collections::BTreeMap;

/// Removes dead stores.
pub fn run(func: &mut Func) -> bool {
    let order = reverse_postorder(func);
    let slots = Slots::new(func, &order);
    let mut changed = false;
    for &block in &order {
        changed |= clean(func, block, &slots);
    }
    changed
}

/// For each slot, which bytes are written before they are read from here on.
type Dead = BTreeMap<SlotId, Vec<bool>>;

fn clean(func: &mut Func, block: Block, slots: &Slots) -> bool {
    let mut dead: Dead = Dead::new();
    for (at, slot) in func.slots.iter().enumerate() {
        let id = SlotId(at as u32);
        dead.insert(id, vec![!slots.read_behind(block, id); slot.size as usize]);
    }
    slots.terminator(func, block).iter().for_each(|slot| read(&mut dead, *slot));
    let before = func.block(block).insts.len();
    let mut kept = Vec::new();
    for inst in std::mem::take(&mut func.blocks[block.index()].insts).into_iter().rev() {
        if let Access::Write(slot, range, removable) = slots.access(func, inst) {
            let bytes = &mut dead.entry(slot).or_default()[range];
            if removable && bytes.iter().all(|dead| *dead) {
                continue;
            }
            bytes.fill(true);
            // What else the instruction reads (a helper's other arguments) comes before it writes.
            slots.also_read(func, inst, slot).iter().for_each(|slot| read(&mut dead, *slot));
        } else {
            slots.accessed(func, inst).iter().for_each(|slot| read(&mut dead, *slot));
        }
        kept.push(inst);
    }
    kept.reverse();
    let changed = kept.len() < before;
    func.blocks[block.index()].insts = kept;
    changed
}

fn read(dead: &mut Dead, slot: SlotId) {
    dead.entry(slot).or_default().fill(false);
}
