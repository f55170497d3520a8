//! Where slots and spilled values lie below `r10`.

use super::Allocated;
use super::slots::{Conflicts, conflicts};
use crate::ir::{Func, SlotId};
use bpfquery_diag::{Result, Unsupported};
use std::collections::BTreeMap;

/// Offsets from `r10`, all negative multiples of 8.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Frame {
    slots: BTreeMap<SlotId, i16>,
    spills: i16,
    /// Bytes in use.
    pub bytes: u32,
}

/// The stack that a program may use (include/linux/filter.h, MAX_BPF_STACK, 6.18).
const STACK: u32 = 512;

/// Lays out the frame: slots that are never in use together share bytes, spilled values lie below them.
pub fn frame(func: &Func, allocated: &Allocated) -> Result<Frame> {
    let conflicts = conflicts(func);
    let mut slots: Vec<SlotId> = conflicts.used.iter().collect();
    // The largest first: the small ones fit in what it leaves.
    slots.sort_by_key(|slot| (std::cmp::Reverse(func.slot(*slot).size), *slot));
    let mut tops: BTreeMap<SlotId, u32> = BTreeMap::new();
    for slot in slots {
        let top = lowest_free(func, slot, &conflicts, &tops);
        tops.insert(slot, top);
    }
    let used = tops.iter().map(|(slot, top)| top + func.slot(*slot).size).max().unwrap_or(0);
    let bytes = used + 8 * allocated.spills;
    if bytes > STACK {
        return Err(Unsupported::new(format!("a stack of {bytes} bytes"))
            .detail(format!("programs have {STACK} bytes of stack"))
            .help("read fewer or shorter texts in one query")
            .into());
    }
    let below = |top: u32, size: u32| -((top + size) as i16);
    let slots = tops.iter().map(|(&slot, &top)| (slot, below(top, func.slot(slot).size))).collect();
    Ok(Frame { slots, spills: -(used as i16), bytes })
}

/// The smallest distance from `r10` at which the slot meets none that it conflicts with.
fn lowest_free(func: &Func, slot: SlotId, conflicts: &Conflicts, tops: &BTreeMap<SlotId, u32>) -> u32 {
    let size = func.slot(slot).size;
    let mut taken: Vec<(u32, u32)> = tops
        .iter()
        .filter(|(other, _)| conflicts.meet(slot, **other))
        .map(|(other, &top)| (top, top + func.slot(*other).size))
        .collect();
    taken.sort_unstable();
    let mut top = 0;
    for (start, end) in taken {
        if top + size <= start {
            break;
        }
        top = top.max(end);
    }
    top
}

impl Frame {
    /// The offset of a slot's first byte.
    pub fn slot(&self, slot: SlotId) -> i16 {
        // Every slot that code names is in use.
        self.slots.get(&slot).copied().unwrap_or(0)
    }

    /// The offset of a spilled value.
    pub fn spill(&self, word: u32) -> i16 {
        self.spills - 8 * (word as i16 + 1)
    }
}
