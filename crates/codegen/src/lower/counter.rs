//! What is lost, counted in the object itself.

use super::Lowerer;
use crate::ir::{Access, BinOp, Block, Global, GlobalId, Value};
use bpfquery_isa::{Helper, Purpose};

/// A counter in `.bss`: 8 bytes, only ever added to. One that errnos share is the sum of several.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Counter {
    /// Rows that did not fit into the ring buffer.
    RowsLost,
    /// Events whose group did not fit: the map is full (-E2BIG).
    GroupsFull,
    /// Events whose group got no memory (-ENOMEM).
    GroupsNoMemory,
    /// Events whose group was locked by an interrupted update (-EBUSY).
    GroupsBusy,
    /// Events whose group failed with another errno.
    GroupsFailed,
    /// Rows that found no room to be held: the map is full (-E2BIG).
    HeldFull,
    /// Rows that were not held, or stayed held once they were taken, because an update was interrupted (-EBUSY).
    HeldBusy,
    /// Rows that were not held for another reason, such as no memory.
    HeldFailed,
    /// Reads of memory that faulted; the value is NULL.
    ReadFaults,
    /// Comparisons of text that would have needed a part that was cut; the result is NULL.
    TextUnknown,
    /// Texts that fill their width, so that a part may have been cut.
    TextCut,
}

impl Counter {
    /// All of them, in the order of the loss report.
    pub const ALL: [Counter; 11] = [
        Counter::RowsLost,
        Counter::GroupsFull,
        Counter::GroupsNoMemory,
        Counter::GroupsBusy,
        Counter::GroupsFailed,
        Counter::HeldFull,
        Counter::HeldBusy,
        Counter::HeldFailed,
        Counter::ReadFaults,
        Counter::TextUnknown,
        Counter::TextCut,
    ];

    /// The variable's name in `.bss`.
    pub fn name(self) -> &'static str {
        match self {
            Counter::RowsLost => "rows_lost",
            Counter::GroupsFull => "groups_full",
            Counter::GroupsNoMemory => "groups_no_memory",
            Counter::GroupsBusy => "groups_busy",
            Counter::GroupsFailed => "groups_failed",
            Counter::HeldFull => "held_full",
            Counter::HeldBusy => "held_busy",
            Counter::HeldFailed => "held_failed",
            Counter::ReadFaults => "read_faults",
            Counter::TextUnknown => "text_unknown",
            Counter::TextCut => "text_cut",
        }
    }

    /// The counter of this name.
    pub fn of_name(name: &str) -> Option<Counter> {
        Counter::ALL.into_iter().find(|counter| counter.name() == name)
    }
}

/// Where a counter is. One may be in several places: it is their sum.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Counted {
    /// What is counted.
    pub counter: Counter,
    /// In what variable.
    pub variable: GlobalId,
    /// Bytes from its start.
    pub at: u32,
}

/// Counters of a map's errnos, one behind the other: an update that fails adds to the one that its errno's last three bits say,
/// without asking which it is. Of those that a hash may give, each that is told apart has bits of its own: -E2BIG ...001, -ENOMEM ...100,
/// -EBUSY ...000; the others have none of these (-EINVAL and -ETIMEDOUT ...010, -EDEADLK ...101, -ENOENT ...110, -EEXIST and -EPERM ...111).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Errnos {
    /// Of the map of groups.
    Groups,
    /// Of the map of held rows.
    Held,
}

/// Counters of a map's errnos: a power of two.
const ERRNOS: u32 = 8;

impl Errnos {
    /// The variable's name in `.bss`.
    fn name(self) -> &'static str {
        match self {
            Errnos::Groups => "groups_lost",
            Errnos::Held => "held_lost",
        }
    }

    /// What is counted where an errno ends in these bits.
    fn counter(self, bits: u32) -> Counter {
        match (self, bits) {
            (Errnos::Groups, 0) => Counter::GroupsBusy,
            (Errnos::Groups, 1) => Counter::GroupsFull,
            (Errnos::Groups, 4) => Counter::GroupsNoMemory,
            (Errnos::Groups, _) => Counter::GroupsFailed,
            (Errnos::Held, 0) => Counter::HeldBusy,
            (Errnos::Held, 1) => Counter::HeldFull,
            (Errnos::Held, _) => Counter::HeldFailed,
        }
    }
}

/// What every row of a join counts: each CPU for itself, so that no row waits for another CPU's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Tally {
    /// Rows that were held.
    Held,
    /// Rows that were held until the next one came.
    Overwritten,
    /// Rows that took one.
    Matched,
    /// Rows whose thread held none.
    Unmatched,
}

/// The variable in `.bss` that holds the tallies: a copy for each CPU, one behind the other.
const TALLIES: &str = "tallies";

/// Copies of the tallies. CPUs beyond share one with another CPU, whose count may then be short.
pub const TALLY_COPIES: u32 = 1024;
/// Bytes from a copy of the tallies to the next one: a line of the cache, so that no CPU waits for another.
pub const TALLY_STRIDE: u32 = 64;

