//! The bytes of a BTF section: the header, the length of a type, and a scan of all of them.
//!
//! After `scan`:
//! - every type lies wholly within the type section, its elements included;
//! - the largest type id and the largest string offset that any type mentions are known, so that one comparison
//!   each tells whether all of them exist.
//!
//! Not checked: what types mean (a cycle of typedefs, a member beyond its struct's size). Queries are bounded instead.
//!
//! Layout: `include/uapi/linux/btf.h`, 6.18; the optional layout section: `tools/lib/bpf/btf.c`, 7.2.

use crate::{Error, Result};
use std::ops::Range;

/// `BTF_MAGIC`.
pub(crate) const MAGIC: u16 = 0xeb9f;
/// `sizeof(struct btf_type)`.
pub(crate) const TYPE_HEADER: usize = 12;
/// The header up to and including `str_len`.
const HEADER: usize = 24;
/// The header with `layout_off` and `layout_len`.
const HEADER_WITH_LAYOUT: usize = 32;

/// The little-endian u32 at a byte offset; 0 beyond the end, which `scan` has excluded for all that it checked.
pub(crate) fn u32_at(bytes: &[u8], at: usize) -> u32 {
    match at.checked_add(4).and_then(|end| bytes.get(at..end)) {
        Some(&[a, b, c, d]) => u32::from_le_bytes([a, b, c, d]),
        _ => 0,
    }
}

/// Where the parts of a BTF section lie, as byte ranges that are inside it.
#[derive(Clone, Debug)]
pub(crate) struct Header {
    pub(crate) types: Range<usize>,
    pub(crate) strings: Range<usize>,
    pub(crate) layout: Range<usize>,
}

impl Header {
    /// Reads and checks the header.
    pub(crate) fn parse(bytes: &[u8]) -> Result<Header> {
        let header_len = check_preamble(bytes)?;
        let range = |what: &str, at: usize| -> Result<Range<usize>> {
            let (off, len) = (u32_at(bytes, at) as usize, u32_at(bytes, at + 4) as usize);
            let start = header_len + off;
            match start.checked_add(len) {
                Some(end) if end <= bytes.len() => Ok(start..end),
                _ => Err(Error::new(format!("the BTF {what} section lies beyond the end of the data"))),
            }
        };
        let types = range("type", 8)?;
        let strings = range("string", 16)?;
        let layout = if header_len >= HEADER_WITH_LAYOUT { range("layout", 24)? } else { 0..0 };
        // Type offsets are kept as u32.
        if types.len() > u32::MAX as usize {
            return Err(Error::new("the BTF type section is larger than 4 GiB"));
        }
        Ok(Header { types, strings, layout })
    }
}

/// Checks magic, version and header length; returns the length.
fn check_preamble(bytes: &[u8]) -> Result<usize> {
    match bytes {
        [0x9f, 0xeb, 1, ..] if bytes.len() >= HEADER => {}
        [0x9f, 0xeb, version, ..] if bytes.len() >= HEADER => {
            return Err(Error::new(format!("BTF version {version} is not supported")));
        }
        [0xeb, 0x9f, ..] => return Err(Error::new("big-endian BTF is not supported")),
        _ => return Err(Error::new("this is not BTF: no magic number, or too short")),
    }
    let len = u32_at(bytes, 4) as usize;
    if len < HEADER || len > bytes.len() || !len.is_multiple_of(4) {
        return Err(Error::new(format!("a BTF header cannot have {len} bytes")));
    }
    Ok(len)
}

/// How a kind is stored: words after the 12-byte header, words for each element (no kind has both), and which of them
/// are names or ids.
#[derive(Clone, Copy)]
struct Shape {
    fixed: u8,
    each: u8,
    /// Whether the third header word is a type id (else a size, or unused).
    refers: bool,
    /// Bit n: word n of the fixed part (or, without one, of an element) is a type id.
    ids: u8,
    /// Bit n: word n of an element is a string offset.
    names: u8,
}

const fn shape(fixed: u8, each: u8, refers: bool, ids: u8, names: u8) -> Shape {
    Shape { fixed, each, refers, ids, names }
}

/// By kind number, `BTF_KIND_INT` = 1 to `BTF_KIND_ENUM64` = 19; number 0 is void, which is never stored.
const SHAPES: [Shape; 20] = [
    shape(0, 0, false, 0, 0),
    shape(1, 0, false, 0, 0),        // INT
    shape(0, 0, true, 0, 0),         // PTR
    shape(3, 0, false, 0b011, 0),    // ARRAY: element, index, length
    shape(0, 3, false, 0b010, 0b01), // STRUCT: name, type, offset
    shape(0, 3, false, 0b010, 0b01), // UNION
    shape(0, 2, false, 0, 0b01),     // ENUM: name, value
    shape(0, 0, false, 0, 0),        // FWD
    shape(0, 0, true, 0, 0),         // TYPEDEF
    shape(0, 0, true, 0, 0),         // VOLATILE
    shape(0, 0, true, 0, 0),         // CONST
    shape(0, 0, true, 0, 0),         // RESTRICT
    shape(0, 0, true, 0, 0),         // FUNC: its vlen is the linkage
    shape(0, 2, true, 0b10, 0b01),   // FUNC_PROTO: name, type
    shape(1, 0, true, 0, 0),         // VAR: linkage
    shape(0, 3, false, 0b001, 0),    // DATASEC: type, offset, size
    shape(0, 0, false, 0, 0),        // FLOAT
    shape(1, 0, true, 0, 0),         // DECL_TAG: component
    shape(0, 0, true, 0, 0),         // TYPE_TAG
    shape(0, 3, false, 0, 0b01),     // ENUM64: name, low, high
];

