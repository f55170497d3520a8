//! What a type is: borrowed views on its bytes. Nothing is copied; elements are read as they are iterated.

use crate::btf::Btf;
use crate::raw::{u32_at, vlen_of};
use std::fmt;

/// A type's number within one BTF. 0 is void. Numbers of a split BTF continue after its base's.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TypeId(pub u32);

impl TypeId {
    /// The type that is no type.
    pub const VOID: TypeId = TypeId(0);
}

/// `[12]`, as bpftool prints it.
impl fmt::Display for TypeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "[{}]", self.0)
    }
}

/// The name of a kind, for searching. `Enum` covers `BTF_KIND_ENUM` and `BTF_KIND_ENUM64`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[expect(missing_docs, reason = "the variants are those of `Kind`, which documents them")]
pub enum Tag {
    Void,
    Int,
    Ptr,
    Array,
    Struct,
    Union,
    Enum,
    Fwd,
    Typedef,
    Volatile,
    Const,
    Restrict,
    Func,
    FuncProto,
    Var,
    Datasec,
    Float,
    DeclTag,
    TypeTag,
    Unknown,
}

impl Tag {
    /// The tag of a kind number of `include/uapi/linux/btf.h`.
    pub(crate) fn of(kind: u8) -> Tag {
        const TAGS: [Tag; 20] = [
            Tag::Void,
            Tag::Int,
            Tag::Ptr,
            Tag::Array,
            Tag::Struct,
            Tag::Union,
            Tag::Enum,
            Tag::Fwd,
            Tag::Typedef,
            Tag::Volatile,
            Tag::Const,
            Tag::Restrict,
            Tag::Func,
            Tag::FuncProto,
            Tag::Var,
            Tag::Datasec,
            Tag::Float,
            Tag::DeclTag,
            Tag::TypeTag,
            Tag::Enum,
        ];
        TAGS.get(usize::from(kind)).copied().unwrap_or(Tag::Unknown)
    }
}

/// An integer type.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Int {
    /// Bytes of storage.
    pub size: u32,
    /// Bits of value; fewer than `8 * size` only in the old bitfield encoding.
    pub bits: u8,
    /// Bits from the start of the storage; not 0 only in the old bitfield encoding.
    pub offset: u8,
    /// Two's complement.
    pub signed: bool,
    /// `_Bool`.
    pub bool: bool,
    /// Marked as a character. Compilers leave this off: `char` is an 8-bit int.
    pub char: bool,
}

/// An array type.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Array {
    /// The type of an element.
    pub elem: TypeId,
    /// The type of the index, which C does not have; an unsigned int.
    pub index: TypeId,
    /// The number of elements; 0 for a flexible array.
    pub len: u32,
}

/// A type, by kind.
#[derive(Clone, Copy, Debug)]
pub enum Kind<'a> {
    /// No type: id 0, or an id that this BTF does not have.
    Void,
    /// An integer.
    Int(Int),
    /// A pointer to a type.
    Ptr(TypeId),
    /// An array.
    Array(Array),
    /// A struct.
    Struct(Composite<'a>),
    /// A union.
    Union(Composite<'a>),
    /// An enumeration of up to 32 bits, or (`wide`) of 64.
    Enum(Enum<'a>),
    /// A struct or union that is declared and not defined.
    Fwd {
        /// Whether it is a union.
        is_union: bool,
    },
    /// Another name for a type.
    Typedef(TypeId),
    /// `volatile`.
    Volatile(TypeId),
    /// `const`.
    Const(TypeId),
    /// `restrict`.
    Restrict(TypeId),
    /// A function.
    Func(Func),
    /// A function's parameters and result.
    FuncProto(FuncProto<'a>),
    /// A variable.
    Var(Var),
    /// A section of variables.
    Datasec(Datasec<'a>),
    /// A floating point number of so many bytes.
    Float {
        /// Bytes.
        size: u32,
    },
    /// `btf_decl_tag`: a note on a type, a member, a parameter. The note is the type's name.
    DeclTag {
        /// What the note is on.
        ty: TypeId,
        /// Which member or parameter; `None` for the whole.
        component: Option<u32>,
    },
    /// `btf_type_tag`: a note within a type, such as `user`. The note is the type's name.
    TypeTag(TypeId),
    /// A kind newer than this code, which the BTF's layout section let it step over.
    Unknown(u8),
}

impl Kind<'_> {
    /// The kind without its contents.
    pub fn tag(&self) -> Tag {
        match self {
            Kind::Void => Tag::Void,
            Kind::Int(_) => Tag::Int,
            Kind::Ptr(_) => Tag::Ptr,
            Kind::Array(_) => Tag::Array,
            Kind::Struct(_) => Tag::Struct,
            Kind::Union(_) => Tag::Union,
            Kind::Enum(_) => Tag::Enum,
            Kind::Fwd { .. } => Tag::Fwd,
            Kind::Typedef(_) => Tag::Typedef,
            Kind::Volatile(_) => Tag::Volatile,
            Kind::Const(_) => Tag::Const,
            Kind::Restrict(_) => Tag::Restrict,
            Kind::Func(_) => Tag::Func,
            Kind::FuncProto(_) => Tag::FuncProto,
            Kind::Var(_) => Tag::Var,
            Kind::Datasec(_) => Tag::Datasec,
            Kind::Float { .. } => Tag::Float,
            Kind::DeclTag { .. } => Tag::DeclTag,
            Kind::TypeTag(_) => Tag::TypeTag,
            Kind::Unknown(_) => Tag::Unknown,
        }
    }
}

/// The elements of a type: `vlen` records of a fixed number of words, and the strings that they name.
#[derive(Clone, Copy)]
struct Elements<'a> {
    btf: &'a Btf,
    bytes: &'a [u8],
    stride: usize,
}

impl<'a> Elements<'a> {
    /// The words of each element; those beyond the element's size read as 0.
    fn iter(self) -> impl ExactSizeIterator<Item = [u32; 3]> + use<'a> {
        self.bytes.chunks_exact(self.stride).map(|e| [u32_at(e, 0), u32_at(e, 4), u32_at(e, 8)])
    }
}

/// A struct or union.
#[derive(Clone, Copy)]
pub struct Composite<'a> {
    /// Bytes.
    pub size: u32,
    /// Whether it is a union.
    pub is_union: bool,
    kind_flag: bool,
    elements: Elements<'a>,
}

