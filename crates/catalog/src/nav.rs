//! From a struct to its member: `a.b` and `a -> b`; from an array or a pointer to an element: `a[i]`; from a name to a type.
//!
//! What is found is a place in the BTF of the kernel compiled for; CO-RE moves it on others. Not checked here: that
//! another kernel has the member; `libbpf` does at load.

use crate::convert::{Object, Pointers, VMLINUX};
use crate::field::FieldPath;
use crate::kernel::Kernel;
use crate::ty::{Pointee, Space, SqlType, TypeRef};
use bpfquery_btf::{BitLoad, Bits, Field, Kind, Tag, TypeId};
use bpfquery_diag::{Result, nearest};
use serde::{Deserialize, Serialize};

/// A member of a struct or union, seen from a struct that holds it at whatever depth.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Member {
    /// Its name.
    pub name: String,
    /// Its type: `char name[16]` is text that stands in memory, a struct in a struct is `Struct`.
    pub ty: SqlType,
    /// The struct that `path`, `offset` and `bits` count from: the root of the CO-RE relocation.
    pub base: TypeRef,
    /// The member's index in each struct from `base` inwards, anonymous ones included: `0:1:2` as CO-RE writes it is
    /// a 0 and then these.
    pub path: Vec<u32>,
    /// Bytes from `base`'s start to the first byte to load: of a bitfield, that of the word that holds it.
    pub offset: u32,
    /// Bytes to load, or that the member takes where it lives in memory; 0 for a flexible array.
    pub size: u32,
    /// Present for a bitfield.
    pub bits: Option<BitField>,
    /// Whether the value is two's complement.
    pub signed: bool,
}

/// How a bitfield's value is got from its word: shift left, then right (arithmetically when it is signed).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct BitField {
    /// Bits from the base's start.
    pub offset: u32,
    /// Width in bits.
    pub width: u32,
    /// Bytes of the type that it was declared with, where the search for its word begins.
    pub declared: u32,
    /// Bits to shift left within 64.
    pub left: u32,
    /// Bits to shift right then.
    pub right: u32,
}

/// Why there is no member.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Wrong {
    /// The base is no struct and no pointer to one: an integer, text.
    NoStruct,
    /// The BTF has no definition of the struct, so its members are not known.
    Undefined {
        /// The struct's tag.
        name: String,
    },
    /// No member has this name.
    Unknown {
        /// The struct's tag.
        in_struct: String,
        /// The name that was probably meant.
        nearest: Option<String>,
    },
    /// A bitfield across more than 8 aligned bytes.
    WideBitfield,
    /// The struct has neither a tag nor a typedef, so that no other kernel's can be found.
    Nameless,
}

/// What stands in an array, or where a pointer leads.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Elements {
    /// An element's type.
    pub ty: SqlType,
    /// The way to the first one: from the array's own root, or from the pointer.
    pub first: FieldPath,
    /// How many there are, as far as BTF says: not behind pointers, and not in flexible arrays.
    pub len: Option<u32>,
}

impl BitField {
    /// The same, and its word, in a struct that begins so many bytes before; `None` where 8 aligned bytes do not hold it.
    pub(crate) fn moved(self, bytes: u32) -> Option<(BitLoad, BitField)> {
        let offset = self.offset.checked_add(bytes.checked_mul(8)?)?;
        bit_field(Bits { offset, size: self.width }, self.declared)
    }
}

impl Member {
    /// The member `inner` of this member, which must be an embedded struct: both from the same base, so that one
    /// relocation and one read reach it.
    #[must_use]
    pub fn then(&self, inner: &Member) -> Member {
        let path = self.path.iter().chain(&inner.path).copied().collect();
        let bits = inner
            .bits
            .map(|bits| BitField { offset: bits.offset.saturating_add(self.offset.saturating_mul(8)), ..bits });
        Member {
            base: self.base.clone(),
            path,
            offset: self.offset.saturating_add(inner.offset),
            bits,
            ..inner.clone()
        }
    }
}

