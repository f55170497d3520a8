//! What is lost, counted in the object itself.

use super::Lowerer;
use crate::ir::{Block, Global};

/// A counter in `.bss`: 8 bytes, only ever added to.
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
    /// Reads of memory that faulted; the value is NULL.
    ReadFaults,
    /// Comparisons of text that would have needed a part that was cut; the result is NULL.
    TextUnknown,
    /// Texts that fill their width, so that a part may have been cut.
    TextCut,
}

impl Counter {
    /// All of them, in the order of the loss report.
    pub const ALL: [Counter; 8] = [
        Counter::RowsLost,
        Counter::GroupsFull,
        Counter::GroupsNoMemory,
        Counter::GroupsBusy,
        Counter::GroupsFailed,
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

impl Lowerer<'_> {
    /// `lock counter += 1` at the current place.
    pub(super) fn count(&mut self, counter: Counter) {
        let known = self.globals.counters.iter().find(|(known, _)| *known == counter).map(|(_, id)| *id);
        let id = known.unwrap_or_else(|| {
            let id = self.global(counter.name().to_string(), Global::Bss, Vec::new());
            self.globals.counters.push((counter, id));
            id
        });
        let address = self.build.global_addr(id);
        let one = self.build.iconst(1);
        self.build.atomic_add(address, 0, one);
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
