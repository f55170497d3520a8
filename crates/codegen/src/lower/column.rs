//! Columns of a relation: how each is fetched.

use super::Lowerer;
use crate::ir::{self, BinOp, Block, Context, Global, Value};
use bpfquery_catalog::{Access, Builtin, Column, FieldPath, Hook, SqlType};
use bpfquery_diag::{Failure, Result};
use bpfquery_isa::Helper;
use bpfquery_plan::ColumnId;

/// sizeof(struct pt_regs), arch/x86/include/asm/ptrace.h.
const PT_REGS: u32 = 21 * 8;
/// PERF_MAX_TRACE_SIZE, include/linux/trace_events.h, Linux 6.12: the longest record of a perf tracepoint.
const TRACE_RECORD: u32 = 8192;
/// MAX_BPF_FUNC_ARGS slots of 8 bytes, include/linux/bpf.h, Linux 6.12.
const ARGUMENTS: u32 = 12 * 8;

/// What a program on this hook may read of its context.
pub(super) fn context(hook: &Hook) -> Context {
    match hook {
        Hook::Tracepoint { .. } => Context { bytes: TRACE_RECORD, words_only: false },
        Hook::Kprobe { .. } | Hook::Kretprobe { .. } => Context { bytes: PT_REGS, words_only: true },
        Hook::RawTracepoint { .. } | Hook::Fentry { .. } | Hook::Fexit { .. } => {
            Context { bytes: ARGUMENTS, words_only: true }
        }
        // struct bpf_perf_event_data; nothing of it is a column.
        Hook::Interval { .. } | Hook::Profile { .. } => Context { bytes: PT_REGS + 16, words_only: true },
        Hook::Once | Hook::Listing(_) => Context { bytes: 0, words_only: true },
    }
}

