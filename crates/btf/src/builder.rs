//! Makes BTF bytes.
//!
//! - A string is stored once, and so is a type: asking again for an equal one gives the id it has. Variables,
//!   functions and sections are always new.
//! - The same calls in the same order make the same bytes.
//! - What BTF cannot hold (more than 65535 members, 16 MiB of strings) is remembered and fails `finish`.
//!
//! Not checked: whether the kernel likes it (identifiers as names, members inside their struct); see
//! `kernel/bpf/btf.c`, `btf_check_all_metas`, 6.18.

use crate::kind::{Int, Linkage, SecVar, TypeId};
use crate::raw::{MAGIC, TYPE_HEADER};
use crate::{Error, Result};
use std::collections::BTreeMap;

/// The largest string offset the kernel takes, `BTF_MAX_NAME_OFFSET`.
const MAX_STRINGS: usize = 0x00ff_ffff;
/// The most elements of a type that all kernels take, `BTF_MAX_VLEN` before 7.x.
const MAX_ELEMENTS: usize = 0xffff;
/// The most types the kernel takes, `BTF_MAX_TYPE`.
const MAX_TYPES: u32 = 0x000f_ffff;

/// A string's offset in the string section.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct StrOff(pub u32);

/// A member to be written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewMember {
    /// The name; empty for an anonymous struct or union.
    pub name: String,
    /// The type.
    pub ty: TypeId,
    /// Bits from the struct's start.
    pub bit_offset: u32,
    /// A bitfield's width; 0 for an ordinary member.
    pub bits: u8,
}

impl NewMember {
    /// An ordinary member, `offset` bytes from the start.
    pub fn new(name: impl Into<String>, ty: TypeId, offset: u32) -> NewMember {
        NewMember { name: name.into(), ty, bit_offset: offset.saturating_mul(8), bits: 0 }
    }
}

/// A BTF section being made. Ids start at 1 and count up.
#[derive(Clone, Debug)]
pub struct Builder {
    types: Vec<u8>,
    count: u32,
    strings: Vec<u8>,
    offsets: BTreeMap<String, StrOff>,
    /// Types by their bytes.
    known: BTreeMap<Vec<u8>, TypeId>,
    failed: Option<Error>,
}

impl Default for Builder {
    fn default() -> Builder {
        Builder::new()
    }
}

// Kind numbers of include/uapi/linux/btf.h.
const INT: u32 = 1;
const PTR: u32 = 2;
const ARRAY: u32 = 3;
const STRUCT: u32 = 4;
const UNION: u32 = 5;
const ENUM: u32 = 6;
const FWD: u32 = 7;
const TYPEDEF: u32 = 8;
const VOLATILE: u32 = 9;
const CONST: u32 = 10;
const FUNC: u32 = 12;
const FUNC_PROTO: u32 = 13;
const VAR: u32 = 14;
const DATASEC: u32 = 15;
const FLOAT: u32 = 16;
const DECL_TAG: u32 = 17;
const TYPE_TAG: u32 = 18;
const ENUM64: u32 = 19;

const KIND_FLAG: u32 = 1 << 31;

impl Builder {
    /// A section that holds nothing but void and the empty string.
    pub fn new() -> Builder {
        Builder {
            types: Vec::new(),
            count: 0,
            strings: vec![0],
            offsets: BTreeMap::from([(String::new(), StrOff(0))]),
            known: BTreeMap::new(),
            failed: None,
        }
    }

    /// The offset of a string, stored on first use. A string ends at NUL, so a NUL inside is stored as a blank.
    pub fn string(&mut self, text: &str) -> StrOff {
        if let Some(known) = self.offsets.get(text) {
            return *known;
        }
        let at = self.strings.len();
        if at + text.len() > MAX_STRINGS {
            self.fail("BTF strings are longer than 16 MiB");
            return StrOff(0);
        }
        self.strings.extend(text.bytes().map(|b| if b == 0 { b' ' } else { b }));
        self.strings.push(0);
        let offset = StrOff(at as u32);
        self.offsets.insert(text.to_owned(), offset);
        offset
    }

    /// An integer type.
    pub fn int(&mut self, name: &str, int: Int) -> TypeId {
        let encoding = u32::from(int.signed) | u32::from(int.char) << 1 | u32::from(int.bool) << 2;
        let word = encoding << 24 | u32::from(int.offset) << 16 | u32::from(int.bits);
        self.shared(name, INT << 24, int.size, &[word])
    }

