//! Rows that their thread holds, and rows that take them.
//!
//! In task storage a row is written where it stays, and its state says whether it is there: making and freeing that memory costs far
//! more than a store (bpf_task_storage_delete frees under two locks, kernel/bpf/bpf_task_storage.c, Linux 6.12). In a hash a row
//! that is taken is deleted, or the entries of threads that are gone would fill it; that is done last, because the entry's memory may
//! be another thread's right after (prealloc_lru_pop and pcpu_freelist, kernel/bpf/hashtab.c).
//!
//! Not checked: that nothing of the same thread comes in between the two programs' loads and stores. Another program of this object may
//! interrupt one within its own thread only in an interrupt, and then both are events of that thread, in whatever order.

use super::Lowerer;
use super::counter::{Counter, Errnos, Tally};
use super::rows::offset_of;
use crate::ir::{Access, Block, Cond, MapData, MapId, MapKind, Type, Value};
use bpfquery_catalog::{Access as Fetch, Column};
use bpfquery_diag::{Failure, Result};
use bpfquery_isa::Helper;
use bpfquery_plan::{Expr, HELD_NOTHING, HELD_REJECTED, HELD_ROW, HeldStore, Layout, Matched};

/// BPF_ANY and BPF_NOEXIST, include/uapi/linux/bpf.h.
const ANY: i64 = 0;
const NOEXIST: i64 = 1;
/// BPF_LOCAL_STORAGE_GET_F_CREATE, include/uapi/linux/bpf.h.
const CREATE: i64 = 1;
const EEXIST: i64 = -17;

/// A row to be held.
#[derive(Clone, Copy)]
pub(super) struct Row<'a> {
    /// How it lies in memory.
    pub(super) layout: &'a Layout,
    /// The field that says whether it is there.
    pub(super) state: u32,
    /// What the fields are, but for a state of its own.
    pub(super) values: &'a [Expr],
}

/// The row that was taken.
pub(super) struct Held {
    /// Its first byte.
    base: Value,
    /// The field that said that it was there, and what it said: it is overwritten by now.
    state: Option<(u32, Value)>,
    /// Where its null bits are, and how many bytes they have.
    nulls: Option<(u32, u32)>,
}

/// What is left to do once a row that was taken is of no use any more.
pub(super) struct Release {
    block: Block,
    map: MapId,
    key: Value,
    then: Block,
}

