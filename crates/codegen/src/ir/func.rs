//! A function and its tables.

use super::{Access, Block, CoreId, GlobalId, Inst, MapId, Op, PtrKind, SlotId, Terminator, Type, Value};
use bpfquery_diag::Span;
use bpfquery_isa::{Helper, Purpose};

/// One BPF program in SSA form, with the tables that it shares with the other programs of its object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Func {
    /// Its name, a C identifier of at most 15 bytes.
    pub name: String,
    /// What the context allows.
    pub context: Context,
    /// Blocks; the first is the entry, whose one parameter is the context pointer.
    pub blocks: Vec<BlockData>,
    /// Instructions, in no order; blocks list them.
    pub insts: Vec<InstData>,
    /// Values.
    pub values: Vec<ValueData>,
    /// Stack slots.
    pub slots: Vec<SlotData>,
    /// Maps of the object.
    pub maps: Vec<MapData>,
    /// Variables of the object.
    pub globals: Vec<GlobalData>,
    /// CO-RE relocations of the object.
    pub cores: Vec<CoreReloc>,
}

/// What loads from the context may touch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Context {
    /// Bytes that may be read.
    pub bytes: u32,
    /// Whether only aligned 8-byte loads are allowed (raw tracepoints, fentry, pt_regs).
    pub words_only: bool,
}

/// A block.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BlockData {
    /// Parameters.
    pub params: Vec<Value>,
    /// Instructions in order.
    pub insts: Vec<Inst>,
    /// How it ends.
    pub terminator: Terminator,
    /// The SQL that the terminator comes from.
    pub span: Span,
    /// Whether it hardly ever runs (a full map, a fault): laid out last.
    pub cold: bool,
}

/// An instruction with its result and its place in the SQL.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct InstData {
    /// What it does.
    pub op: Op,
    /// The value it defines; `None` for stores.
    pub result: Option<Value>,
    /// The SQL that it comes from.
    pub span: Span,
    /// What it is there for; the text form does not say it.
    pub purpose: Purpose,
}

/// A value's type; its definition is in the block or the instruction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ValueData {
    /// Its type.
    pub ty: Type,
}

/// A stack slot.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SlotData {
    /// For the printer: `key`, `comm`.
    pub name: String,
    /// Bytes, a multiple of 8.
    pub size: u32,
}

/// A map of the object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MapData {
    /// At most 15 bytes, a C identifier.
    pub name: String,
    /// What kind.
    pub kind: MapKind,
    /// Bytes of a key; 0 for ring buffers.
    pub key_size: u32,
    /// Bytes of a value (per CPU where the kind is); 0 for ring buffers.
    pub value_size: u32,
    /// Entries; bytes for ring buffers.
    pub max_entries: u32,
}

/// Kinds of maps.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MapKind {
    /// BPF_MAP_TYPE_HASH.
    Hash,
    /// BPF_MAP_TYPE_PERCPU_HASH.
    PerCpuHash,
    /// BPF_MAP_TYPE_ARRAY.
    Array,
    /// BPF_MAP_TYPE_PERCPU_ARRAY.
    PerCpuArray,
    /// BPF_MAP_TYPE_RINGBUF.
    RingBuffer,
    /// BPF_MAP_TYPE_TASK_STORAGE: the key is a task.
    TaskStorage,
}

/// Where a global lives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Global {
    /// Read-only after load; set by the loader.
    Rodata,
    /// Zero at load; counters.
    Bss,
}

/// A global variable.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GlobalData {
    /// A C identifier.
    pub name: String,
    /// Which section.
    pub section: Global,
    /// Bytes from the section's start.
    pub offset: u32,
    /// Bytes.
    pub size: u32,
    /// Initial bytes (`.rodata`), as long as `size`; empty for `.bss`.
    pub init: Vec<u8>,
}

/// A CO-RE relocation: what the loader computes for the kernel it runs on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CoreReloc {
    /// What is computed.
    pub what: CoreWhat,
    /// `vmlinux` or a module: whose BTF `root` is in.
    pub object: String,
    /// The struct that the access starts from, in that BTF.
    pub root: u32,
    /// Member indices from `root`, through embedded structs.
    pub members: Vec<u32>,
    /// For the printer: `dentry.d_name.name`.
    pub text: String,
    /// The value in the target that was compiled for; of what it does not have, by the guess.
    pub local: u32,
    /// What the field probably is where another kernel has it, if this one does not. Without members it is found by the names
    /// in `text`.
    pub guess: Option<Guess>,
}

