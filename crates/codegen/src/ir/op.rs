//! Instructions and terminators.

use super::{Args, Block, CoreId, GlobalId, MapId, SlotId, Value};
use bpfquery_isa::Helper;

/// The type of a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Type {
    /// 64 bits without an address's rights: a number, or an address that only probe reads may follow.
    Int,
    /// An address that loads and stores may use.
    Ptr {
        /// What it points into.
        kind: PtrKind,
        /// Whether it may be null; then only `branch_null` may use it.
        nullable: bool,
    },
}

/// What a pointer points into, as the verifier tracks it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum PtrKind {
    /// The program's context.
    Context,
    /// The function's own stack.
    Stack,
    /// A value of this map.
    MapValue(MapId),
    /// A map itself, as helpers take it.
    Map(MapId),
    /// A reserved ring-buffer record of this map.
    Record(MapId),
    /// `.rodata` or `.bss`.
    Global(GlobalId),
    /// The current thread's `task_struct`, or one that it leads to: loads from it do not fault, and nothing is stored.
    Task,
}

/// The width of a memory access, and how a load fills the other bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Access {
    /// One byte, zero-extended.
    U8,
    /// Two bytes, zero-extended.
    U16,
    /// Four bytes, zero-extended.
    U32,
    /// Eight bytes.
    U64,
    /// The address of another `task_struct`, of which only loads from a task make a pointer.
    Task,
}

/// Two-operand arithmetic on 64 bits, wrapping.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum BinOp {
    /// `a + b`; also pointer + int.
    Add,
    /// `a - b`.
    Sub,
    /// `a * b`.
    Mul,
    /// Unsigned `a / b`, 0 when `b` is 0 (as BPF defines it; lowering tests for NULL first).
    UDiv,
    /// Unsigned `a % b`, `a` when `b` is 0.
    UMod,
    /// `a & b`.
    And,
    /// `a | b`.
    Or,
    /// `a ^ b`.
    Xor,
    /// `a << (b & 63)`.
    Shl,
    /// Logical `a >> (b & 63)`.
    Lshr,
    /// Arithmetic `a >> (b & 63)`.
    Ashr,
}

/// A comparison of two 64-bit integers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Cond {
    /// `a == b`.
    Eq,
    /// `a != b`.
    Ne,
    /// Unsigned `a < b`.
    Ult,
    /// Unsigned `a <= b`.
    Ule,
    /// Unsigned `a > b`.
    Ugt,
    /// Unsigned `a >= b`.
    Uge,
    /// Signed `a < b`.
    Slt,
    /// Signed `a <= b`.
    Sle,
    /// Signed `a > b`.
    Sgt,
    /// Signed `a >= b`.
    Sge,
}

/// An instruction; it defines at most one value.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Op {
    /// A constant.
    Const(i64),
    /// `a op b`. With `Add` (and `Sub` of an int from a pointer) `a` may be a pointer; then so is the result.
    Bin(BinOp, Value, Value),
    /// The low `bits` (8, 16, 32) of a value, sign- or zero-extended to 64.
    Extend {
        /// 8, 16 or 32.
        bits: u8,
        /// Sign-extend, else zero-extend.
        signed: bool,
        /// The wider value.
        value: Value,
    },
    /// `*(access *)(base + offset)`, zero-extended. `base` is a non-null pointer.
    Load {
        /// Width.
        access: Access,
        /// A non-null pointer.
        base: Value,
        /// Bytes.
        offset: i16,
    },
    /// `*(access *)(base + offset) = value`; defines nothing. Storing a pointer (any kind) stores its 8 bytes only to the
    /// stack.
    Store {
        /// Width.
        access: Access,
        /// A non-null pointer to the stack, a map value, a record or `.bss`.
        base: Value,
        /// Bytes.
        offset: i16,
        /// What is stored; its low bits.
        value: Value,
    },
    /// `lock *(u64 *)(base + offset) += value`; defines nothing.
    AtomicAdd {
        /// A non-null pointer to a map value or `.bss`.
        base: Value,
        /// Bytes.
        offset: i16,
        /// The addend.
        value: Value,
    },
    /// The address of a stack slot's first byte.
    SlotAddr(SlotId),
    /// A map, as helpers take it.
    MapAddr(MapId),
    /// The address of a global variable.
    GlobalAddr(GlobalId),
    /// A number that the loader fills in by CO-RE: a field's offset, size, shift, or existence. `local` is its value in
    /// the target that was compiled for.
    Core(CoreId),
    /// A helper call. Arguments as the helper takes them; the result is an int, or the maybe-null pointer that
    /// `Func::call_type` says. A call of a helper that returns nothing useful still defines a value.
    Call {
        /// Which.
        helper: Helper,
        /// At most five.
        args: Args,
    },
    /// A text goes through an automaton, byte by byte up to its NUL: see [`Scan`]. The state behind the last byte.
    Scan(Scan),
}

