//! A single SQL value, as user space computes with it.

use serde::{Deserialize, Serialize};

/// A value. All integers, enums, pointers, moments (ns) and durations (ns) are `Int`; the column's type says which.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Datum {
    /// NULL.
    Null,
    /// `boolean`.
    Bool(bool),
    /// Any integer; 128 bits hold every 64-bit one, signed or not, and `sum`'s result.
    Int(i128),
    /// `double precision`.
    Double(f64),
    /// Text: bytes without the NUL; the kernel promises no encoding.
    Text(Vec<u8>),
    /// Counts by bucket: 0 is x < 0, 1 is x = 0, 2 + k is 2^k <= x < 2^(k+1).
    Histogram(Vec<u64>),
}

impl Datum {
    /// Whether it is NULL.
    pub fn is_null(&self) -> bool {
        matches!(self, Datum::Null)
    }
}
