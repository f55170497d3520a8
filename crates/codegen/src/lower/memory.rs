//! Buffers: on the stack while they fit, else in per-CPU scratch memory.
//!
//! BPF's stack is 512 bytes (MAX_BPF_STACK, include/linux/filter.h, Linux 6.12); what is left beside the buffers is for
//! spilled registers. Scratch memory is one value of a per-CPU array; a program is not re-entered on the CPU it runs on, so
//! nobody else writes there.

use super::Lowerer;
use crate::ir::{Access, BinOp, MapData, MapId, MapKind, SlotId, Value};
use bpfquery_isa::Helper;

/// Bytes of stack that buffers may take together.
const STACK: u32 = 352;
/// Buffers of up to so many bytes stay on the stack even when others leave it.
const SMALL: u32 = 64;

/// What the whole function needs, as the first try found it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Plan {
    /// Bytes of scratch memory; 0 for none.
    scratch: u32,
    /// Whether it is needed before the filters have passed.
    early: bool,
}

/// Where buffers come from.
pub(super) struct Buffers {
    plan: Plan,
    total: u32,
    large: u32,
    large_early: bool,
    filtered: bool,
    base: Option<Value>,
    next: u32,
    word: Option<SlotId>,
}

impl Buffers {
    pub(super) fn new(plan: Plan) -> Buffers {
        Buffers { plan, total: 0, large: 0, large_early: false, filtered: false, base: None, next: 0, word: None }
    }

    /// What the next try must plan for, if the stack did not do.
    pub(super) fn needed(&self) -> Option<Plan> {
        (self.total > STACK).then_some(Plan { scratch: self.large, early: self.large_early })
    }
}

impl Lowerer<'_> {
    /// Looks the scratch memory up if it is needed before (`early`) or only behind the filters.
    pub(super) fn prepare_scratch(&mut self, early: bool) {
        self.memory.filtered |= !early;
        if self.memory.plan.scratch == 0 || self.memory.plan.early != early {
            return;
        }
        let map = self.build.map(MapData {
            name: "scratch".to_string(),
            kind: MapKind::PerCpuArray,
            key_size: 4,
            value_size: self.memory.plan.scratch,
            max_entries: 1,
        });
        let first = self.build.iconst(0);
        let value = self.array_value(map, first);
        self.memory.base = Some(value);
    }

    /// A value of an array map, by an index within it; the null branch, which no event takes, ends the program.
    pub(super) fn array_value(&mut self, map: MapId, index: Value) -> Value {
        let slot = self.build.slot("index", 8);
        let key = self.build.slot_addr(slot);
        self.build.store(Access::U32, key, 0, index);
        let map = self.build.map_addr(map);
        let value = self.build.call(Helper::MapLookupElem, &[map, key]);
        let exit = self.exit;
        self.build.non_null(value, exit, &[])
    }

    /// The address of the one 8-byte buffer that probe reads of scalars share: each is loaded from right after its read.
    pub(super) fn word_buffer(&mut self) -> Value {
        let slot = self.memory.word.unwrap_or_else(|| self.build.slot("word", 8));
        self.memory.total += if self.memory.word.is_none() { 8 } else { 0 };
        self.memory.word = Some(slot);
        self.build.slot_addr(slot)
    }

    /// The address of a new buffer of at least `size` bytes, aligned to 8.
    pub(super) fn buffer(&mut self, name: &str, size: u32) -> Value {
        let size = size.next_multiple_of(8);
        self.memory.total += size;
        if size > SMALL {
            self.memory.large += size;
            self.memory.large_early |= !self.memory.filtered;
        }
        match self.memory.base {
            Some(base) if size > SMALL => {
                let offset = self.memory.next;
                self.memory.next += size;
                if offset == 0 { base } else { self.build.bin_imm(BinOp::Add, base, i64::from(offset)) }
            }
            _ => {
                let slot = self.build.slot(name, size);
                self.build.slot_addr(slot)
            }
        }
    }
}
