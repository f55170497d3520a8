//! The state of a group in a hash: found, or made with what this event says.
//!
//! What must hold: an event whose group cannot be made is counted by errno, and goes no further.
//!
//! A state that each CPU has for itself is put in whole, with this event in it: if another CPU made the group meanwhile, this CPU's
//! state is still that of no rows, and BPF_ANY writes this CPU's only (pcpu_copy_value and pcpu_init_value, kernel/bpf/hashtab.c,
//! Linux 5.10). So nobody looks twice, and an event that finds its group pays for no register that is kept over calls.
//!
//! Not checked: that the program is not interrupted by itself between the look-up and the update. Of kernels that let it be (raw
//! tracepoints before 6.2) it may cost what a plain addition may cost there: the other event's count.

use super::Lowerer;
use super::counter::Errnos;
use crate::ir::{Block, Cond, Global, MapId, MapKind, PtrKind, Type, Value};
use bpfquery_catalog::{Access as Fetch, Builtin};
use bpfquery_diag::Result;
use bpfquery_isa::{Helper, Purpose};
use bpfquery_plan::{Expr, ExprKind, Layout, Slot, SlotOp, Stored};

/// BPF_ANY and BPF_NOEXIST, include/uapi/linux/bpf.h.
const ANY: i64 = 0;
const NOEXIST: i64 = 1;
/// Bytes of the longest state that is put together on the stack.
const BRIEF: u32 = 64;
/// Words of all other states are longer than looking up again.
const SLOTS: usize = 6;

/// A group that is wanted.
#[derive(Clone, Copy)]
pub(super) struct Wanted<'a> {
    /// Where it is.
    pub(super) map: MapId,
    /// Its key.
    pub(super) key: Value,
    /// How its state lies in memory, and what becomes of it.
    pub(super) state: &'a Layout,
    pub(super) slots: &'a [Slot],
}