    /// An integer of 1, 2, 4 or 8 bytes under its usual C name: `unsigned char`, `long long`, …
    pub fn plain_int(&mut self, size: u32, signed: bool) -> TypeId {
        let name = match (size, signed) {
            (1, true) => "signed char",
            (1, false) => "unsigned char",
            (2, true) => "short",
            (2, false) => "unsigned short",
            (4, true) => "int",
            (4, false) => "unsigned int",
            (8, true) => "long long",
            (8, false) => "unsigned long long",
            (16, true) => "__int128",
            (16, false) => "unsigned __int128",
            _ => {
                self.fail(format!("there is no integer of {size} bytes"));
                return TypeId::VOID;
            }
        };
        self.int(name, Int { size, bits: (size * 8) as u8, offset: 0, signed, bool: false, char: false })
    }

    /// `char`, which is signed on x86-64.
    pub fn char(&mut self) -> TypeId {
        self.int("char", Int { size: 1, bits: 8, offset: 0, signed: true, bool: false, char: false })
    }

    /// `_Bool`.
    pub fn bool(&mut self) -> TypeId {
        self.int("_Bool", Int { size: 1, bits: 8, offset: 0, signed: false, bool: true, char: false })
    }

    /// `T *`; of void, `void *`.
    pub fn ptr(&mut self, to: TypeId) -> TypeId {
        self.shared("", PTR << 24, to.0, &[])
    }

    /// `T [len]`, indexed as clang does by an `__ARRAY_SIZE_TYPE__`.
    pub fn array(&mut self, elem: TypeId, len: u32) -> TypeId {
        let index = Int { size: 4, bits: 32, offset: 0, signed: false, bool: false, char: false };
        let index = self.int("__ARRAY_SIZE_TYPE__", index);
        self.shared("", ARRAY << 24, 0, &[elem.0, index.0, len])
    }

    /// `struct name { … }` of so many bytes. The kernel wants the members in order of their offsets.
    pub fn structure(&mut self, name: &str, size: u32, members: &[NewMember]) -> TypeId {
        self.composite(STRUCT, name, size, members)
    }

    /// `union name { … }` of so many bytes. The kernel wants all offsets to be 0.
    pub fn union(&mut self, name: &str, size: u32, members: &[NewMember]) -> TypeId {
        self.composite(UNION, name, size, members)
    }

    fn composite(&mut self, kind: u32, name: &str, size: u32, members: &[NewMember]) -> TypeId {
        let flag = members.iter().any(|m| m.bits != 0);
        let mut words = Vec::with_capacity(3 * members.len());
        for member in members {
            if flag && member.bit_offset > 0x00ff_ffff {
                self.fail(format!("member {} is too far into a struct that has bitfields", member.name));
            }
            let offset = if flag { u32::from(member.bits) << 24 | member.bit_offset } else { member.bit_offset };
            words.extend([self.string(&member.name).0, member.ty.0, offset]);
        }
        let info = kind << 24 | if flag { KIND_FLAG } else { 0 } | self.vlen(members.len());
        self.shared(name, info, size, &words)
    }

    /// `enum name { … }` of so many bytes; 64-bit (Linux 6.0) only if a value does not fit in 32.
    pub fn enumeration(&mut self, name: &str, size: u32, signed: bool, values: &[(&str, i64)]) -> TypeId {
        let wide = values.iter().any(|(_, v)| i32::try_from(*v).is_err() && (signed || u32::try_from(*v).is_err()));
        let mut words = Vec::new();
        for (name, value) in values {
            words.extend([self.string(name).0, *value as u32]);
            if wide {
                words.push((*value >> 32) as u32);
            }
        }
        let kind = if wide { ENUM64 } else { ENUM };
        let info = kind << 24 | if signed { KIND_FLAG } else { 0 } | self.vlen(values.len());
        self.shared(name, info, size, &words)
    }

    /// `struct name;` or `union name;`
    pub fn forward(&mut self, name: &str, is_union: bool) -> TypeId {
        self.shared(name, FWD << 24 | if is_union { KIND_FLAG } else { 0 }, 0, &[])
    }

    /// `typedef T name;`
    pub fn typedef(&mut self, name: &str, to: TypeId) -> TypeId {
        self.shared(name, TYPEDEF << 24, to.0, &[])
    }

    /// `const T`
    pub fn constant(&mut self, to: TypeId) -> TypeId {
        self.shared("", CONST << 24, to.0, &[])
    }

