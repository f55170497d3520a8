//! Sets of stack slots.
//!
//! What must hold: a function has at most 64 slots, for each has 8 bytes at least, and all together 512 at most (`ir::verify`).

use crate::ir::SlotId;

/// A set of slots, a bit for each.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SlotSet(u64);

impl SlotSet {
    /// One slot.
    pub fn of(slot: SlotId) -> SlotSet {
        SlotSet(1 << slot.0)
    }

    /// Whether it is in.
    pub fn contains(self, slot: SlotId) -> bool {
        self.meets(SlotSet::of(slot))
    }

    /// Whether none is in.
    pub fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// Whether some slot is in both.
    pub fn meets(self, other: SlotSet) -> bool {
        self.0 & other.0 != 0
    }

    /// Those in either.
    #[must_use]
    pub fn with(self, other: SlotSet) -> SlotSet {
        SlotSet(self.0 | other.0)
    }

    /// Those in both.
    #[must_use]
    pub fn shared(self, other: SlotSet) -> SlotSet {
        SlotSet(self.0 & other.0)
    }

    /// Adds slots; says whether any was new.
    pub fn grow(&mut self, more: SlotSet) -> bool {
        let before = std::mem::replace(self, self.with(more));
        *self != before
    }

    /// All, in the order of their numbers.
    pub fn iter(self) -> impl Iterator<Item = SlotId> {
        (0..u64::BITS).map(SlotId).filter(move |slot| self.contains(*slot))
    }
}
