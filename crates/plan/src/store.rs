//! Where the states of the groups lie, and which key the place of a state stands for.
//!
//! What must hold: every row has one place, and every place one key: a key that no axis has room for is in the hash beside the array.

use crate::Layout;
use serde::{Deserialize, Serialize};

/// Where the states of the groups lie: one look-up finds a row's.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Store {
    /// The per-CPU hash `groups`, by the whole key.
    Hash {
        /// Groups that it holds.
        max_groups: u32,
    },
    /// The hash `groups` that all CPUs share, by the whole key. States are added to atomically.
    Shared {
        /// Groups that it holds.
        max_groups: u32,
    },
    /// The per-CPU array `groups`: a slot for each combination of what the keys can be; one slot where there are no keys.
    Slots {
        /// How each key adds to the slot's index, in the order of the keys.
        axes: Vec<Axis>,
        /// Slots of the array.
        slots: u32,
        /// The field of the state that counts every row: where it is 0 there is no group. `None` without keys: that group always is.
        present: Option<u32>,
        /// The per-CPU hash `groups_rest` takes as many groups whose keys are beyond an axis; `None` where no key can be.
        rest: Option<u32>,
    },
}

/// A key as a part of an index.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Axis {
    /// The CPU that the event is on: each CPU has its own copy of the array.
    Cpu,
    /// An integer or a truth: `stride * (value - low)`, and behind the values NULL if that may be.
    Values {
        /// The least value.
        low: i64,
        /// How many values there are from there.
        count: u32,
        /// Whether NULL has a slot.
        null: bool,
        /// What neighbours are apart.
        stride: u32,
        /// Whether nothing but these values can be.
        sure: bool,
    },
}

impl Axis {
    /// Slots that it multiplies the array by.
    pub fn slots(&self) -> u32 {
        match self {
            Axis::Cpu => 1,
            Axis::Values { count, null, .. } => count.saturating_add(u32::from(*null)),
        }
    }
}

impl Store {
    /// Groups that find room: on each CPU, where CPUs are keys.
    pub fn max_groups(&self) -> u32 {
        match self {
            Store::Hash { max_groups } | Store::Shared { max_groups } => *max_groups,
            Store::Slots { slots, rest, .. } => slots.saturating_add(rest.unwrap_or(0)),
        }
    }

    /// Whether the CPU is a key: then the copies of a slot are groups of their own.
    pub fn by_cpu(&self) -> bool {
        matches!(self, Store::Slots { axes, .. } if axes.contains(&Axis::Cpu))
    }

    /// Writes the key that a CPU's copy of a slot stands for, as a hash's key would be; `bytes` are as many as the layout has.
    pub fn write_key(&self, layout: &Layout, slot: u32, cpu: u32, bytes: &mut [u8]) {
        bytes.fill(0);
        let Store::Slots { axes, .. } = self else { return };
        for (axis, field) in axes.iter().zip(&layout.fields) {
            let word = match *axis {
                Axis::Cpu => Some(u64::from(cpu)),
                Axis::Values { low, count, stride, .. } => {
                    let at = slot / stride.max(1) % axis.slots().max(1);
                    (at < count).then(|| low.wrapping_add(i64::from(at)).cast_unsigned())
                }
            };
            match (word, field.null_bit, layout.nulls) {
                (Some(word), _, _) => put(bytes, field.offset, field.stored.bytes(), |_| word),
                (None, Some(bit), Some((offset, width))) => put(bytes, offset, width, |old| old | 1 << bit),
                (None, _, _) => {}
            }
        }
    }
}

/// Replaces a little-endian integer of at most 8 bytes.
fn put(bytes: &mut [u8], offset: u32, width: u32, change: impl Fn(u64) -> u64) {
    let (at, width) = (offset as usize, (width as usize).min(8));
    if let Some(place) = bytes.get_mut(at..at + width) {
        let old = place.iter().rev().fold(0, |word: u64, byte| word << 8 | u64::from(*byte));
        place.copy_from_slice(&change(old).to_le_bytes()[..width]);
    }
}

#[cfg(test)]
mod tests {
    use super::{Axis, Store};
    use crate::{Layout, Stored};

    #[test]
    fn slots_stand_for_keys() {
        let int = |bytes, signed| Stored::Int { bytes, signed };
        let fields = [("a", int(1, true), true), ("b", int(4, false), false), ("c", int(1, false), false)];
        let layout = Layout::new(fields.map(|(name, stored, null)| (name.to_string(), stored, null)));
        let axes = vec![
            Axis::Values { low: -1, count: 2, null: true, stride: 1, sure: true },
            Axis::Cpu,
            Axis::Values { low: 0, count: 2, null: false, stride: 3, sure: true },
        ];
        let store = Store::Slots { axes, slots: 6, present: Some(0), rest: None };
        assert!(store.by_cpu() && store.max_groups() == 6);
        let key = |slot, cpu| {
            let mut bytes = vec![0xff; layout.size as usize];
            store.write_key(&layout, slot, cpu, &mut bytes);
            bytes
        };
        // b @0, a @4, c @5, nulls @6.
        assert_eq!(key(0, 3), [3, 0, 0, 0, 0xff, 0, 0, 0]);
        assert_eq!(key(1, 0), [0, 0, 0, 0, 0, 0, 0, 0]);
        assert_eq!(key(2, 0), [0, 0, 0, 0, 0, 0, 1, 0]);
        assert_eq!(key(5, 1), [1, 0, 0, 0, 0, 1, 1, 0]);
    }
}