impl Lowerer<'_> {
    /// The group's state on this CPU; where it is made with this event in it, the event is done.
    pub(super) fn find_or_make(&mut self, group: Wanted<'_>) -> Result<Value> {
        let found = self.build.block();
        let entry = self.build.param(found, Type::ptr(PtrKind::MapValue(group.map)));
        let make = self.build.cold_block();
        let first = self.look_up(group, make);
        self.build.jump(found, &[first]);
        self.build.switch_to(make);
        if self.is_brief(group) {
            self.insert_first(group)?;
        } else {
            self.make(group, found);
        }
        self.build.switch_to(found);
        Ok(entry)
    }

    /// The same where hardly any event comes: goes to `found` with it. One that has to be looked up anyway is not looked up first.
    pub(super) fn find_rest(&mut self, group: Wanted<'_>, found: Block) -> Result<()> {
        if !self.is_brief(group) {
            self.make(group, found);
            return Ok(());
        }
        let make = self.build.cold_block();
        let there = self.look_up(group, make);
        self.build.jump(found, &[there]);
        self.build.switch_to(make);
        self.insert_first(group)
    }

    fn look_up(&mut self, group: Wanted<'_>, missing: Block) -> Value {
        let map = self.build.map_addr(group.map);
        let value = self.build.call(Helper::MapLookupElem, &[map, group.key]);
        self.build.non_null(value, missing, &[])
    }

    /// Puts the state in that this event alone makes, and ends.
    fn insert_first(&mut self, group: Wanted<'_>) -> Result<()> {
        let span = self.build.span();
        let from = self.build.func().blocks.len();
        let state = match constant(group) {
            Some(bytes) => {
                let first = self.global("first".to_string(), Global::Rodata, bytes);
                self.build.global_addr(first)
            }
            None => {
                let first = self.buffer("first", group.state.size);
                self.clear_state(group.state, first);
                self.update(group.state, group.slots, first)?;
                first
            }
        };
        self.build.set_span(span);
        let error = self.update_element(group, state, ANY);
        // The verifier replaces map helpers by the map's own functions, which before 6.4 return an int: the upper half is not its
        // sign (d7ba4cc900bf, "bpf: return long from bpf_map_ops funcs"; seen on 5.10).
        let errno = self.build.extend(32, false, error);
        let zero = self.build.iconst(0);
        let (exit, failed) = (self.exit, self.build.cold_block());
        self.build.branch(Cond::Eq, errno, zero, exit, failed);
        self.build.switch_to(failed);
        self.count_errno(Errnos::Groups, error);
        self.build.chill(from);
        Ok(())
    }

    /// Zeros, which are the state of no rows. Of them only the upper halves of sums are left behind the first update.
    fn clear_state(&mut self, state: &Layout, at: Value) {
        let sums = state.fields.iter().filter(|field| field.stored == Stored::Wide);
        let upper: Vec<u32> = sums.map(|field| field.offset + 8).collect();
        for offset in (0..state.size).step_by(8) {
            let purpose = if upper.contains(&offset) { Purpose::Wide } else { Purpose::Work };
            let before = self.build.set_purpose(purpose);
            self.zero(at, offset, 8);
            self.build.set_purpose(before);
        }
    }

    /// Makes the group with the state of no rows, unless it is there, and goes to `found` with it.
    fn make(&mut self, group: Wanted<'_>, found: Block) {
        let zeros = self.global("zeros".to_string(), Global::Rodata, vec![0; group.state.size as usize]);
        let zeros = self.build.global_addr(zeros);
        let error = self.update_element(group, zeros, NOEXIST);
        let gone = self.build.cold_block();
        let second = self.look_up(group, gone);
        self.build.jump(found, &[second]);
        self.build.switch_to(gone);
        self.count_errno(Errnos::Groups, error);
    }

    fn update_element(&mut self, group: Wanted<'_>, state: Value, flags: i64) -> Value {
        let map = self.build.map_addr(group.map);
        let flags = self.build.iconst(flags);
        self.build.call(Helper::MapUpdateElem, &[map, group.key, state, flags])
    }

    /// Whether what one event makes of the state is less to write than to look up again.
    fn is_brief(&self, group: Wanted<'_>) -> bool {
        let own = self.build.func().map(group.map).kind == MapKind::PerCpuHash;
        let plain =
            |slot: &Slot| slot.filter.is_none() && slot.input.as_ref().is_none_or(|input| self.is_at_hand(input));
        own && group.state.size <= BRIEF && group.slots.len() <= SLOTS && group.slots.iter().all(plain)
    }

    /// Whether the number is one load or helper away, and never NULL.
    fn is_at_hand(&self, input: &Expr) -> bool {
        match &input.kind {
            ExprKind::Literal(_) => true,
            ExprKind::Cast(of) => !input.ty.is_text() && !of.ty.is_text() && self.is_at_hand(of),
            ExprKind::Column(id) => self.column(*id).is_ok_and(|column| match column.access {
                Fetch::Context { .. } | Fetch::Held { null_bit: None, .. } => !column.ty.is_text(),
                Fetch::Builtin(builtin) => {
                    matches!(builtin, Builtin::Pid | Builtin::Tid | Builtin::Uid | Builtin::Gid | Builtin::Cpu)
                }
                _ => false,
            }),
            _ => false,
        }
    }
}

/// The state after one event, if all events make the same: they are only counted.
fn constant(group: Wanted<'_>) -> Option<Vec<u8>> {
    let mut bytes = vec![0; group.state.size as usize];
    for (field, slot) in group.state.fields.iter().zip(group.slots) {
        if slot.op != SlotOp::Count || slot.input.is_some() || slot.filter.is_some() {
            return None;
        }
        let at = field.offset as usize;
        bytes.get_mut(at..at + 8)?.copy_from_slice(&1_u64.to_le_bytes());
    }
    Some(bytes)
}
