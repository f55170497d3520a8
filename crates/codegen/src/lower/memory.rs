//! Buffers: on the stack while they fit, else in per-CPU scratch memory.
//!
//! BPF's stack is 512 bytes (MAX_BPF_STACK, include/linux/filter.h, Linux 6.12); what is left beside the buffers is for
//! spilled registers. Scratch memory is one value of a per-CPU array; a program is not re-entered on the CPU it runs on, so
//! nobody else writes there.

use super::Lowerer;
use crate::ir::{Access, BinOp, MapData, MapId, MapKind, SlotId, Value};
use bpfquery_diag::{Result, Unsupported};
use bpfquery_isa::Helper;

/// Bytes of stack that buffers may take together.
const STACK: u32 = 352;
/// Buffers of up to so many bytes stay on the stack even when others leave it, if they fit without these.
const SMALL: u32 = 64;
/// PCPU_MIN_UNIT_SIZE, include/linux/percpu.h, Linux 6.12: the longest value of a per-CPU array.
const MOST: u32 = 32 << 10;

/// What the whole function needs, as the first try found it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Plan {
    /// Bytes of scratch memory; 0 for none.
    scratch: u32,
    /// The first step that needs it: the filters are one each, and what comes behind them is one.
    step: u32,
    /// Buffers of up to so many bytes stay on the stack.
    stays: u32,
}

/// Where buffers come from.
pub(super) struct Buffers {
    plan: Plan,
    total: u32,
    /// Bytes of the buffers that are not small, and the first step that needs one.
    large: u32,
    large_step: u32,
    /// The same of the small ones.
    small: u32,
    small_step: u32,
    /// The step that is being lowered.
    step: u32,
    base: Option<Value>,
    next: u32,
    word: Option<SlotId>,
}

impl Buffers {
    pub(super) fn new(plan: Plan) -> Buffers {
        Buffers {
            plan,
            total: 0,
            large: 0,
            large_step: u32::MAX,
            small: 0,
            small_step: u32::MAX,
            step: 0,
            base: None,
            next: 0,
            word: None,
        }
    }

    /// What the next try must plan for, if the stack did not do.
    pub(super) fn needed(&self) -> Result<Option<Plan>> {
        let large = Plan { scratch: self.large, step: self.large_step, stays: SMALL };
        let all = Plan { scratch: self.large + self.small, step: self.large_step.min(self.small_step), stays: 0 };
        let plan = match self.total {
            0..=STACK => return Ok(None),
            total if total - self.large <= STACK => large,
            _ => all,
        };
        if plan.scratch > MOST {
            return Err(Unsupported::new(format!("{} bytes of texts at once", plan.scratch))
                .detail(format!("a value of a per-CPU array has at most {MOST}"))
                .help("read fewer or shorter texts in one query")
                .into());
        }
        Ok(Some(plan))
    }
}

impl Lowerer<'_> {
    /// Begins a step; looks the scratch memory up if this is the first that needs it, so that a row which an earlier filter
    /// rejects does not pay for it.
    pub(super) fn begin_step(&mut self) {
        self.memory.step += 1;
        if self.memory.plan.scratch == 0 || self.memory.plan.step != self.memory.step {
            return;
        }
        // Each program has its own: they differ in size, and one may interrupt the other.
        let holds = matches!(self.fragment.output, bpfquery_plan::Output::Hold { .. });
        let name = if holds { "scratch_hold" } else { "scratch" }.to_string();
        let map = self.build.map(MapData {
            name,
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
        let step = self.memory.step;
        if size > SMALL {
            self.memory.large += size;
            self.memory.large_step = self.memory.large_step.min(step);
        } else {
            self.memory.small += size;
            self.memory.small_step = self.memory.small_step.min(step);
        }
        match self.memory.base {
            Some(base) if size > self.memory.plan.stays => {
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