impl Lowerer<'_> {
    /// The current thread holds this row.
    pub(super) fn hold(&mut self, store: HeldStore, row: Row<'_>, holds: &[Expr]) -> Result<()> {
        match store {
            HeldStore::Task => self.hold_in_task(row, holds),
            HeldStore::Tid { max_threads } => self.hold_by_tid(max_threads, row, holds),
        }
    }

    fn hold_in_task(&mut self, row: Row<'_>, holds: &[Expr]) -> Result<()> {
        let Row { layout, values, .. } = row;
        let state = State::of(layout, row.state)?;
        let exit = self.exit;
        let failed = self.counted(Counter::HeldFailed, exit);
        let slot = self.task_slot(layout, CREATE, failed);
        self.tally(Tally::Held);
        let old = self.build.load(state.access, slot, state.at);
        let over = self.tallied(Tally::Overwritten);
        let nothing = self.build.iconst(i64::from(HELD_NOTHING));
        let fresh = self.build.block();
        self.build.branch(Cond::Ne, old, nothing, over, fresh);
        self.build.switch_to(over);
        self.build.jump(fresh, &[]);
        self.build.switch_to(fresh);
        self.prefetch(&values.iter().chain(holds).collect::<Vec<_>>());
        let rejected = self.unless(holds)?;
        self.fill(layout, values, slot, true)?;
        if row.has_own_state() {
            self.set_state(slot, state, HELD_ROW);
        }
        self.build.jump(exit, &[]);
        if let Some(rejected) = rejected {
            self.build.switch_to(rejected);
            self.set_state(slot, state, HELD_REJECTED);
            self.build.jump(exit, &[]);
        }
        Ok(())
    }

    fn hold_by_tid(&mut self, max_threads: u32, held: Row<'_>, holds: &[Expr]) -> Result<()> {
        let Row { layout, values, .. } = held;
        let state = State::of(layout, held.state)?;
        self.prefetch(&values.iter().chain(holds).collect::<Vec<_>>());
        let map = self.by_tid(max_threads, layout);
        let key = self.tid_key();
        let row = self.buffer("held", layout.size);
        self.zero(row, 0, layout.size);
        let insert = self.build.block();
        let rejected = self.unless(holds)?;
        self.fill(layout, values, row, true)?;
        if held.has_own_state() {
            self.set_state(row, state, HELD_ROW);
        }
        self.build.jump(insert, &[]);
        if let Some(rejected) = rejected {
            self.build.switch_to(rejected);
            self.set_state(row, state, HELD_REJECTED);
            self.build.jump(insert, &[]);
        }
        self.build.switch_to(insert);
        self.insert(map, key, row);
        Ok(())
    }

    /// Puts the row into the hash; one that is there already is replaced, and counted.
    fn insert(&mut self, map: MapId, key: Value, row: Value) {
        let (done, failed) = (self.build.block(), self.build.cold_block());
        let error = self.update_held(map, key, row, NOEXIST);
        let zero = self.build.iconst(0);
        self.build.branch(Cond::Eq, error, zero, done, failed);
        self.build.switch_to(failed);
        // Helpers of maps return an int before 6.4.
        let errno = self.build.extend(32, true, error);
        let (over, lost) = (self.build.cold_block(), self.build.cold_block());
        let why = self.build.param(lost, Type::Int);
        let there = self.build.iconst(EEXIST);
        self.build.branch_with(Cond::Eq, errno, there, (over, &[]), (lost, &[errno]));
        self.build.switch_to(over);
        self.tally(Tally::Overwritten);
        let error = self.update_held(map, key, row, ANY);
        let zero = self.build.iconst(0);
        self.build.branch_with(Cond::Eq, error, zero, (done, &[]), (lost, &[error]));
        self.build.switch_to(lost);
        self.count_errno(Errnos::Held, why);
        self.build.switch_to(done);
        self.tally(Tally::Held);
    }

    fn update_held(&mut self, map: MapId, key: Value, row: Value, flags: i64) -> Value {
        let map = self.build.map_addr(map);
        let flags = self.build.iconst(flags);
        self.build.call(Helper::MapUpdateElem, &[map, key, row, flags])
    }

    /// Takes the row that the current thread holds; without one the program ends.
    pub(super) fn take(&mut self, matched: &Matched) -> Result<()> {
        let state = State::of(&matched.layout, matched.state)?;
        let unmatched = self.tallied(Tally::Unmatched);
        let here = self.build.current();
        self.build.switch_to(unmatched);
        let exit = self.exit;
        self.build.jump(exit, &[]);
        self.build.switch_to(here);
        let (row, known) = match matched.store {
            HeldStore::Task => {
                let slot = self.task_slot(&matched.layout, 0, unmatched);
                let found = self.build.load(state.access, slot, state.at);
                let there = self.build.block();
                let nothing = self.build.iconst(i64::from(HELD_NOTHING));
                self.build.branch(Cond::Eq, found, nothing, unmatched, there);
                self.build.switch_to(there);
                self.set_state(slot, state, HELD_NOTHING);
                self.pass_rejected(matched, Some(found), slot, state);
                (slot, Some((state.offset, found)))
            }
            HeldStore::Tid { max_threads } => {
                let map = self.by_tid(max_threads, &matched.layout);
                let key = self.tid_key();
                let address = self.build.map_addr(map);
                let found = self.build.call(Helper::MapLookupElem, &[address, key]);
                let row = self.build.non_null(found, unmatched, &[]);
                let block = self.build.block();
                self.release = Some(Release { block, map, key, then: exit });
                self.exit = block;
                self.pass_rejected(matched, None, row, state);
                (row, None)
            }
        };
        self.held = Some(Held { base: row, state: known, nulls: matched.layout.nulls });
        Ok(())
    }

    /// Ends the program where the row was held only to be taken.
    fn pass_rejected(&mut self, matched: &Matched, found: Option<Value>, row: Value, state: State) {
        self.tally(Tally::Matched);
        if !matched.rejects {
            return;
        }
        let found = found.unwrap_or_else(|| self.build.load(state.access, row, state.at));
        let good = self.build.iconst(i64::from(HELD_ROW));
        let (pass, exit) = (self.build.block(), self.exit);
        self.build.branch(Cond::Eq, found, good, pass, exit);
        self.build.switch_to(pass);
    }

    /// Deletes what was taken from a hash: every way out leads through here.
    pub(super) fn release(&mut self) {
        let Some(Release { block, map, key, then }) = self.release.take() else { return };
        if !self.build.is_terminated() {
            self.build.jump(block, &[]);
        }
        self.build.switch_to(block);
        let map = self.build.map_addr(map);
        // A row that stays (-EBUSY: an update of the map was interrupted) would be taken once more.
        let error = self.build.call(Helper::MapDeleteElem, &[map, key]);
        let errno = self.build.extend(32, false, error);
        let zero = self.build.iconst(0);
        let kept = self.build.cold_block();
        self.exit = then;
        self.build.branch(Cond::Eq, errno, zero, then, kept);
        self.build.switch_to(kept);
        self.count_errno(Errnos::Held, error);
    }

    /// A column of the row that was taken, if it fits a register.
    pub(super) fn held_scalar(&mut self, column: &Column, null: Block) -> Result<Value> {
        let (base, offset) = self.held_place(column, null)?;
        if let Some((_, value)) = self.held.as_ref().and_then(|held| held.state).filter(|(at, _)| *at == offset) {
            return Ok(value);
        }
        let scalar = if column.ty == bpfquery_catalog::SqlType::Bool { Some((8, false)) } else { column.ty.scalar() };
        let access = scalar.and_then(|(bits, _)| Access::of_bytes(u32::from(bits) / 8));
        let (Some((bits, signed)), Some(access)) = (scalar, access) else {
            return Err(Failure::bug("lower", format!("a held {} as a number", column.ty)));
        };
        let word = self.build.load(access, base, offset_of(offset)?);
        Ok(if signed && bits < 64 { self.build.extend(bits, true, word) } else { word })
    }

    /// Where a column of the row that was taken stands; goes to `null` where it is NULL.
    pub(super) fn held_place(&mut self, column: &Column, null: Block) -> Result<(Value, u32)> {
        let missing = || Failure::bug("lower", format!("{} of a row that nobody holds", column.name));
        let Fetch::Held { offset, null_bit, .. } = column.access else { return Err(missing()) };
        let held = self.held.as_ref().ok_or_else(missing)?;
        let (base, nulls) = (held.base, held.nulls);
        if let Some(bit) = null_bit {
            let (at, bytes) = nulls.ok_or_else(missing)?;
            let access = Access::of_bytes(bytes).ok_or_else(missing)?;
            let bits = self.build.load(access, base, offset_of(at)?);
            let own = self.build.bin_imm(crate::ir::BinOp::And, bits, 1 << bit);
            let zero = self.build.iconst(0);
            let there = self.build.block();
            self.build.branch(Cond::Ne, own, zero, null, there);
            self.build.switch_to(there);
        }
        Ok((base, offset))
    }

    /// Goes on where all conditions are true; the block for where one is not, if there are any.
    fn unless(&mut self, conditions: &[Expr]) -> Result<Option<Block>> {
        if conditions.is_empty() {
            return Ok(None);
        }
        let otherwise = self.build.block();
        for condition in conditions {
            let pass = self.build.block();
            self.cond(condition, pass, otherwise, otherwise)?;
            self.build.switch_to(pass);
        }
        Ok(Some(otherwise))
    }

    fn set_state(&mut self, row: Value, state: State, to: u8) {
        let to = self.build.iconst(i64::from(to));
        self.build.store(state.access, row, state.at, to);
    }

    /// What hangs on the current thread, made if `flags` say so.
    fn task_slot(&mut self, layout: &Layout, flags: i64, missing: Block) -> Value {
        let map = self.held_map(MapKind::TaskStorage, 0, layout);
        let task = self.build.call(Helper::GetCurrentTaskBtf, &[]);
        let map = self.build.map_addr(map);
        let (value, flags) = (self.build.iconst(0), self.build.iconst(flags));
        let slot = self.build.call(Helper::TaskStorageGet, &[map, task, value, flags]);
        self.build.non_null(slot, missing, &[])
    }

    fn by_tid(&mut self, max_threads: u32, layout: &Layout) -> MapId {
        self.held_map(MapKind::Hash, max_threads, layout)
    }

    fn held_map(&mut self, kind: MapKind, max_entries: u32, layout: &Layout) -> MapId {
        let name = "held".to_string();
        self.build.map(MapData { name, kind, key_size: 4, value_size: layout.size, max_entries })
    }

    /// The current thread's id, as the hash's key.
    fn tid_key(&mut self) -> Value {
        let key = self.buffer("tid", 8);
        let both = self.build.call(Helper::GetCurrentPidTgid, &[]);
        self.build.store(Access::U32, key, 0, both);
        key
    }
}

impl Row<'_> {
    /// Whether its state is a field of its own, beside what is held.
    fn has_own_state(&self) -> bool {
        self.state as usize >= self.values.len()
    }
}

/// The field that says what is there.
#[derive(Clone, Copy)]
struct State {
    access: Access,
    offset: u32,
    at: i16,
}

impl State {
    fn of(layout: &Layout, field: u32) -> Result<State> {
        let bug = || Failure::bug("lower", "a held row without a state");
        let field = layout.fields.get(field as usize).ok_or_else(bug)?;
        let access = Access::of_bytes(field.stored.bytes()).ok_or_else(bug)?;
        Ok(State { access, offset: field.offset, at: offset_of(field.offset)? })
    }
}