impl<'a> Lowerer<'a> {
    /// The relation's column at this position.
    pub(super) fn column(&self, id: ColumnId) -> Result<&'a Column> {
        self.fragment
            .relation
            .columns
            .get(id.0 as usize)
            .ok_or_else(|| Failure::bug("lower", format!("column {} of {}", id.0, self.fragment.relation.name)))
    }

    /// A column that fits a register.
    pub(super) fn scalar_column(&mut self, column: &Column, null: Block) -> Result<Value> {
        match &column.access {
            Access::Builtin(builtin) => self.builtin(*builtin, null),
            Access::Context { offset, size } => self.context_field(&column.ty, *offset, *size),
            Access::Member { offset, path } => self.member(column, *offset, path),
            Access::Held { .. } => self.held_scalar(column, null),
            Access::DataLocation { .. } => Err(Failure::bug("lower", format!("{} as a number", column.name))),
            Access::Listed { .. } | Access::Unreachable => Err(unreachable(column)),
        }
    }

    fn context_field(&mut self, ty: &SqlType, offset: u16, size: u16) -> Result<Value> {
        let access = ir::Access::of_bytes(u32::from(size));
        let (Some(access), Some((bits, signed)), Ok(offset)) = (access, ty.scalar(), i16::try_from(offset)) else {
            return Err(Failure::bug("lower", format!("{size} bytes of context at {offset} as {ty}")));
        };
        let word = self.build.load(access, self.context, offset);
        let narrower = u16::from(bits) < size * 8 || signed;
        Ok(if narrower { self.build.extend(bits, signed, word) } else { word })
    }

    /// A field of the struct that a pointer in the context leads to, read once on each path.
    fn member(&mut self, column: &Column, offset: u16, path: &FieldPath) -> Result<Value> {
        let key = format!("{:?}", column.access);
        if let Some(value) = self.known(&key) {
            return Ok(value);
        }
        let base = self.context_field(&SqlType::U64, offset, 8)?;
        let value = self.read_sure_field(base, path, &column.ty)?;
        self.remember(key, value);
        Ok(value)
    }

    /// The address of such a field.
    pub(super) fn member_address(&mut self, offset: u16, path: &FieldPath) -> Result<Value> {
        let base = self.context_field(&SqlType::U64, offset, 8)?;
        Ok(self.field_address(base, path))
    }

    fn builtin(&mut self, builtin: Builtin, null: Block) -> Result<Value> {
        Ok(match builtin {
            Builtin::Ts => self.now(),
            Builtin::Elapsed => {
                let start = self.start_ns();
                let now = self.now();
                self.build.bin(BinOp::Sub, now, start)
            }
            Builtin::Pid => self.upper_half(Helper::GetCurrentPidTgid),
            Builtin::Tid => self.lower_half(Helper::GetCurrentPidTgid),
            Builtin::Uid => self.lower_half(Helper::GetCurrentUidGid),
            Builtin::Gid => self.upper_half(Helper::GetCurrentUidGid),
            Builtin::Cpu => self.lower_half(Helper::GetSmpProcessorId),
            Builtin::CgroupId => self.build.call(Helper::GetCurrentCgroupId, &[]),
            Builtin::Ppid => self.parent(null)?,
            Builtin::Comm | Builtin::Probe => {
                return Err(Failure::bug("lower", format!("{} as a number", builtin.name())));
            }
        })
    }

    fn upper_half(&mut self, helper: Helper) -> Value {
        let both = self.build.call(helper, &[]);
        self.build.bin_imm(BinOp::Lshr, both, 32)
    }

    fn lower_half(&mut self, helper: Helper) -> Value {
        let both = self.build.call(helper, &[]);
        self.build.extend(32, false, both)
    }

    /// `current->real_parent->tgid`.
    fn parent(&mut self, null: Block) -> Result<Value> {
        if let Some(parent) = self.typed_parent() {
            return Ok(parent);
        }
        let Some((real_parent, tgid)) = self.facts.parent.clone() else {
            return Err(Failure::bug("lower", "ppid without the layout of task_struct"));
        };
        let task = self.build.call(Helper::GetCurrentTask, &[]);
        let parent = self.read_field(Helper::ProbeReadKernel, task, &real_parent, &SqlType::U64, null)?;
        self.read_field(Helper::ProbeReadKernel, parent, &tgid, &SqlType::U32, null)
    }

    /// The event's time in ns of CLOCK_MONOTONIC.
    pub(super) fn now(&mut self) -> Value {
        // `prefetch` has read the clock at a place that dominates all uses.
        self.now.unwrap_or_else(|| self.build.call(Helper::KtimeGetNs, &[]))
    }

    fn start_ns(&mut self) -> Value {
        let known = self.globals.start_ns;
        let id = known.unwrap_or_else(|| self.global("start_ns".to_string(), Global::Rodata, vec![0; 8]));
        self.globals.start_ns = Some(id);
        let address = self.build.global_addr(id);
        self.build.load(ir::Access::U64, address, 0)
    }

    /// CLOCK_REALTIME minus CLOCK_MONOTONIC in ns.
    fn wall_offset(&mut self) -> Value {
        let known = self.globals.wall_offset;
        let id = known.unwrap_or_else(|| self.global("wall_offset".to_string(), Global::Rodata, vec![0; 8]));
        self.globals.wall_offset = Some(id);
        let address = self.build.global_addr(id);
        self.build.load(ir::Access::U64, address, 0)
    }

    /// The start of the window that the event lies in: `now - (now + wall_offset) % size`, in CLOCK_MONOTONIC ns, so that it
    /// is shown as wall time like any other timestamp.
    pub(super) fn tumble(&mut self, size_ns: u64) -> Value {
        let now = self.now();
        let offset = self.wall_offset();
        let wall = self.build.bin(BinOp::Add, now, offset);
        let size = self.build.iconst(size_ns.cast_signed());
        let into = self.build.bin(BinOp::UMod, wall, size);
        self.build.bin(BinOp::Sub, now, into)
    }
}

/// The hook was chosen for a query that does not use the column, and here it is used.
pub(super) fn unreachable(column: &Column) -> Failure {
    Failure::bug("lower", format!("{} is out of reach on this hook", column.name))
}
