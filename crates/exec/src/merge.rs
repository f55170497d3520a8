//! The states that several CPUs have of one group become one.

use crate::columns::Column;
use crate::decode::{int, wide, word};
use bpfquery_catalog::SqlType;
use bpfquery_plan::{BUCKETS, Datum, Field, Layout, SlotOp, Stored};

/// What a map of groups is made of.
pub(crate) struct States<'a> {
    pub(crate) layout: &'a Layout,
    pub(crate) ops: &'a [SlotOp],
    pub(crate) types: &'a [SqlType],
    pub(crate) wall_offset: i64,
}

impl States<'_> {
    /// A slot's value over all states, which lie `stride` bytes apart.
    pub(crate) fn slot(&self, at: usize, states: &[u8], stride: usize) -> Datum {
        let (Some(field), Some(op), Some(ty)) = (self.layout.fields.get(at), self.ops.get(at), self.types.get(at))
        else {
            return Datum::Null;
        };
        let cpus = || states.chunks_exact(stride.max(1));
        match *op {
            SlotOp::Count => Datum::Int(i128::from(count(field, states, stride))),
            SlotOp::Sum => Datum::Int(cpus().fold(0, |sum, cpu| wide(cpu, field.offset).wrapping_add(sum))),
            SlotOp::Histogram => Datum::Histogram(
                (0..BUCKETS)
                    .map(|i| cpus().fold(0, |n: u64, cpu| n.wrapping_add(word(cpu, field.offset + 8 * i, 8, false))))
                    .collect(),
            ),
            SlotOp::Min { seen } => self.extreme(field, seen, ty, cpus(), |new, old| new < old),
            SlotOp::Max { seen } => self.extreme(field, seen, ty, cpus(), |new, old| new > old),
        }
    }

    /// Appends the slot's value to its column.
    pub(crate) fn append(&self, at: usize, states: &[u8], stride: usize, column: &mut Column) {
        match (self.layout.fields.get(at), self.ops.get(at)) {
            (Some(field), Some(SlotOp::Count)) => column.word(count(field, states, stride)),
            _ => column.datum(&self.slot(at, states, stride)),
        }
    }

    /// The extreme over the CPUs that have seen an input; NULL where none has.
    fn extreme<'s>(
        &self,
        field: &Field,
        seen: u32,
        ty: &SqlType,
        cpus: impl Iterator<Item = &'s [u8]>,
        better: fn(i128, i128) -> bool,
    ) -> Datum {
        let (Stored::Int { bytes, signed }, Some(guard)) = (field.stored, self.layout.fields.get(seen as usize)) else {
            return Datum::Null;
        };
        let mut best: Option<(i128, u64)> = None;
        for cpu in cpus.filter(|cpu| word(cpu, guard.offset, 8, false) > 0) {
            let found = word(cpu, field.offset, bytes, signed);
            let order = if signed { i128::from(found.cast_signed()) } else { i128::from(found) };
            if best.is_none_or(|(old, _)| better(order, old)) {
                best = Some((order, found));
            }
        }
        best.map_or(Datum::Null, |(_, found)| int(ty, found, self.wall_offset))
    }
}

/// The sum of a counter over all states: as many events as 64 bits count take longer than a machine lives.
fn count(field: &Field, states: &[u8], stride: usize) -> u64 {
    states.chunks_exact(stride.max(1)).fold(0, |n: u64, cpu| n.wrapping_add(word(cpu, field.offset, 8, false)))
}