impl<'a> Composite<'a> {
    /// The members in order.
    pub fn members(&self) -> impl ExactSizeIterator<Item = Member<'a>> + use<'a> {
        let btf = self.elements.btf;
        self.unnamed().map(move |(name, member)| Member { name: btf.name_at(name), ..member })
    }

    /// The members without their names, for whoever looks for one of many: where each one's name starts, and the rest.
    pub(crate) fn unnamed(&self) -> impl ExactSizeIterator<Item = (u32, Member<'static>)> + use<'a> {
        let kind_flag = self.kind_flag;
        self.elements.iter().map(move |[name, ty, offset]| {
            // With the kind flag, the upper 8 bits of the offset are the bitfield's size.
            let (bit_offset, bits) = if kind_flag { (offset & 0x00ff_ffff, offset >> 24) } else { (offset, 0) };
            let bits = (bits != 0).then_some(bits as u8);
            (name, Member { name: "", ty: TypeId(ty), bit_offset, bits })
        })
    }
}

/// A member of a struct or union.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Member<'a> {
    /// The name; empty for an anonymous struct or union, or an unnamed bitfield.
    pub name: &'a str,
    /// The type.
    pub ty: TypeId,
    /// Bits from the start of the struct.
    pub bit_offset: u32,
    /// The width of a bitfield in the new encoding. (In the old one, it is in the member's int type.)
    pub bits: Option<u8>,
}

/// An enumeration.
#[derive(Clone, Copy)]
pub struct Enum<'a> {
    /// Bytes.
    pub size: u32,
    /// Whether values are signed. Kernels before 6.0 never say so.
    pub signed: bool,
    /// Whether it is a `BTF_KIND_ENUM64`.
    pub wide: bool,
    elements: Elements<'a>,
}

impl<'a> Enum<'a> {
    /// Names and values in order. An unsigned 64-bit value above `i64::MAX` is its two's complement.
    pub fn values(&self) -> impl ExactSizeIterator<Item = (&'a str, i64)> + use<'a> {
        let (btf, wide, signed) = (self.elements.btf, self.wide, self.signed);
        self.elements.iter().map(move |[name, low, high]| {
            let value = match (wide, signed) {
                (true, _) => (u64::from(high) << 32 | u64::from(low)).cast_signed(),
                (false, true) => i64::from(low.cast_signed()),
                (false, false) => i64::from(low),
            };
            (btf.name_at(name), value)
        })
    }
}

/// How a function or variable can be reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Linkage {
    /// Within its file.
    Static = 0,
    /// From everywhere.
    Global = 1,
    /// Defined elsewhere.
    Extern = 2,
}

impl Linkage {
    /// `BTF_FUNC_*` and `BTF_VAR_*`; a number that is neither is taken for static.
    fn of(number: u32) -> Linkage {
        match number {
            1 => Linkage::Global,
            2 => Linkage::Extern,
            _ => Linkage::Static,
        }
    }
}

/// A function.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Func {
    /// Its `FuncProto`.
    pub proto: TypeId,
    /// Who can call it.
    pub linkage: Linkage,
}

/// Parameters and result of a function.
#[derive(Clone, Copy)]
pub struct FuncProto<'a> {
    /// What it returns; void for nothing.
    pub ret: TypeId,
    elements: Elements<'a>,
}