/// The member `name` of a struct, or of what a pointer to a struct points at. Memory is the kernel's if the pointer's
/// is; what `space` a struct in user memory holds pointers to is the user's.
pub fn member(kernel: &dyn Kernel, of: &SqlType, name: &str) -> Result<std::result::Result<Member, Wrong>> {
    let (base, space) = match of {
        SqlType::Struct(base) => (base, Space::Kernel),
        SqlType::Pointer { to: Pointee::Struct(base), space } => (base, *space),
        _ => return Ok(Err(Wrong::NoStruct)),
    };
    let Some((object, id)) = definition(kernel, base)? else {
        return Ok(Err(Wrong::Undefined { name: base.name.clone() }));
    };
    let Some(field) = object.btf.field(id, name).or_else(|| unique_in_other_case(&object, id, name)) else {
        let fields = object.btf.fields(id);
        let near = nearest(name, fields.iter().map(|field| field.name)).map(str::to_string);
        return Ok(Err(Wrong::Unknown { in_struct: base.name.clone(), nearest: near }));
    };
    Ok(found(&object, object.type_ref(id), &field, space))
}

/// The way to a member that the struct does not have on this kernel, and may have on another; `None` if the struct itself is not
/// known here. What it is there is not known: the caller says by [`FieldPath::presence`].
pub fn missing(kernel: &dyn Kernel, of: &SqlType, name: &str) -> Result<Option<FieldPath>> {
    let (SqlType::Struct(base) | SqlType::Pointer { to: Pointee::Struct(base), .. }) = of else { return Ok(None) };
    let found = definition(kernel, base)?.filter(|(object, id)| has_name(object, *id));
    Ok(found.map(|(object, id)| FieldPath { text: name.to_string(), ..FieldPath::whole(object.type_ref(id), 0) }))
}

/// The elements of the array that a way ends at, in memory of `space`; `None` if it ends at no array.
pub fn elements(kernel: &dyn Kernel, array: &FieldPath, space: Space) -> Result<Option<Elements>> {
    let Some((object, id)) = definition(kernel, &array.root)? else {
        return Ok(None);
    };
    let btf = &object.btf;
    let step: Vec<u32> = array.members.iter().copied().chain([0]).collect();
    let (Some(whole), Some(first)) = (btf.field_at(id, &array.members), btf.field_at(id, &step)) else {
        return Ok(None);
    };
    let Kind::Array(declared) = btf.resolve(whole.ty) else {
        return Ok(None);
    };
    let ty = object.sql_type(first.ty, pointers(space));
    let size = btf.size_of(first.ty).unwrap_or(0);
    let inner = FieldPath {
        members: vec![0],
        text: "[0]".to_string(),
        element: true,
        ..FieldPath::whole(array.root.clone(), size)
    };
    let len = (declared.len > 0).then_some(declared.len);
    Ok(array.clone().then(&inner).map(|first| Elements { ty, first, len }))
}

/// The elements from where a pointer leads on; `None` where their size is not known.
pub fn pointed_elements(kernel: &dyn Kernel, to: &Pointee) -> Result<Option<Elements>> {
    let plain = TypeRef { object: VMLINUX.to_string(), id: 0, name: String::new() };
    let (ty, first) = match to {
        Pointee::Opaque => return Ok(None),
        Pointee::Char => (SqlType::Int { bits: 8, signed: false }, FieldPath::whole(plain, 1)),
        Pointee::Value(ty) => match ty.scalar() {
            Some((bits, _)) => ((**ty).clone(), FieldPath::whole(plain, u32::from(bits) / 8)),
            None => return Ok(None),
        },
        Pointee::Struct(of) => match definition(kernel, of)? {
            Some((object, id)) if has_name(&object, id) => {
                let root = object.type_ref(id);
                let size = object.btf.size_of(id).unwrap_or(0);
                (SqlType::Struct(root.clone()), FieldPath::whole(root, size))
            }
            _ => return Ok(None),
        },
    };
    let text = "[0]".to_string();
    Ok(Some(Elements { ty, first: FieldPath { text, ..first }, len: None }))
}

/// The type that C calls so: `struct sock`, `union bpf_attr`, `enum sock_type`, or a typedef of one of them; a star behind it is
/// left out. `None` where vmlinux's BTF does not define it.
pub fn named_type(kernel: &dyn Kernel, name: &str) -> Result<Option<SqlType>> {
    let object = Object::vmlinux(kernel.btf()?);
    let name = name.trim_end_matches([' ', '*']);
    let (tag, bare) = match name.split_once(' ') {
        Some(("struct", bare)) => (Tag::Struct, bare),
        Some(("union", bare)) => (Tag::Union, bare),
        Some(("enum", bare)) => (Tag::Enum, bare),
        _ => (Tag::Typedef, name),
    };
    let Some(id) = object.btf.find(tag, bare.trim()) else { return Ok(None) };
    Ok(match object.sql_type(id, Pointers::KERNEL) {
        found @ (SqlType::Struct(_) | SqlType::Enum(_) | SqlType::Int { .. } | SqlType::Bool) => Some(found),
        _ => None,
    })
}

