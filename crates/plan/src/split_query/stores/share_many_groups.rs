//! per-CPU hash of groups == one hash for all CPUs, added to atomically, when groups are many and their aggregates count.
//!
//! Additions of 1 to 64 bits (`count`, the buckets of `hist`) give the same sum in any order and without reading it, by the one atomic
//! instruction that all kernels have (BPF_XADD); a `sum` has 128 bits, and `min` and `max` depend on what is there. NULL does not come
//! into it: it is decided before anything is added.
//!
//! Each CPU's own values are worth their memory while groups are few and hot: nobody waits for another CPU's addition. Many groups
//! are seldom two CPUs' at once. Their states then cost twice for nothing: the value stands behind the key in a plain hash, but in a
//! line of its own in each CPU's memory, which every event waits for, and every reader for that of each possible CPU; and on a machine
//! of 128 CPUs a million counts take 1 GiB instead of 8 MiB.
//!
//! Seen on 6.18 with two CPUs: of a million numbers that are each counted once a call takes 320 ns longer, with values of each CPU 373; of
//! two numbers 13 ns in the program instead of 9. A million counts are read in 0.25 s of the kernel's time instead of 0.38.

use super::Grouping;
use crate::{SlotOp, Store};

/// Groups, up to which each CPU has states of its own. So many entries take 4 MiB, more than a processor keeps near, and their
/// counts 64 MiB on 128 CPUs.
const MANY: u32 = 64 << 10;

pub(super) fn apply(grouping: &Grouping<'_>) -> Option<Store> {
    let adds = |op: &SlotOp| match op {
        SlotOp::Count | SlotOp::Histogram => true,
        SlotOp::Sum | SlotOp::Min { .. } | SlotOp::Max { .. } => false,
    };
    let shared = grouping.max_groups > MANY && grouping.slots.iter().all(|slot| adds(&slot.op));
    shared.then_some(Store::Shared { max_groups: grouping.max_groups })
}
