//! The words of the text form, one table for printing and parsing.
//!
//! Every variant stands in its table: what is missing prints as `?`, which does not parse.

use super::{Access, BinOp, Cond, CoreWhat, Global, Guess, MapKind, Stop};

pub(super) const ACCESSES: [(Access, &str); 5] =
    [(Access::U8, "u8"), (Access::U16, "u16"), (Access::U32, "u32"), (Access::U64, "u64"), (Access::Task, "task")];

pub(super) const BIN_OPS: [(BinOp, &str); 11] = [
    (BinOp::Add, "add"),
    (BinOp::Sub, "sub"),
    (BinOp::Mul, "mul"),
    (BinOp::UDiv, "udiv"),
    (BinOp::UMod, "umod"),
    (BinOp::And, "and"),
    (BinOp::Or, "or"),
    (BinOp::Xor, "xor"),
    (BinOp::Shl, "shl"),
    (BinOp::Lshr, "lshr"),
    (BinOp::Ashr, "ashr"),
];

pub(super) const CONDS: [(Cond, &str); 10] = [
    (Cond::Eq, "eq"),
    (Cond::Ne, "ne"),
    (Cond::Ult, "ult"),
    (Cond::Ule, "ule"),
    (Cond::Ugt, "ugt"),
    (Cond::Uge, "uge"),
    (Cond::Slt, "slt"),
    (Cond::Sle, "sle"),
    (Cond::Sgt, "sgt"),
    (Cond::Sge, "sge"),
];

pub(super) const STOPS: [(Stop, &str); 4] =
    [(Stop::Never, "all"), (Stop::Dead, "dead"), (Stop::Done, "done"), (Stop::Either, "either")];

pub(super) const MAP_KINDS: [(MapKind, &str); 6] = [
    (MapKind::Hash, "hash"),
    (MapKind::PerCpuHash, "percpu_hash"),
    (MapKind::Array, "array"),
    (MapKind::PerCpuArray, "percpu_array"),
    (MapKind::RingBuffer, "ringbuf"),
    (MapKind::TaskStorage, "task_storage"),
];

pub(super) const SECTIONS: [(Global, &str); 2] = [(Global::Rodata, "rodata"), (Global::Bss, "bss")];

pub(super) const CORE_KINDS: [(CoreWhat, &str); 6] = [
    (CoreWhat::ByteOffset, "byte_offset"),
    (CoreWhat::ByteSize, "byte_size"),
    (CoreWhat::Exists, "exists"),
    (CoreWhat::TypeSize, "type_size"),
    (CoreWhat::LshiftU64, "lshift_u64"),
    (CoreWhat::RshiftU64, "rshift_u64"),
];

pub(super) const GUESSES: [(Guess, &str); 9] = [
    (int(1, false), "u8"),
    (int(2, false), "u16"),
    (int(4, false), "u32"),
    (int(8, false), "u64"),
    (int(1, true), "s8"),
    (int(2, true), "s16"),
    (int(4, true), "s32"),
    (int(8, true), "s64"),
    (Guess::Pointer, "pointer"),
];

const fn int(bytes: u32, signed: bool) -> Guess {
    Guess::Int { bytes, signed }
}

/// The word for `item`.
pub(super) fn word<T: PartialEq + Copy>(table: &[(T, &'static str)], item: T) -> &'static str {
    table.iter().find(|(known, _)| *known == item).map_or("?", |(_, word)| word)
}

/// What the word means.
pub(super) fn meaning<T: Copy>(table: &[(T, &'static str)], word: &str) -> Option<T> {
    table.iter().find(|(_, known)| *known == word).map(|(item, _)| *item)
}
