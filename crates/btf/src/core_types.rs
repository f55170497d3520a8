//! Local definitions for CO-RE: the few members that a program reads, as a loader needs them to find the kernel's.
//!
//! A loader (libbpf, `src/relo_core.c`) reads an access string such as `0:1:2` against the object's own types, takes
//! the *names* of the members that it passes, and looks these up in the running kernel's type of the same name,
//! through anonymous structs and unions. So a local definition needs no anonymous members: they are left out, and
//! their members stand in the struct around them. It needs no types behind pointers either.
//!
//! Two phases, since members of one struct that come from different accesses share one definition:
//! collect with `field`, `named_field`, `enumerator` and `whole`, then `finish` writes the types.
//!
//! - Offsets and sizes are those of the BTF that was read, as far as the kernel's check of BTF lets them: members
//!   stand in order of offset, within their struct; those of a union at 0.
//! - `CoreSpec` tells the values that the unrelocated instruction has to carry: a loader refuses any other.

use crate::btf::Btf;
use crate::builder::Builder;
use crate::core_write::CoreWriter;
use crate::kind::{Kind, TypeId};
use crate::query::Bits;
use crate::{CoreKind, Error, Result};
use std::collections::{BTreeMap, BTreeSet};

/// `BPF_CORE_SPEC_MAX_LEN`, less the leading 0.
const MAX_PATH: usize = 63;

/// Names one collected access.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CoreRef(usize);

/// The type of a member that the BTF at hand does not have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Leaf {
    /// An integer of 1, 2, 4 or 8 bytes.
    Int {
        /// Bytes.
        size: u32,
        /// Two's complement.
        signed: bool,
    },
    /// Any pointer.
    Ptr,
}

/// A finished access.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CoreSpec {
    /// The root type in the object's own BTF.
    pub ty: TypeId,
    /// `0:1:2`; an enumerator's index; `0` for a whole type.
    pub access: String,
    /// What the access ends at.
    pub end: CoreEnd,
}

/// What an access ends at, by the object's own types.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CoreEnd {
    /// A member or an array's element.
    Field {
        /// Bytes from the root's start.
        offset: u32,
        /// Bytes; of a bitfield, those of its declared type.
        size: u32,
        /// Whether it is a signed integer or enumeration.
        signed: bool,
        /// Present for a bitfield.
        bits: Option<Bits>,
        /// Whether it is an array's element: of these only offset, size and existence can be relocated.
        element: bool,
    },
    /// An enumerator's value.
    Value(i64),
    /// A type's size in bytes, 0 if it has none.
    Type {
        /// Bytes.
        size: u32,
    },
}

impl CoreSpec {
    /// The value of a relocation against the object's own types: what the instruction holds before it is relocated.
    /// `None` if the relocation does not fit the access. As `bpf_core_calc_relo`, libbpf 1.7.
    pub fn value(&self, kind: CoreKind) -> Option<u64> {
        match (&self.end, kind) {
            (CoreEnd::Field { .. }, CoreKind::FieldExists) => Some(1),
            (
                CoreEnd::Field { element: true, .. },
                CoreKind::FieldSigned | CoreKind::FieldLshiftU64 | CoreKind::FieldRshiftU64,
            ) => None,
            (CoreEnd::Field { signed, .. }, CoreKind::FieldSigned) => Some(u64::from(*signed)),
            (CoreEnd::Field { offset, size, bits, .. }, _) => field_value(*offset, *size, *bits, kind),
            (CoreEnd::Value(_), CoreKind::EnumvalExists) => Some(1),
            (CoreEnd::Value(value), CoreKind::EnumvalValue) => Some(value.cast_unsigned()),
            (CoreEnd::Type { .. }, CoreKind::TypeExists | CoreKind::TypeMatches) => Some(1),
            (CoreEnd::Type { size }, CoreKind::TypeSize) => Some(u64::from(*size)),
            (CoreEnd::Type { .. }, CoreKind::TypeIdLocal | CoreKind::TypeIdTarget) => Some(u64::from(self.ty.0)),
            (CoreEnd::Value(_) | CoreEnd::Type { .. }, _) => None,
        }
    }
}

