//! The states that several CPUs have of one group become one.

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
    /// Each slot's value over all CPUs.
    pub(crate) fn merge(&self, cpus: &[&[u8]]) -> Vec<Datum> {
        let slots = self.layout.fields.iter().zip(self.ops).zip(self.types);
        slots.map(|((field, op), ty)| self.slot(field, *op, ty, cpus)).collect()
    }

    fn slot(&self, field: &Field, op: SlotOp, ty: &SqlType, cpus: &[&[u8]]) -> Datum {
        match op {
            SlotOp::Count => Datum::Int(cpus.iter().map(|cpu| i128::from(word(cpu, field.offset, 8, false))).sum()),
            SlotOp::Sum => Datum::Int(cpus.iter().fold(0, |sum, cpu| wide(cpu, field.offset).wrapping_add(sum))),
            SlotOp::Histogram => Datum::Histogram(
                (0..BUCKETS)
                    .map(|i| {
                        cpus.iter().fold(0, |n: u64, cpu| n.wrapping_add(word(cpu, field.offset + 8 * i, 8, false)))
                    })
                    .collect(),
            ),
            SlotOp::Min { seen } => self.extreme(field, seen, ty, cpus, |new, old| new < old),
            SlotOp::Max { seen } => self.extreme(field, seen, ty, cpus, |new, old| new > old),
        }
    }

    /// The extreme over the CPUs that have seen an input; NULL where none has.
    fn extreme(&self, field: &Field, seen: u32, ty: &SqlType, cpus: &[&[u8]], better: fn(i128, i128) -> bool) -> Datum {
        let (Stored::Int { bytes, signed }, Some(guard)) = (field.stored, self.layout.fields.get(seen as usize)) else {
            return Datum::Null;
        };
        let mut best: Option<(i128, u64)> = None;
        for cpu in cpus.iter().filter(|cpu| word(cpu, guard.offset, 8, false) > 0) {
            let found = word(cpu, field.offset, bytes, signed);
            let order = if signed { i128::from(found.cast_signed()) } else { i128::from(found) };
            if best.is_none_or(|(old, _)| better(order, old)) {
                best = Some((order, found));
            }
        }
        best.map_or(Datum::Null, |(_, found)| int(ty, found, self.wall_offset))
    }
}