    /// `volatile T`
    pub fn volatile(&mut self, to: TypeId) -> TypeId {
        self.shared("", VOLATILE << 24, to.0, &[])
    }

    /// `T __attribute__((btf_type_tag("name")))`
    pub fn type_tag(&mut self, name: &str, to: TypeId) -> TypeId {
        self.shared(name, TYPE_TAG << 24, to.0, &[])
    }

    /// `__attribute__((btf_decl_tag("name")))` on a type, or on one of its members or parameters.
    pub fn decl_tag(&mut self, name: &str, on: TypeId, component: Option<u32>) -> TypeId {
        self.shared(name, DECL_TAG << 24, on.0, &[component.unwrap_or(u32::MAX)])
    }

    /// `float`, `double`.
    pub fn float(&mut self, name: &str, size: u32) -> TypeId {
        self.shared(name, FLOAT << 24, size, &[])
    }

    /// `T (params…)`
    pub fn func_proto(&mut self, ret: TypeId, params: &[(&str, TypeId)]) -> TypeId {
        let mut words = Vec::with_capacity(2 * params.len());
        for (name, ty) in params {
            words.extend([self.string(name).0, ty.0]);
        }
        let info = FUNC_PROTO << 24 | self.vlen(params.len());
        self.shared("", info, ret.0, &words)
    }

    /// A function of a prototype.
    pub fn func(&mut self, name: &str, proto: TypeId, linkage: Linkage) -> TypeId {
        let bytes = self.encode(name, FUNC << 24 | linkage as u32, proto.0, &[]);
        self.append(&bytes)
    }

    /// A variable.
    pub fn var(&mut self, name: &str, ty: TypeId, linkage: Linkage) -> TypeId {
        let bytes = self.encode(name, VAR << 24, ty.0, &[linkage as u32]);
        self.append(&bytes)
    }

    /// A section of so many bytes and its variables, in order of their offsets.
    pub fn datasec(&mut self, name: &str, size: u32, vars: &[SecVar]) -> TypeId {
        let words: Vec<u32> = vars.iter().flat_map(|v| [v.var.0, v.offset, v.size]).collect();
        let info = DATASEC << 24 | self.vlen(vars.len());
        let bytes = self.encode(name, info, size, &words);
        self.append(&bytes)
    }

    /// The section's bytes: header, types, strings.
    pub fn finish(self) -> Result<Vec<u8>> {
        if let Some(failed) = self.failed {
            return Err(failed);
        }
        let (types, strings) = (self.types.len() as u32, self.strings.len() as u32);
        let mut bytes = Vec::with_capacity(24 + self.types.len() + self.strings.len());
        bytes.extend(MAGIC.to_le_bytes());
        bytes.extend([1, 0]); // Version 1, no flags.
        for word in [24, 0, types, types, strings] {
            bytes.extend(u32::to_le_bytes(word));
        }
        bytes.extend(self.types);
        bytes.extend(self.strings);
        Ok(bytes)
    }

    /// A type that is the same type whenever its bytes are the same.
    fn shared(&mut self, name: &str, info: u32, third: u32, words: &[u32]) -> TypeId {
        let bytes = self.encode(name, info, third, words);
        if let Some(known) = self.known.get(&bytes) {
            return *known;
        }
        let id = self.append(&bytes);
        self.known.insert(bytes, id);
        id
    }

    fn encode(&mut self, name: &str, info: u32, third: u32, words: &[u32]) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(TYPE_HEADER + 4 * words.len());
        for word in [self.string(name).0, info, third].iter().chain(words) {
            bytes.extend(word.to_le_bytes());
        }
        bytes
    }

    fn append(&mut self, bytes: &[u8]) -> TypeId {
        if self.count == MAX_TYPES {
            self.fail("BTF holds at most 1048575 types");
            return TypeId::VOID;
        }
        self.types.extend(bytes);
        self.count += 1;
        TypeId(self.count)
    }

    fn vlen(&mut self, len: usize) -> u32 {
        if len > MAX_ELEMENTS {
            self.fail(format!("a BTF type holds at most {MAX_ELEMENTS} elements, not {len}"));
            return 0;
        }
        len as u32
    }

    /// Remembers the first failure.
    pub(crate) fn fail(&mut self, message: impl Into<String>) {
        self.failed.get_or_insert_with(|| Error::new(message));
    }
}
