//! How the columns of a record, a key or a group's state lie in memory.

use bpfquery_catalog::SqlType;
use serde::{Deserialize, Serialize};

/// Fields side by side, each aligned to its size; little-endian, as the kernel that writes them.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Layout {
    /// In SQL order; offsets are in an order that needs no padding between fields.
    pub fields: Vec<Field>,
    /// Where the null bits stand, and their bytes (1, 2, 4 or 8); absent where nothing may be NULL.
    pub nulls: Option<(u32, u32)>,
    /// Bytes: a multiple of 8, of a key one of 4.
    pub size: u32,
}

/// A field of a layout.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Field {
    /// The output column's name; BTF's C identifiers are made from these.
    pub name: String,
    /// What its bytes are.
    pub stored: Stored,
    /// Bytes from the layout's start.
    pub offset: u32,
    /// Its bit in the null bits; `None` where it cannot be NULL.
    pub null_bit: Option<u32>,
}

/// What the bytes of a field are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Stored {
    /// An integer of 1, 2, 4 or 8 bytes.
    Int {
        /// 1, 2, 4 or 8.
        bytes: u32,
        /// Two's complement, or not.
        signed: bool,
    },
    /// NUL-ended text in so many bytes; zero behind the NUL where it is part of a key.
    Text {
        /// Bytes, a multiple of 8.
        bytes: u32,
    },
    /// A 128-bit two's complement integer: low 8 bytes, high 8 bytes.
    Wide,
    /// 66 counters of 8 bytes, by bucket (see [`crate::Datum::Histogram`]).
    Buckets,
}

/// How many buckets a histogram has: x < 0, x = 0, and one for each of 64 powers of two.
pub const BUCKETS: u32 = 66;

impl Stored {
    /// How a value of this type stands in a record or a key: `None` for what has no bytes in the kernel.
    pub fn of(ty: &SqlType) -> Option<Stored> {
        match ty {
            SqlType::Bool => Some(Stored::Int { bytes: 1, signed: false }),
            SqlType::Text { width } => Some(Stored::Text { bytes: width.next_multiple_of(8) }),
            _ => ty.scalar().map(|(bits, signed)| Stored::Int { bytes: u32::from(bits) / 8, signed }),
        }
    }

    /// Bytes.
    pub fn bytes(self) -> u32 {
        match self {
            Stored::Int { bytes, .. } | Stored::Text { bytes } => bytes,
            Stored::Wide => 16,
            Stored::Buckets => 8 * BUCKETS,
        }
    }

    /// What its offset is a multiple of.
    pub fn align(self) -> u32 {
        match self {
            Stored::Int { bytes, .. } => bytes,
            Stored::Text { .. } | Stored::Wide | Stored::Buckets => 8,
        }
    }
}

impl Layout {
    /// Lays out named fields, each with whether it may be NULL: widest alignment first, then the null bits, so that nothing is
    /// padded but the end.
    pub fn new(fields: impl IntoIterator<Item = (String, Stored, bool)>) -> Layout {
        let (fields, at, bits) = place(fields);
        let nulls = (bits > 0).then(|| {
            let bytes = bits.div_ceil(8).next_power_of_two();
            (at.next_multiple_of(bytes), bytes)
        });
        let end = nulls.map_or(at, |(offset, bytes)| offset + bytes);
        Layout { fields, nulls, size: end.next_multiple_of(8) }
    }

    /// The same for a hash's key: a multiple of 4 bytes, which the kernel hashes word by word (htab_map_hash, kernel/bpf/hashtab.c,
    /// Linux 6.12), and the null bits as wide as what is left of the last word, so that there is hardly ever a hole.
    pub fn key(fields: impl IntoIterator<Item = (String, Stored, bool)>) -> Layout {
        let (fields, at, bits) = place(fields);
        let nulls = (bits > 0).then(|| {
            let left = [4, 2, 2, 1][(at % 4) as usize];
            let bytes = bits.div_ceil(8).next_power_of_two().max(left);
            (at.next_multiple_of(bytes), bytes)
        });
        let end = nulls.map_or(at, |(offset, bytes)| offset + bytes);
        Layout { fields, nulls, size: end.next_multiple_of(4) }
    }
}

/// The fields in their places, where they end, and how many may be NULL.
fn place(fields: impl IntoIterator<Item = (String, Stored, bool)>) -> (Vec<Field>, u32, u32) {
    let mut next_bit = 0;
    let mut fields: Vec<Field> = fields
        .into_iter()
        .map(|(name, stored, nullable)| {
            let null_bit = nullable.then_some(next_bit);
            next_bit += u32::from(nullable);
            Field { name, stored, offset: 0, null_bit }
        })
        .collect();
    let mut at = 0;
    for align in [8, 4, 2, 1] {
        for field in fields.iter_mut().filter(|field| field.stored.align() == align) {
            field.offset = at;
            at += field.stored.bytes();
        }
    }
    (fields, at, next_bit)
}

#[cfg(test)]
mod tests {
    use super::{Layout, Stored};

    #[test]
    fn keys_have_no_holes_where_words_fill_them() {
        let key = |fields: &[(u32, bool)]| {
            let int = |&(bytes, null): &(u32, bool)| (String::new(), Stored::Int { bytes, signed: false }, null);
            let layout = Layout::key(fields.iter().map(int));
            (layout.size, layout.nulls)
        };
        assert_eq!(key(&[(4, false)]), (4, None));
        assert_eq!(key(&[(8, false), (4, false)]), (12, None));
        assert_eq!(key(&[(8, true)]), (12, Some((8, 4))));
        assert_eq!(key(&[(4, true), (2, false)]), (8, Some((6, 2))));
        assert_eq!(key(&[(2, true), (1, false)]), (4, Some((3, 1))));
        assert_eq!(key(&[(1, true)]), (4, Some((2, 2))));
        assert_eq!(key(&[(2, true); 9]), (20, Some((18, 2))));
        assert_eq!(key(&[(8, true), (4, false), (1, false)]), (16, Some((14, 2))));
    }
}