/// A field that the kernel compiled for does not have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Guess {
    /// An integer.
    Int {
        /// 1, 2, 4 or 8.
        bytes: u32,
        /// Two's complement.
        signed: bool,
    },
    /// An address.
    Pointer,
}

/// What a CO-RE relocation computes (enum bpf_core_relo_kind, include/uapi/linux/bpf.h).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CoreWhat {
    /// Bytes from the struct's start to the field.
    ByteOffset,
    /// The field's bytes.
    ByteSize,
    /// 1 if the field exists, else 0.
    Exists,
    /// The bytes of the root itself; there are no members.
    TypeSize,
    /// Left shift that puts a bitfield (or a short integer) at the top of 64 bits.
    LshiftU64,
    /// Right shift that brings it down from there.
    RshiftU64,
}

impl CoreReloc {
    /// What the loader computes on the kernel that was compiled for: a field that is not there does not exist.
    pub fn here(&self) -> u32 {
        if self.what == CoreWhat::Exists && self.guess.is_some() { 0 } else { self.local }
    }
}

impl BlockData {
    /// Whether a pass has emptied it: nothing in it and no terminator. Such a block is as good as not there.
    pub fn is_removed(&self) -> bool {
        self.params.is_empty() && self.insts.is_empty() && self.terminator == Terminator::None
    }
}

impl Func {
    /// The block's data.
    pub fn block(&self, block: Block) -> &BlockData {
        &self.blocks[block.index()]
    }

    /// The instruction's data.
    pub fn inst(&self, inst: Inst) -> &InstData {
        &self.insts[inst.index()]
    }

    /// The value's type.
    pub fn ty(&self, value: Value) -> Type {
        self.values[value.index()].ty
    }

    /// All blocks in order.
    pub fn block_ids(&self) -> impl Iterator<Item = Block> + use<> {
        (0..u32::try_from(self.blocks.len()).unwrap_or(u32::MAX)).map(Block)
    }

    /// The type of a helper call's result.
    pub fn call_type(&self, helper: Helper, args: &[Value]) -> Type {
        let map = args.first().and_then(|&arg| match self.ty(arg) {
            Type::Ptr { kind: PtrKind::Map(map), .. } => Some(map),
            _ => None,
        });
        match (helper, map) {
            (Helper::MapLookupElem | Helper::TaskStorageGet, Some(map)) => Type::nullable(PtrKind::MapValue(map)),
            (Helper::RingbufReserve, Some(map)) => Type::nullable(PtrKind::Record(map)),
            (Helper::GetCurrentTaskBtf, _) => Type::ptr(PtrKind::Task),
            _ => Type::Int,
        }
    }

    /// The type of the value that `op` defines; `None` when it defines none.
    pub fn result_type(&self, op: &Op) -> Option<Type> {
        match op {
            Op::Load { access: Access::Task, .. } => Some(Type::ptr(PtrKind::Task)),
            Op::Const(_) | Op::Extend { .. } | Op::Load { .. } | Op::Core(_) | Op::Scan(_) => Some(Type::Int),
            Op::Bin(_, a, _) => Some(self.ty(*a)),
            Op::SlotAddr(_) => Some(Type::ptr(PtrKind::Stack)),
            Op::MapAddr(map) => Some(Type::ptr(PtrKind::Map(*map))),
            Op::GlobalAddr(global) => Some(Type::ptr(PtrKind::Global(*global))),
            Op::Call { helper, args } => Some(self.call_type(*helper, args)),
            Op::Store { .. } | Op::AtomicAdd { .. } => None,
        }
    }

    /// The map's data.
    pub fn map(&self, map: MapId) -> &MapData {
        &self.maps[map.index()]
    }

    /// The global's data.
    pub fn global(&self, global: GlobalId) -> &GlobalData {
        &self.globals[global.index()]
    }

    /// The slot's data.
    pub fn slot(&self, slot: SlotId) -> &SlotData {
        &self.slots[slot.index()]
    }

    /// The relocation's data.
    pub fn core(&self, core: CoreId) -> &CoreReloc {
        &self.cores[core.index()]
    }
}