/// An automaton over a text: `state = start; for each c: state = (state & table[c].0) << 1 | state & table[c].1`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Scan {
    /// A non-null pointer to the text.
    pub text: Value,
    /// The address of a variable in `.rodata`: for each byte two words, [`Scan::TABLE`] bytes.
    pub table: Value,
    /// How many bytes it looks at where no NUL comes before; 1 or more.
    pub bytes: u32,
    /// The first state.
    pub start: i64,
    /// Where it may stop earlier.
    pub stop: Stop,
}

/// States that more bytes do not change.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Stop {
    /// None is known.
    Never,
    /// 0.
    Dead,
    /// A negative one, as far as the sign is concerned.
    Done,
    /// Both.
    Either,
}

impl Scan {
    /// Bytes of a table.
    pub const TABLE: u32 = 4096;
}

impl Stop {
    /// Whether 0 stops it.
    pub fn dead(self) -> bool {
        matches!(self, Stop::Dead | Stop::Either)
    }

    /// Whether a negative state stops it.
    pub fn done(self) -> bool {
        matches!(self, Stop::Done | Stop::Either)
    }
}

/// How a block ends. Arguments fill the target block's parameters.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Terminator {
    /// Goes on in a block.
    Jump(Block, Vec<Value>),
    /// `if a cond b then else`.
    Branch {
        /// The comparison.
        cond: Cond,
        /// Left side: an int.
        a: Value,
        /// Right side: an int.
        b: Value,
        /// Where to go if it holds.
        then: (Block, Vec<Value>),
        /// Where to go if not.
        otherwise: (Block, Vec<Value>),
    },
    /// Tests a maybe-null pointer. `non_null`'s first parameter receives the pointer as non-null, the listed arguments follow.
    BranchNull {
        /// A nullable pointer.
        pointer: Value,
        /// Where to go with null.
        null: (Block, Vec<Value>),
        /// Where to go with an address.
        non_null: (Block, Vec<Value>),
    },
    /// Ends the program with this result.
    Return(Value),
    /// Not set yet; the verifier rejects it.
    None,
}

impl Access {
    /// Bytes.
    pub fn bytes(self) -> u32 {
        match self {
            Access::U8 => 1,
            Access::U16 => 2,
            Access::U32 => 4,
            Access::U64 | Access::Task => 8,
        }
    }

    /// The access of so many bytes: 1, 2, 4 or 8.
    pub fn of_bytes(bytes: u32) -> Option<Access> {
        match bytes {
            1 => Some(Access::U8),
            2 => Some(Access::U16),
            4 => Some(Access::U32),
            8 => Some(Access::U64),
            _ => None,
        }
    }
}

impl Type {
    /// A non-null pointer.
    pub fn ptr(kind: PtrKind) -> Type {
        Type::Ptr { kind, nullable: false }
    }

    /// A pointer that may be null.
    pub fn nullable(kind: PtrKind) -> Type {
        Type::Ptr { kind, nullable: true }
    }
}