fn field_value(offset: u32, size: u32, bits: Option<Bits>, kind: CoreKind) -> Option<u64> {
    // An ordinary member of up to 8 bytes shifts by what it leaves free.
    let free = || 64_u32.checked_sub(size.saturating_mul(8));
    let value = match (kind, bits) {
        (CoreKind::FieldByteOffset, None) => offset,
        (CoreKind::FieldByteSize, None) => size,
        (CoreKind::FieldLshiftU64 | CoreKind::FieldRshiftU64, None) => free()?,
        (CoreKind::FieldByteOffset, Some(bits)) => bits.load(size)?.offset,
        (CoreKind::FieldByteSize, Some(bits)) => bits.load(size)?.size,
        (CoreKind::FieldLshiftU64, Some(bits)) => bits.load(size)?.left,
        (CoreKind::FieldRshiftU64, Some(bits)) => bits.load(size)?.right,
        _ => return None,
    };
    Some(value.into())
}

/// Accesses being collected against one BTF.
#[derive(Clone, Debug)]
pub struct CoreTypes {
    pub(crate) btf: Btf,
    pub(crate) structs: BTreeMap<TypeId, Local>,
    pub(crate) enums: BTreeMap<TypeId, BTreeSet<u32>>,
    requests: Vec<Request>,
}

/// What is used of one struct or union of the BTF that was read.
#[derive(Clone, Debug, Default)]
pub(crate) struct Local {
    /// By name: a member is found by it alone.
    pub(crate) members: BTreeMap<String, LocalMember>,
}

#[derive(Clone, Debug)]
pub(crate) struct LocalMember {
    pub(crate) bit_offset: u32,
    /// A bitfield's width, or 0.
    pub(crate) bits: u8,
    pub(crate) ty: TypeId,
    /// The least length that each array dimension, from the outer one in, has to have for the indices used.
    pub(crate) lens: Vec<u32>,
}

#[derive(Clone, Debug)]
pub(crate) struct Request {
    pub(crate) root: TypeId,
    pub(crate) kind: RequestKind,
}

#[derive(Clone, Debug)]
pub(crate) enum RequestKind {
    Field(Vec<Step>),
    /// Names of structs within each other and of the member, which the BTF at hand does not have.
    Absent(Vec<String>, Leaf),
    Enumerator(u32),
    Whole,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    /// A member by name, of the struct of that id.
    Member(TypeId, String),
    /// An array's element.
    Element(u32),
}

impl CoreTypes {
    /// Nothing yet, of this BTF.
    pub fn new(btf: &Btf) -> CoreTypes {
        CoreTypes { btf: btf.clone(), structs: BTreeMap::new(), enums: BTreeMap::new(), requests: Vec::new() }
    }

    /// An access from a struct (or union, or a typedef of one) along member indices, as `Field::path` gives them,
    /// and array indices. The paths of fields of embedded structs may be joined: `d_name` and then `name`.
    pub fn field(&mut self, root: TypeId, path: &[u32]) -> Result<CoreRef> {
        let steps = self.steps(root, path)?;
        self.note(&steps);
        Ok(self.request(root, RequestKind::Field(steps)))
    }

    /// An access to a member by name (or by names with dots between, through embedded structs), of a struct that exists here.
    /// If this BTF does not have the member, another kernel's may: then `leaf` is the guess at its type, and the local struct is a
    /// flavour of its own with that member alone, at its start (`struct task_struct___state`; libbpf looks up what is
    /// before the three underscores).
    pub fn named_field(&mut self, root: TypeId, name: &str, leaf: Leaf) -> Result<CoreRef> {
        if let Some(field) = self.btf.field(root, name) {
            let path = field.path;
            return self.field(root, &path);
        }
        let id = self.btf.skip(root);
        if self.btf.composite(id).is_none() {
            return Err(Error::new(format!("type {root} is not a struct or union")));
        }
        let names = name.split('.').map(str::to_owned).collect();
        Ok(self.request(root, RequestKind::Absent(names, leaf)))
    }

