//! SQL types, as the whole pipeline speaks of them.

use serde::{Deserialize, Serialize};
use std::fmt;

/// The width of text that does not say one, in bytes with its NUL.
pub const DEFAULT_TEXT: u32 = 256;

/// A SQL type. Integers of 8 to 64 bits live in registers; text lives in memory; `Double`, `Decimal` and `Histogram`
/// exist in user space only.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum SqlType {
    /// `boolean`: 0 or 1.
    Bool,
    /// An integer of 8, 16, 32 or 64 bits.
    Int {
        /// 8, 16, 32 or 64.
        bits: u8,
        /// Two's complement, or not.
        signed: bool,
    },
    /// NUL-ended text in a buffer of `width` bytes, the NUL among them.
    Text {
        /// Bytes, the closing NUL among them.
        width: u32,
    },
    /// A moment. In the kernel: ns of CLOCK_MONOTONIC; shown: wall time (ns since the Unix epoch).
    Timestamp,
    /// A duration in ns, signed.
    Interval,
    /// An enumeration: an integer that is shown by name.
    Enum(EnumType),
    /// An address.
    Pointer {
        /// Whose memory it points into.
        space: Space,
        /// What stands there.
        to: Pointee,
    },
    /// A struct or union that stands in memory at a known address; only its members can be used.
    Struct(TypeRef),
    /// An array that stands in memory.
    Array {
        /// What the elements are.
        element: Box<SqlType>,
        /// How many.
        len: u32,
    },
    /// `double precision`; user space only.
    Double,
    /// `decimal(38,0)`: a 128-bit integer; user space only.
    Decimal,
    /// A histogram of log2 buckets, as `hist` makes it; user space only.
    Histogram {
        /// Whether what was counted are durations, whose bounds have units.
        intervals: bool,
    },
    /// The type of a bare NULL.
    Null,
}

/// An enumeration's own integer type and names, in declaration order.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct EnumType {
    /// The C tag, empty for an anonymous one.
    pub name: String,
    /// 8, 16, 32 or 64.
    pub bits: u8,
    /// Whether values are signed.
    pub signed: bool,
    /// Value and name.
    pub values: Vec<(i64, String)>,
}

/// A type in a kernel's BTF: which object's BTF, and its id there.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct TypeRef {
    /// `vmlinux`, or a module's name.
    pub object: String,
    /// The id in that object's BTF.
    pub id: u32,
    /// The C tag: `task_struct`.
    pub name: String,
}

/// Whose memory a pointer points into.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Space {
    /// The kernel's.
    Kernel,
    /// The current process's.
    User,
    /// Not known: a kprobe's `char *`, which the address itself must tell (x86-64 and arm64 keep the halves apart).
    Unknown,
}

/// What a pointer points at, as far as SQL cares.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Pointee {
    /// `char`: the pointer is text wherever it stands.
    Char,
    /// A struct or union of the kernel's BTF.
    Struct(TypeRef),
    /// Another value: an integer, a pointer.
    Value(Box<SqlType>),
    /// `void`, a function, or nothing that BTF describes.
    Opaque,
}

impl SqlType {
    /// `bigint`.
    pub const I64: SqlType = SqlType::Int { bits: 64, signed: true };
    /// Unsigned 64-bit.
    pub const U64: SqlType = SqlType::Int { bits: 64, signed: false };
    /// `integer`.
    pub const I32: SqlType = SqlType::Int { bits: 32, signed: true };
    /// Unsigned 32-bit.
    pub const U32: SqlType = SqlType::Int { bits: 32, signed: false };

    /// Bits and signedness of what fits a register; `None` for what lives in memory or in user space only.
    pub fn scalar(&self) -> Option<(u8, bool)> {
        match self {
            SqlType::Bool => Some((8, false)),
            SqlType::Int { bits, signed } => Some((*bits, *signed)),
            SqlType::Enum(e) => Some((e.bits, e.signed)),
            SqlType::Timestamp => Some((64, false)),
            SqlType::Interval => Some((64, true)),
            SqlType::Pointer { .. } => Some((64, false)),
            SqlType::Text { .. }
            | SqlType::Struct(_)
            | SqlType::Array { .. }
            | SqlType::Double
            | SqlType::Decimal
            | SqlType::Histogram { .. }
            | SqlType::Null => None,
        }
    }

    /// Whether arithmetic and integer comparison apply: integers and enums.
    pub fn is_integer(&self) -> bool {
        matches!(self, SqlType::Int { .. } | SqlType::Enum(_))
    }

    /// Whether it is text.
    pub fn is_text(&self) -> bool {
        matches!(self, SqlType::Text { .. })
    }

    /// Whether it may be a column of the result.
    pub fn is_output(&self) -> bool {
        !matches!(self, SqlType::Struct(_) | SqlType::Array { .. })
    }
}

impl fmt::Display for SqlType {
    /// The name a user reads: PostgreSQL's where it has one, `unsigned` in front where it has none.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            SqlType::Bool => f.write_str("boolean"),
            SqlType::Int { bits, signed } => {
                let name = match bits {
                    8 => "tinyint",
                    16 => "smallint",
                    32 => "integer",
                    _ => "bigint",
                };
                write!(f, "{}{name}", if *signed { "" } else { "unsigned " })
            }
            SqlType::Text { width } => write!(f, "text({width})"),
            SqlType::Timestamp => f.write_str("timestamp"),
            SqlType::Interval => f.write_str("interval"),
            SqlType::Enum(e) if e.name.is_empty() => f.write_str("enum"),
            SqlType::Enum(e) => write!(f, "enum {}", e.name),
            SqlType::Pointer { to, .. } => write!(f, "{to} *"),
            SqlType::Struct(t) => write!(f, "struct {}", t.name),
            SqlType::Array { element, len } => write!(f, "{element}[{len}]"),
            SqlType::Double => f.write_str("double precision"),
            SqlType::Decimal => f.write_str("decimal(38,0)"),
            SqlType::Histogram { intervals: false } => f.write_str("histogram"),
            SqlType::Histogram { intervals: true } => f.write_str("histogram of interval"),
            SqlType::Null => f.write_str("unknown"),
        }
    }
}

impl fmt::Display for Pointee {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Pointee::Char => f.write_str("char"),
            Pointee::Struct(t) => write!(f, "struct {}", t.name),
            Pointee::Value(ty) => write!(f, "{ty}"),
            Pointee::Opaque => f.write_str("void"),
        }
    }
}