impl Op {
    /// The values it reads, in the order that it prints them.
    pub fn operands(&self) -> impl Iterator<Item = Value> + use<'_> {
        let (first, second, rest): (_, _, &[Value]) = match self {
            Op::Const(_) | Op::SlotAddr(_) | Op::MapAddr(_) | Op::GlobalAddr(_) | Op::Core(_) => (None, None, &[]),
            Op::Bin(_, a, b) => (Some(a), Some(b), &[]),
            Op::Extend { value, .. } => (Some(value), None, &[]),
            Op::Load { base, .. } => (Some(base), None, &[]),
            Op::Store { base, value, .. } | Op::AtomicAdd { base, value, .. } => (Some(base), Some(value), &[]),
            Op::Call { args, .. } => (None, None, args),
            Op::Scan(scan) => (Some(&scan.text), Some(&scan.table), &[]),
        };
        first.into_iter().chain(second).chain(rest).copied()
    }

    /// The same, to be replaced.
    pub fn operands_mut(&mut self) -> impl Iterator<Item = &mut Value> {
        let (first, second, rest): (_, _, &mut [Value]) = match self {
            Op::Const(_) | Op::SlotAddr(_) | Op::MapAddr(_) | Op::GlobalAddr(_) | Op::Core(_) => (None, None, &mut []),
            Op::Bin(_, a, b) => (Some(a), Some(b), &mut []),
            Op::Extend { value, .. } => (Some(value), None, &mut []),
            Op::Load { base, .. } => (Some(base), None, &mut []),
            Op::Store { base, value, .. } | Op::AtomicAdd { base, value, .. } => (Some(base), Some(value), &mut []),
            Op::Call { args, .. } => (None, None, args),
            Op::Scan(scan) => (Some(&mut scan.text), Some(&mut scan.table), &mut []),
        };
        first.into_iter().chain(second).chain(rest)
    }
}

impl Terminator {
    /// The values it reads: what it tests, then the arguments it passes on.
    pub fn operands(&self) -> impl Iterator<Item = Value> + use<'_> {
        let (first, second) = match self {
            Terminator::Jump(..) | Terminator::None => (None, None),
            Terminator::Branch { a, b, .. } => (Some(*a), Some(*b)),
            Terminator::BranchNull { pointer, .. } => (Some(*pointer), None),
            Terminator::Return(value) => (Some(*value), None),
        };
        first.into_iter().chain(second).chain(self.targets().flat_map(|(_, args)| args).copied())
    }

    /// The same, to be replaced.
    pub fn operands_mut(&mut self) -> impl Iterator<Item = &mut Value> {
        let (first, second, ways): (_, _, [&mut [Value]; 2]) = match self {
            Terminator::None => (None, None, [&mut [], &mut []]),
            Terminator::Jump(_, args) => (None, None, [args, &mut []]),
            Terminator::Branch { a, b, then, otherwise, .. } => (Some(a), Some(b), [&mut then.1, &mut otherwise.1]),
            Terminator::BranchNull { pointer, null, non_null } => (Some(pointer), None, [&mut null.1, &mut non_null.1]),
            Terminator::Return(value) => (Some(value), None, [&mut [], &mut []]),
        };
        first.into_iter().chain(second).chain(ways.into_iter().flatten())
    }

    /// The blocks it may go to, with the arguments for each; `BranchNull`'s pointer argument is not among them.
    pub fn targets(&self) -> impl DoubleEndedIterator<Item = (Block, &[Value])> + Clone {
        let (first, second): (Option<(Block, &[Value])>, _) = match self {
            Terminator::Jump(block, args) => (Some((*block, args)), None),
            Terminator::Branch { then: (a, x), otherwise: (b, y), .. }
            | Terminator::BranchNull { null: (a, x), non_null: (b, y), .. } => {
                (Some((*a, x)), Some((*b, y.as_slice())))
            }
            Terminator::Return(_) | Terminator::None => (None, None),
        };
        first.into_iter().chain(second)
    }

    /// The same, to be changed.
    pub fn targets_mut(&mut self) -> impl DoubleEndedIterator<Item = (&mut Block, &mut Vec<Value>)> {
        let (first, second) = match self {
            Terminator::Jump(block, args) => (Some((block, args)), None),
            Terminator::Branch { then: (a, x), otherwise: (b, y), .. }
            | Terminator::BranchNull { null: (a, x), non_null: (b, y), .. } => (Some((a, x)), Some((b, y))),
            Terminator::Return(_) | Terminator::None => (None, None),
        };
        first.into_iter().chain(second)
    }
}