/// The kind number in a type's info word. Up to 6.x kernels it has 5 bits and the two above are zero; 7.2 uses 7.
pub(crate) fn kind_of(info: u32) -> u8 {
    ((info >> 24) & 0x7f) as u8
}

/// The number of elements in a type's info word. 16 bits, and zeroes above, up to 6.x kernels; 24 bits in 7.2.
pub(crate) fn vlen_of(info: u32) -> u32 {
    info & 0x00ff_ffff
}

/// What a pass over all of the type section finds.
pub(crate) struct Scan {
    /// How many types there are.
    pub(crate) count: u32,
    /// The largest type id mentioned.
    pub(crate) max_id: u32,
    /// The largest string offset mentioned.
    pub(crate) max_name: u32,
}

/// Looks at every type and all of its elements. `layout` is the layout section, by which kinds newer than this code are
/// stepped over.
pub(crate) fn scan(types: &[u8], layout: &[u8]) -> Result<Scan> {
    let mut found = Scan { count: 0, max_id: 0, max_name: 0 };
    let mut at = 0;
    while at < types.len() {
        let rest = &types[at..];
        let len = type_len(rest, layout).ok_or_else(|| malformed(&found, rest))?;
        found.one_type(&rest[..len]);
        found.count += 1;
        at += len;
    }
    Ok(found)
}

fn malformed(found: &Scan, rest: &[u8]) -> Error {
    let (nth, kind) = (found.count + 1, kind_of(u32_at(rest, 4)));
    Error::new(format!("BTF type number {nth} (kind {kind}) is unknown or goes beyond the end of the type section"))
}

/// The length in bytes of the type that `rest` starts with; `None` where it does not fit or its kind has no known layout.
/// All of a vmlinux's types pass through here, each telling where the next one starts.
#[inline]
pub(crate) fn type_len(rest: &[u8], layout: &[u8]) -> Option<usize> {
    let info = u32_at(rest.get(..TYPE_HEADER)?, 4);
    let kind = kind_of(info);
    let len = match SHAPES.get(usize::from(kind)) {
        Some(shape) if kind != 0 => {
            let elements = if shape.each == 0 { 0 } else { vlen_of(info) as usize };
            TYPE_HEADER + 4 * (usize::from(shape.fixed) + elements * usize::from(shape.each))
        }
        _ => unknown_len(info, layout)?,
    };
    (len <= rest.len()).then_some(len)
}

impl Scan {
    /// Takes one type in, which is there in full length.
    fn one_type(&mut self, bytes: &[u8]) {
        let (info, third) = (u32_at(bytes, 4), u32_at(bytes, 8));
        self.max_name = self.max_name.max(u32_at(bytes, 0));
        let kind = kind_of(info);
        let (Some(shape), Some(body)) = (SHAPES.get(usize::from(kind)), bytes.get(TYPE_HEADER..)) else { return };
        if kind == 0 {
            return;
        }
        if shape.refers {
            self.max_id = self.max_id.max(third);
        }
        self.references(*shape, body);
    }

    /// Notes the ids and names of the words after a type's header. Most of a BTF's bytes pass through here, in arrays
    /// of known size so that no access needs a check.
    fn references(&mut self, shape: Shape, body: &[u8]) {
        match shape.fixed.max(shape.each) {
            3 => body.as_chunks::<12>().0.iter().for_each(|e| self.element::<3>(shape, words(e))),
            2 => body.as_chunks::<8>().0.iter().for_each(|e| self.element::<2>(shape, words(e))),
            // One word is an encoding, a linkage or a component.
            _ => {}
        }
    }

    fn element<const N: usize>(&mut self, shape: Shape, words: [u32; N]) {
        if shape.names != 0 {
            self.max_name = self.max_name.max(words[0]);
        }
        for (n, word) in words.iter().enumerate() {
            if shape.ids >> n & 1 == 1 {
                self.max_id = self.max_id.max(*word);
            }
        }
    }
}

/// The little-endian words of an element.
fn words<const BYTES: usize, const N: usize>(bytes: &[u8; BYTES]) -> [u32; N] {
    let (words, _) = bytes.as_chunks::<4>();
    std::array::from_fn(|n| words.get(n).map_or(0, |w| u32::from_le_bytes(*w)))
}

/// The length of a type of a kind that only the layout section knows: `{u8 info_sz, u8 elem_sz, u16 flags}` by kind.
fn unknown_len(info: u32, layout: &[u8]) -> Option<usize> {
    let at = 4 * usize::from(kind_of(info));
    let (fixed, each) = match layout.get(at..at + 4)? {
        [fixed, each, ..] if kind_of(info) != 0 && fixed % 4 == 0 && each % 4 == 0 => (*fixed, *each),
        _ => return None,
    };
    Some(TYPE_HEADER + usize::from(fixed) + vlen_of(info) as usize * usize::from(each))
}