impl Tally {
    /// All of them, in the order in which a copy has them.
    pub const ALL: [Tally; 4] = [Tally::Held, Tally::Overwritten, Tally::Matched, Tally::Unmatched];

    /// What it counts.
    pub fn name(self) -> &'static str {
        match self {
            Tally::Held => "join_held",
            Tally::Overwritten => "join_overwritten",
            Tally::Matched => "join_matched",
            Tally::Unmatched => "join_unmatched",
        }
    }

    /// Bytes from the start of a copy; 8 bytes long.
    pub fn offset(self) -> u32 {
        match self {
            Tally::Held => 0,
            Tally::Overwritten => 8,
            Tally::Matched => 16,
            Tally::Unmatched => 24,
        }
    }
}

impl Lowerer<'_> {
    /// Finds this CPU's tallies, at a place that every tally comes behind. The kernel puts the CPU's number into the program itself
    /// (x86-64, since 6.10), so that this is cheaper than a look-up in a per-CPU array.
    pub(super) fn prepare_tallies(&mut self) {
        let before = self.build.set_purpose(Purpose::Losses);
        let id = self.variable(TALLIES.to_string(), Global::Bss, Vec::new(), TALLY_COPIES * TALLY_STRIDE);
        let cpu = self.build.call(Helper::GetSmpProcessorId, &[]);
        let copy = self.build.bin_imm(BinOp::And, cpu, i64::from(TALLY_COPIES - 1));
        let at = self.build.bin_imm(BinOp::Shl, copy, i64::from(TALLY_STRIDE.trailing_zeros()));
        let base = self.build.global_addr(id);
        let own = self.build.bin(BinOp::Add, base, at);
        self.globals.tallies_at = Some(id);
        self.tallies = Some(own);
        self.build.set_purpose(before);
    }

    /// `tally += 1`, this CPU's.
    pub(super) fn tally(&mut self, tally: Tally) {
        if !self.globals.tallies.contains(&tally) {
            self.globals.tallies.push(tally);
        }
        let Some(base) = self.tallies else { return };
        let before = self.build.set_purpose(Purpose::Losses);
        let at = i16::try_from(tally.offset()).unwrap_or(i16::MAX);
        let old = self.build.load(Access::U64, base, at);
        let one = self.build.iconst(1);
        let new = self.build.bin(BinOp::Add, old, one);
        self.build.store(Access::U64, base, at, new);
        self.build.set_purpose(before);
    }

    /// A cold block that counts, and is not ended yet.
    pub(super) fn tallied(&mut self, tally: Tally) -> Block {
        let here = self.build.current();
        let block = self.build.cold_block();
        self.build.switch_to(block);
        self.tally(tally);
        self.build.switch_to(here);
        block
    }

    /// `lock counter += 1` at the current place.
    pub(super) fn count(&mut self, counter: Counter) {
        let id = self.global(counter.name().to_string(), Global::Bss, Vec::new());
        self.counts(counter, id, 0);
        let before = self.build.set_purpose(Purpose::Losses);
        let address = self.build.global_addr(id);
        let one = self.build.iconst(1);
        self.build.atomic_add(address, 0, one);
        self.build.set_purpose(before);
    }

    /// `lock errnos[errno] += 1`, and the way out. Of the errno the last bits matter, which no extension changes.
    pub(super) fn count_errno(&mut self, errnos: Errnos, errno: Value) {
        let id = self.variable(errnos.name().to_string(), Global::Bss, Vec::new(), 8 * ERRNOS);
        (0..ERRNOS).for_each(|bits| self.counts(errnos.counter(bits), id, 8 * bits));
        let before = self.build.set_purpose(Purpose::Losses);
        let bits = self.build.bin_imm(BinOp::And, errno, i64::from(ERRNOS - 1));
        let at = self.build.bin_imm(BinOp::Shl, bits, 3);
        let base = self.build.global_addr(id);
        let counter = self.build.bin(BinOp::Add, base, at);
        let one = self.build.iconst(1);
        self.build.atomic_add(counter, 0, one);
        self.build.set_purpose(before);
        let exit = self.exit;
        self.build.jump(exit, &[]);
    }

    /// The reader finds the counter there.
    fn counts(&mut self, counter: Counter, id: GlobalId, at: u32) {
        let place = Counted { counter, variable: id, at };
        if !self.globals.counters.contains(&place) {
            self.globals.counters.push(place);
        }
    }

    /// A cold block that counts and goes on at `then`.
    pub(super) fn counted(&mut self, counter: Counter, then: Block) -> Block {
        let here = self.build.current();
        let block = self.build.cold_block();
        self.build.switch_to(block);
        self.count(counter);
        self.build.jump(then, &[]);
        self.build.switch_to(here);
        block
    }
}