/// The name among vmlinux's types of this kind that was probably meant.
pub fn nearest_type(kernel: &dyn Kernel, name: &str) -> Result<Option<String>> {
    let btf = kernel.btf()?;
    let (word, bare) = name.split_once(' ').unwrap_or(("struct", name));
    let tag = match word {
        "union" => Tag::Union,
        "enum" => Tag::Enum,
        _ => Tag::Struct,
    };
    let bare = bare.trim_end_matches([' ', '*']);
    let ids = (1..btf.next_id()).map(TypeId).filter(|id| btf.tag(*id) == tag);
    Ok(nearest(bare, ids.map(|id| btf.name(id)).filter(|name| !name.is_empty())).map(|near| format!("{word} {near}")))
}

/// The names and C types of a struct's members, those of anonymous ones in their place; empty when it is not defined.
pub fn members(kernel: &dyn Kernel, of: &TypeRef) -> Result<Vec<(String, String)>> {
    let Some((object, id)) = definition(kernel, of)? else {
        return Ok(Vec::new());
    };
    let text = |field: &Field<'_>| (field.name.to_string(), crate::convert::c_type(&object.btf, field.ty));
    Ok(object.btf.fields(id).iter().map(text).collect())
}

/// The BTF that a type is in; `None` when its module is not there.
pub fn object(kernel: &dyn Kernel, name: &str) -> Result<Option<Object>> {
    if name == VMLINUX {
        return Ok(Some(Object::vmlinux(kernel.btf()?)));
    }
    Ok(kernel.module_btf(name)?.map(|btf| Object { name: name.to_string(), btf }))
}

/// Where a struct is defined: by its id, or by name in its own object and then in vmlinux.
pub fn definition(kernel: &dyn Kernel, of: &TypeRef) -> Result<Option<(Object, TypeId)>> {
    let Some(object) = object(kernel, &of.object)? else {
        return Ok(None);
    };
    if of.id != 0 {
        let id = TypeId(of.id);
        return Ok(object.btf.composite(id).is_some().then_some((object, id)));
    }
    if of.name.is_empty() {
        return Ok(None);
    }
    let find = |tag| object.btf.find(tag, &of.name);
    let typedef = || find(Tag::Typedef).filter(|id| object.btf.composite(*id).is_some());
    let id = find(Tag::Struct).or_else(|| find(Tag::Union)).or_else(typedef);
    Ok(id.map(|id| (object, id)))
}

/// The one member whose name differs in case only.
fn unique_in_other_case<'a>(object: &'a Object, id: TypeId, name: &str) -> Option<Field<'a>> {
    let mut similar = object.btf.fields(id).into_iter().filter(|field| field.name.eq_ignore_ascii_case(name));
    let first = similar.next()?;
    similar.next().is_none().then_some(first)
}

/// The member in our words.
fn found(object: &Object, base: TypeRef, field: &Field<'_>, space: Space) -> std::result::Result<Member, Wrong> {
    let btf = &object.btf;
    let ty = object.sql_type(field.ty, pointers(space));
    let declared = btf.size_of(field.ty).unwrap_or(0);
    let signed = ty.scalar().is_some_and(|(_, signed)| signed);
    let (offset, size, bits) = match field.bits {
        None => (field.offset, declared, None),
        Some(bits) => {
            let (load, bits) = bit_field(bits, declared).ok_or(Wrong::WideBitfield)?;
            (load.offset, load.size, Some(bits))
        }
    };
    Ok(Member { name: field.name.to_string(), ty, base, path: field.path.clone(), offset, size, bits, signed })
}

/// Where the pointers that stand in memory of this kind lead.
fn pointers(space: Space) -> Pointers {
    if space == Space::User { Pointers::USER } else { Pointers::KERNEL }
}

/// Whether CO-RE can look the struct up: by its tag, or by the typedef that names it.
fn has_name(object: &Object, id: TypeId) -> bool {
    !object.type_ref(id).name.is_empty()
}

fn bit_field(bits: Bits, declared: u32) -> Option<(BitLoad, BitField)> {
    let load = bits.load(declared)?;
    Some((load, BitField { offset: bits.offset, width: bits.size, declared, left: load.left, right: load.right }))
}

/// Whether the type behind a reference is a union, for its printing.
pub fn is_union(kernel: &dyn Kernel, of: &TypeRef) -> Result<bool> {
    let found = definition(kernel, of)?;
    Ok(found.is_some_and(|(object, id)| matches!(object.btf.resolve(id), Kind::Union(_))))
}