    /// An enumerator by its index in the enumeration.
    pub fn enumerator(&mut self, root: TypeId, index: u32) -> Result<CoreRef> {
        let id = self.btf.skip(root);
        match self.btf.kind(id) {
            Kind::Enum(e) if (index as usize) < e.values().len() => {
                self.enums.entry(id).or_default().insert(index);
                Ok(self.request(root, RequestKind::Enumerator(index)))
            }
            _ => Err(Error::new(format!("type {root} is not an enumeration with a value number {index}"))),
        }
    }

    /// A type as a whole, for `TypeExists` and `TypeSize`.
    pub fn whole(&mut self, root: TypeId) -> CoreRef {
        self.request(root, RequestKind::Whole)
    }

    /// Writes the local types; the specs stand in order of the collecting calls, so that `CoreRef::index` finds them.
    pub fn finish(self, builder: &mut Builder) -> Result<Vec<CoreSpec>> {
        let mut writer = CoreWriter::new(&self, builder);
        self.requests.iter().map(|request| writer.spec(request)).collect()
    }

    fn request(&mut self, root: TypeId, kind: RequestKind) -> CoreRef {
        self.requests.push(Request { root, kind });
        CoreRef(self.requests.len() - 1)
    }

    /// The path by names, anonymous members left out.
    fn steps(&self, root: TypeId, path: &[u32]) -> Result<Vec<Step>> {
        if path.is_empty() || path.len() > MAX_PATH {
            return Err(Error::new(format!("a CO-RE access has 1 to {MAX_PATH} steps, not {}", path.len())));
        }
        let mut steps = Vec::new();
        let (mut at, mut outer) = (root, self.btf.skip(root));
        for index in path {
            let here = self.btf.skip(at);
            match self.btf.kind(here) {
                Kind::Struct(c) | Kind::Union(c) => {
                    let member = c.members().nth(*index as usize);
                    let member = member.ok_or_else(|| Error::new(format!("type {here} has no member {index}")))?;
                    if !member.name.is_empty() {
                        steps.push(Step::Member(outer, member.name.to_owned()));
                        outer = self.btf.skip(member.ty);
                    } else if self.btf.composite(member.ty).is_none() {
                        return Err(Error::new(format!("member {index} of type {here} has no name")));
                    }
                    at = member.ty;
                }
                Kind::Array(array) => {
                    steps.push(Step::Element(*index));
                    (at, outer) = (array.elem, self.btf.skip(array.elem));
                }
                _ => return Err(Error::new(format!("type {here} has no members"))),
            }
        }
        match self.btf.composite(at) {
            // The last member was anonymous.
            Some(_) if self.btf.skip(at) != outer => {
                Err(Error::new("a CO-RE access cannot end at an anonymous member"))
            }
            _ => Ok(steps),
        }
    }

    /// Adds what the steps use to the structs.
    fn note(&mut self, steps: &[Step]) {
        for (n, step) in steps.iter().enumerate() {
            let Step::Member(id, name) = step else {
                continue;
            };
            let lens = steps[n + 1..].iter().map_while(|s| match s {
                Step::Element(index) => Some(index.saturating_add(1)),
                Step::Member(..) => None,
            });
            let Some(member) = self.member(*id, name) else {
                continue;
            };
            let known = self.structs.entry(*id).or_default().members.entry(name.clone()).or_insert(member);
            for (n, len) in lens.enumerate() {
                known.lens.resize(known.lens.len().max(n + 1), 0);
                known.lens[n] = known.lens[n].max(len);
            }
        }
    }

    fn member(&self, id: TypeId, name: &str) -> Option<LocalMember> {
        let field = self.btf.field(id, name)?;
        let bit_offset = field.bits.map_or(field.offset.checked_mul(8)?, |b| b.offset);
        let bits = field.bits.map_or(0, |b| b.size as u8);
        Some(LocalMember { bit_offset, bits, ty: field.ty, lens: Vec::new() })
    }
}

impl CoreRef {
    /// The place of its spec in what `CoreTypes::finish` returns.
    pub fn index(self) -> usize {
        self.0
    }
}
