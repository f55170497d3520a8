//! Groups in a map, a hash by key or an array by slot: one look-up, then the state is updated in place.
//!
//! The state is per CPU and a program is not re-entered on its CPU (bpf_prog_active for kprobes and perf events, the
//! program's own `active` for trampolines and, since 6.2, raw tracepoints; kernel/trace/bpf_trace.c), so plain loads and
//! stores do. All-zero bytes are the state of no rows: other CPUs' values of a new entry are zero (pcpu_init_value,
//! kernel/bpf/hashtab.c, Linux 5.10).
//!
//! A state that all CPUs share is only added to, by one atomic instruction each. Of two CPUs that make a group at once one gets
//! -EEXIST, and finds what the other has made: no entry is ever replaced, or deleted while an event may still find it.

use super::find_group::Wanted;
use super::rows::offset_of;
use super::{Lowerer, key};
use crate::ir::{Access, BinOp, Block, Cond, MapData, MapId, MapKind, PtrKind, Type, Value};
use bpfquery_catalog::SqlType;
use bpfquery_diag::{Failure, Result};
use bpfquery_isa::Purpose;
use bpfquery_plan::{Axis, Expr, ExprKind, Field, Layout, Slot, SlotOp, Store, Stored};
use std::collections::BTreeMap;

impl Lowerer<'_> {
    /// Updates the row's group.
    pub(super) fn groups(
        &mut self,
        layout: &Layout,
        keys: &[Expr],
        state: &Layout,
        slots: &[Slot],
        store: &Store,
    ) -> Result<()> {
        let entry = match store {
            Store::Hash { max_groups } | Store::Shared { max_groups } => {
                let shared = matches!(store, Store::Shared { .. });
                let kind = if shared { MapKind::Hash } else { MapKind::PerCpuHash };
                let map = self.hash("groups", kind, layout, state, *max_groups);
                let key = self.group_key(layout, keys)?;
                self.find_or_make(Wanted { map, key, state, slots })?
            }
            Store::Slots { axes, slots: count, rest, .. } => {
                let map = self.build.map(MapData {
                    name: "groups".to_string(),
                    kind: MapKind::PerCpuArray,
                    key_size: 4,
                    value_size: state.size,
                    max_entries: *count,
                });
                match rest {
                    None => self.slot_value(map, axes, keys, None)?,
                    Some(rest) => self.slot_or_rest(map, (axes, *rest), (layout, keys), (state, slots))?,
                }
            }
        };
        self.update(state, slots, entry)
    }

    fn hash(&mut self, name: &str, kind: MapKind, key: &Layout, state: &Layout, max_entries: u32) -> MapId {
        self.build.map(MapData {
            name: name.to_string(),
            kind,
            key_size: key.size,
            value_size: state.size,
            max_entries,
        })
    }

    /// The whole key, as a hash compares it.
    fn group_key(&mut self, layout: &Layout, keys: &[Expr]) -> Result<Value> {
        let buffer = self.buffer("key", layout.size);
        self.clear(layout, keys, buffer);
        self.keying = true;
        self.fill(layout, keys, buffer, true)?;
        self.keying = false;
        Ok(buffer)
    }

    /// The state in the array, or in the hash beside it where a key is beyond its axis.
    fn slot_or_rest(
        &mut self,
        map: MapId,
        (axes, rest): (&[Axis], u32),
        (layout, keys): (&Layout, &[Expr]),
        (state, slots): (&Layout, &[Slot]),
    ) -> Result<Value> {
        let (found, beyond) = (self.build.block(), self.build.cold_block());
        let entry = self.build.param(found, Type::ptr(PtrKind::MapValue(map)));
        let value = self.slot_value(map, axes, keys, Some(beyond))?;
        self.build.jump(found, &[value]);
        self.build.switch_to(beyond);
        let rest = self.hash("groups_rest", MapKind::PerCpuHash, layout, state, rest);
        let key = self.group_key(layout, keys)?;
        self.find_rest(Wanted { map: rest, key, state, slots }, found)?;
        self.build.switch_to(found);
        Ok(entry)
    }

    /// `groups[slot]` of this CPU.
    fn slot_value(&mut self, map: MapId, axes: &[Axis], keys: &[Expr], beyond: Option<Block>) -> Result<Value> {
        let mut slot = self.build.iconst(0);
        for (axis, key) in axes.iter().zip(keys) {
            if let Axis::Values { low, count, null, stride, sure } = *axis {
                let beyond = beyond.filter(|_| !sure);
                let at = self.place(key, low, count, null, beyond)?;
                self.build.set_span(key.span);
                let step = self.build.bin_imm(BinOp::Mul, at, i64::from(stride));
                slot = self.build.bin(BinOp::Add, slot, step);
            }
        }
        Ok(self.array_value(map, slot))
    }

    /// `key - low`, and `count` where the key is NULL; goes to `beyond` where it is another value.
    fn place(&mut self, key: &Expr, low: i64, count: u32, null: bool, beyond: Option<Block>) -> Result<Value> {
        if !null {
            // The plan says that it is never NULL: this block is never entered.
            let never = self.exit;
            return self.distance(key, low, count, beyond, never);
        }
        let (none, join) = (self.build.block(), self.build.block());
        let place = self.build.param(join, Type::Int);
        let at = self.distance(key, low, count, beyond, none)?;
        self.build.jump(join, &[at]);
        self.build.switch_to(none);
        let last = self.build.iconst(i64::from(count));
        self.build.jump(join, &[last]);
        self.build.switch_to(join);
        Ok(place)
    }

    fn distance(&mut self, key: &Expr, low: i64, count: u32, beyond: Option<Block>, null: Block) -> Result<Value> {
        let value = self.scalar(key, null)?;
        self.build.set_span(key.span);
        // What was read as it stands has as many bits as its type: a C bool is 0 or 1, and a field may be wider on another kernel.
        let read = matches!(key.kind, ExprKind::Field { .. } | ExprKind::Column(_));
        let value = match (&key.ty, read) {
            (SqlType::Bool, true) => self.build.bin_imm(BinOp::And, value, 1),
            (SqlType::Int { bits: 8, signed }, true) => self.build.extend(8, *signed, value),
            _ => value,
        };
        let at = self.build.bin_imm(BinOp::Sub, value, low);
        if let Some(beyond) = beyond {
            let within = self.build.block();
            let count = self.build.iconst(i64::from(count));
            self.build.branch(Cond::Uge, at, count, beyond, within);
            self.build.switch_to(within);
        }
        Ok(at)
    }

    /// Zeros for the words of a key that are not surely written in full: those of texts that may be NULL, and around holes.
    fn clear(&mut self, layout: &Layout, keys: &[Expr], buffer: Value) {
        let mut written = vec![false; layout.size as usize];
        let mut mark = |from: u32, bytes: u32| {
            written.iter_mut().skip(from as usize).take(bytes as usize).for_each(|byte| *byte = true);
        };
        for (field, key) in layout.fields.iter().zip(keys) {
            // Text that is never NULL is zeroed where it is written, and an integer where it is NULL.
            if field.null_bit.is_none() || matches!(field.stored, Stored::Int { .. }) {
                mark(field.offset, field.stored.bytes().max(fills(layout, field, key).unwrap_or(0)));
            }
        }
        if let Some((offset, bytes)) = layout.nulls {
            mark(offset, bytes);
        }
        for (i, word) in written.chunks(8).enumerate() {
            if word.iter().any(|byte| !byte) {
                self.zero(buffer, 8 * u32::try_from(i).unwrap_or(u32::MAX), 8);
            }
        }
    }

    /// Updates all slots. Those with the same filter and input share one evaluation. A `Count` that guards `Min` and `Max` comes
    /// after them, because it tells them whether there is something to compare with: it has their input, or none.
    pub(super) fn update(&mut self, state: &Layout, slots: &[Slot], entry: Value) -> Result<()> {
        let evaluations: Vec<Evaluation> = slots.iter().map(evaluation).collect();
        let mut alike: BTreeMap<&Evaluation, Vec<usize>> = BTreeMap::new();
        for (i, evaluation) in evaluations.iter().enumerate() {
            alike.entry(evaluation).or_default().push(i);
        }
        let (with_input, without): (Vec<usize>, Vec<usize>) = (0..slots.len()).partition(|&i| slots[i].input.is_some());
        for first in with_input.into_iter().chain(without) {
            // The first of those that are alike updates them all.
            let Some(mut same) = alike.remove(&evaluations[first]) else { continue };
            same.sort_by_key(|&i| slots[i].op == SlotOp::Count);
            let skip = self.build.block();
            self.update_shared(state, slots, &same, entry, skip)?;
            self.build.jump(skip, &[]);
            self.build.switch_to(skip);
        }
        Ok(())
    }

    fn update_shared(
        &mut self,
        state: &Layout,
        slots: &[Slot],
        same: &[usize],
        entry: Value,
        skip: Block,
    ) -> Result<()> {
        let slot = &slots[same[0]];
        if let Some(filter) = &slot.filter {
            let pass = self.build.block();
            self.cond(filter, pass, skip, skip)?;
            self.build.switch_to(pass);
        }
        let input = match &slot.input {
            None => None,
            Some(input) if input.ty.is_text() => {
                self.text_is_there(input, skip)?;
                None
            }
            Some(input) => Some((self.scalar(input, skip)?, input.ty.scalar().is_some_and(|(_, signed)| signed))),
        };
        self.build.set_span(slot.span);
        for &i in same {
            self.update_slot(state, slots[i].op, &state.fields[i], input, entry)?;
        }
        Ok(())
    }

    fn update_slot(
        &mut self,
        state: &Layout,
        op: SlotOp,
        field: &Field,
        input: Option<(Value, bool)>,
        entry: Value,
    ) -> Result<()> {
        let at = offset_of(field.offset)?;
        if self.is_shared(entry) && !matches!(op, SlotOp::Count | SlotOp::Histogram) {
            return Err(Failure::bug("lower", "a state that CPUs cannot share"));
        }
        match (op, input) {
            (SlotOp::Count, _) => self.add_one(entry, at),
            (SlotOp::Sum, Some((x, signed))) => self.add_wide(entry, at, x, signed),
            (SlotOp::Min { seen }, Some((x, signed))) => {
                let cond = if signed { Cond::Slt } else { Cond::Ult };
                self.extreme(state, field, seen, entry, x, signed, cond)?;
            }
            (SlotOp::Max { seen }, Some((x, signed))) => {
                let cond = if signed { Cond::Sgt } else { Cond::Ugt };
                self.extreme(state, field, seen, entry, x, signed, cond)?;
            }
            (SlotOp::Histogram, Some((bucket, _))) => self.add_bucket(entry, field, bucket),
            (_, None) => return Err(Failure::bug("lower", "an aggregate without its input")),
        }
        Ok(())
    }

    /// `+= 1`, atomically where other CPUs do the same.
    fn add_one(&mut self, state: Value, at: i16) {
        let one = self.build.iconst(1);
        if self.is_shared(state) {
            self.build.atomic_add(state, at, one);
        } else {
            self.add(state, at, one);
        }
    }

    /// Whether all CPUs have this state.
    fn is_shared(&self, state: Value) -> bool {
        match self.build.func().ty(state) {
            Type::Ptr { kind: PtrKind::MapValue(map), .. } => self.build.func().map(map).kind == MapKind::Hash,
            _ => false,
        }
    }

    fn add(&mut self, entry: Value, at: i16, value: Value) {
        let old = self.build.load(Access::U64, entry, at);
        let new = self.build.bin(BinOp::Add, old, value);
        self.build.store(Access::U64, entry, at, new);
    }

    /// 128-bit `+=`. The high half changes only on a carry out of, or a borrow from, the low half.
    fn add_wide(&mut self, entry: Value, at: i16, x: Value, signed: bool) {
        let old = self.build.load(Access::U64, entry, at);
        let low = self.build.bin(BinOp::Add, old, x);
        self.build.store(Access::U64, entry, at, low);
        let done = self.build.block();
        if signed {
            let (negative, positive) = (self.build.block(), self.build.block());
            let zero = self.build.iconst(0);
            self.build.branch(Cond::Slt, x, zero, negative, positive);
            self.build.switch_to(negative);
            self.carry(Cond::Uge, low, x, entry, at, -1, done);
            self.build.switch_to(positive);
        }
        self.carry(Cond::Ult, low, x, entry, at, 1, done);
        self.build.switch_to(done);
    }

    #[allow(clippy::too_many_arguments, reason = "one comparison and one place; a struct for one call would say less")]
    fn carry(&mut self, cond: Cond, low: Value, x: Value, entry: Value, at: i16, by: i64, done: Block) {
        let adjust = self.build.cold_block();
        // Adding a negative number borrows unless the sum wrapped: low >= x means that it did not.
        self.build.branch(cond, low, x, adjust, done);
        self.build.switch_to(adjust);
        let before = self.build.set_purpose(Purpose::Wide);
        let by = self.build.iconst(by);
        self.add(entry, at + 8, by);
        self.build.set_purpose(before);
        self.build.jump(done, &[]);
    }

    #[allow(
        clippy::too_many_arguments,
        reason = "a field, its guard and a comparison; a struct for two calls would say less"
    )]
    fn extreme(
        &mut self,
        state: &Layout,
        field: &Field,
        seen: u32,
        entry: Value,
        x: Value,
        signed: bool,
        cond: Cond,
    ) -> Result<()> {
        let at = offset_of(field.offset)?;
        let bytes = field.stored.bytes();
        let access = Access::of_bytes(bytes).ok_or_else(|| Failure::bug("lower", "extreme's width"))?;
        let seen = state.fields.get(seen as usize).ok_or_else(|| Failure::bug("lower", "extreme's guard"))?;
        let (compare, replace, keep) = (self.build.block(), self.build.block(), self.build.block());
        let found = matches!(self.build.func().ty(entry), Type::Ptr { kind: PtrKind::MapValue(_), .. });
        if cond == Cond::Ugt && found {
            // max(0, x) == x: the state of no rows needs no guard. Where it is known to be one, the guard is known, too.
            self.build.jump(compare, &[]);
        } else {
            let count = self.build.load(Access::U64, entry, offset_of(seen.offset)?);
            let zero = self.build.iconst(0);
            self.build.branch(Cond::Eq, count, zero, replace, compare);
        }
        self.build.switch_to(compare);
        let old = self.build.load(access, entry, at);
        let old = if signed { self.build.extend(u8::try_from(8 * bytes).unwrap_or(64), true, old) } else { old };
        self.build.branch(cond, x, old, replace, keep);
        self.build.switch_to(replace);
        self.build.store(access, entry, at, x);
        self.build.jump(keep, &[]);
        self.build.switch_to(keep);
        Ok(())
    }

    /// `entry->buckets[bucket] += 1`. That the bucket is one of 66, the verifier sees in how it is made (`bucket`).
    fn add_bucket(&mut self, entry: Value, field: &Field, bucket: Value) {
        let bytes = self.build.bin_imm(BinOp::Shl, bucket, 3);
        let counter = self.build.bin(BinOp::Add, entry, bytes);
        let at = i16::try_from(field.offset).unwrap_or(i16::MAX);
        self.add_one(counter, at);
    }
}

/// The bytes that a key's last field is stored in, if they are more than its own: the end of the layout, where its value, extended
/// as it is in a register, leaves no hole. What is read from memory may be wider than the field, on another kernel.
pub(super) fn fills(layout: &Layout, field: &Field, value: &Expr) -> Option<u32> {
    let Stored::Int { bytes, .. } = field.stored else { return None };
    let room = layout.size.checked_sub(field.offset)?;
    let last = layout.nulls.is_none() && layout.fields.iter().all(|other| other.offset <= field.offset);
    let fits = room == 4 && bytes < 4 && !matches!(value.kind, ExprKind::Field { .. });
    (last && fits).then_some(room)
}

/// A slot's filter and input, as texts: slots in which they are the same share one evaluation.
type Evaluation = (Option<String>, Option<String>);

fn evaluation(slot: &Slot) -> Evaluation {
    (slot.filter.as_ref().map(key), slot.input.as_ref().map(key))
}