impl<'a> FuncProto<'a> {
    /// The parameters in order. A variadic function ends with a void one without a name.
    pub fn params(&self) -> impl ExactSizeIterator<Item = Param<'a>> + use<'a> {
        let btf = self.elements.btf;
        self.elements.iter().map(move |[name, ty, _]| Param { name: btf.name_at(name), ty: TypeId(ty) })
    }
}

/// A parameter of a function.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Param<'a> {
    /// The name; may be empty.
    pub name: &'a str,
    /// The type.
    pub ty: TypeId,
}

/// A variable.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Var {
    /// Its type.
    pub ty: TypeId,
    /// Who can reach it.
    pub linkage: Linkage,
}

/// A section of variables.
#[derive(Clone, Copy)]
pub struct Datasec<'a> {
    /// Bytes of the section.
    pub size: u32,
    elements: Elements<'a>,
}

impl<'a> Datasec<'a> {
    /// The variables in order.
    pub fn vars(&self) -> impl ExactSizeIterator<Item = SecVar> + use<'a> {
        self.elements.iter().map(|[ty, offset, size]| SecVar { var: TypeId(ty), offset, size })
    }
}

/// A variable's place in its section.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SecVar {
    /// The `Var`.
    pub var: TypeId,
    /// Bytes from the section's start.
    pub offset: u32,
    /// Bytes.
    pub size: u32,
}

/// Reads the type whose record starts `bytes`.
pub(crate) fn decode<'a>(btf: &'a Btf, bytes: &'a [u8]) -> Kind<'a> {
    let (info, third) = (u32_at(bytes, 4), u32_at(bytes, 8));
    let (ty, kind_flag) = (TypeId(third), info >> 31 == 1);
    let word = |n: usize| u32_at(bytes, crate::raw::TYPE_HEADER + 4 * n);
    let elements = |words: usize| {
        let start = crate::raw::TYPE_HEADER;
        let end = start + 4 * words * vlen_of(info) as usize;
        Elements { btf, bytes: bytes.get(start..end).unwrap_or_default(), stride: 4 * words }
    };
    let composite = |is_union| Composite { size: third, is_union, kind_flag, elements: elements(3) };
    match crate::raw::kind_of(info) {
        0 => Kind::Void,
        1 => Kind::Int(int(third, word(0))),
        2 => Kind::Ptr(ty),
        3 => Kind::Array(Array { elem: TypeId(word(0)), index: TypeId(word(1)), len: word(2) }),
        4 => Kind::Struct(composite(false)),
        5 => Kind::Union(composite(true)),
        6 => Kind::Enum(Enum { size: third, signed: kind_flag, wide: false, elements: elements(2) }),
        7 => Kind::Fwd { is_union: kind_flag },
        8 => Kind::Typedef(ty),
        9 => Kind::Volatile(ty),
        10 => Kind::Const(ty),
        11 => Kind::Restrict(ty),
        12 => Kind::Func(Func { proto: ty, linkage: Linkage::of(vlen_of(info)) }),
        13 => Kind::FuncProto(FuncProto { ret: ty, elements: elements(2) }),
        14 => Kind::Var(Var { ty, linkage: Linkage::of(word(0)) }),
        15 => Kind::Datasec(Datasec { size: third, elements: elements(3) }),
        16 => Kind::Float { size: third },
        17 => Kind::DeclTag { ty, component: (word(0) != u32::MAX).then_some(word(0)) },
        18 => Kind::TypeTag(ty),
        19 => Kind::Enum(Enum { size: third, signed: kind_flag, wide: true, elements: elements(3) }),
        newer => Kind::Unknown(newer),
    }
}

/// `BTF_INT_ENCODING`, `BTF_INT_OFFSET`, `BTF_INT_BITS`.
fn int(size: u32, word: u32) -> Int {
    let encoding = word >> 24 & 0x0f;
    Int {
        size,
        bits: (word & 0xff) as u8,
        offset: (word >> 16 & 0xff) as u8,
        signed: encoding & 1 != 0,
        char: encoding & 2 != 0,
        bool: encoding & 4 != 0,
    }
}

impl fmt::Debug for Composite<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_fmt(format_args!("size={} ", self.size))?;
        f.debug_list().entries(self.members()).finish()
    }
}

impl fmt::Debug for Enum<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_fmt(format_args!("size={} signed={} wide={} ", self.size, self.signed, self.wide))?;
        f.debug_list().entries(self.values()).finish()
    }
}

impl fmt::Debug for FuncProto<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_fmt(format_args!("ret={} ", self.ret))?;
        f.debug_list().entries(self.params()).finish()
    }
}

impl fmt::Debug for Datasec<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_fmt(format_args!("size={} ", self.size))?;
        f.debug_list().entries(self.vars()).finish()
    }
}
