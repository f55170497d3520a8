//! Writes the local types that `CoreTypes` has collected, and the access strings against them.
//!
//! What must hold, for the kernel takes the types and libbpf the strings:
//! - a struct's members stand in order of offset and end within it; a union's are all at 0;
//! - a type that a member's type has to be compatible with keeps its kind, and an enumeration its name
//!   (`bpf_core_fields_are_compat`, libbpf 1.7);
//! - a root has the name by which the kernel's type is looked up.

use crate::btf::{MAX_DEPTH, POINTER_SIZE};
use crate::builder::{Builder, NewMember};
use crate::core_types::{CoreEnd, CoreSpec, CoreTypes, Leaf, Local, Request, RequestKind, Step};
use crate::kind::{Composite, Enum, Int, Kind, TypeId};
use crate::query::Bits;
use crate::{Error, Result};
use std::collections::BTreeMap;

pub(crate) struct CoreWriter<'a> {
    types: &'a CoreTypes,
    builder: &'a mut Builder,
    /// Structs by the id they were read under; `None` while one is being written.
    done: BTreeMap<TypeId, Option<Placed>>,
    /// How deep in a type the writing is.
    depth: u32,
}

/// A local type.
#[derive(Clone, Debug)]
struct LocalType {
    id: TypeId,
    size: u32,
    signed: bool,
    /// An array's element.
    elem: Option<Box<LocalType>>,
}

/// A local struct.
#[derive(Clone, Debug)]
struct Placed {
    id: TypeId,
    size: u32,
    members: BTreeMap<String, PlacedMember>,
}

#[derive(Clone, Debug)]
struct PlacedMember {
    /// The index; of a member within an anonymous struct that struct's before it.
    index: Vec<u32>,
    bit_offset: u32,
    bits: u8,
    ty: LocalType,
}

impl<'a> CoreWriter<'a> {
    pub(crate) fn new(types: &'a CoreTypes, builder: &'a mut Builder) -> CoreWriter<'a> {
        CoreWriter { types, builder, done: BTreeMap::new(), depth: 0 }
    }

    /// Writes what a request needs, and says how to ask for it.
    pub(crate) fn spec(&mut self, request: &Request) -> Result<CoreSpec> {
        if let RequestKind::Absent(names, leaf) = &request.kind {
            return self.absent(request.root, names, *leaf);
        }
        let root = self.root(request)?;
        let (access, end) = match &request.kind {
            RequestKind::Field(steps) => self.walk(steps)?,
            RequestKind::Enumerator(index) => self.enumerator(request.root, *index)?,
            RequestKind::Absent(..) | RequestKind::Whole => ("0".to_owned(), CoreEnd::Type { size: root.size }),
        };
        Ok(CoreSpec { ty: root.id, access, end })
    }

    /// The local type by which the kernel's is looked up: the struct or enumeration itself, or the typedef that names
    /// one without a name. A whole type is asked for by the very name given.
    fn root(&mut self, request: &Request) -> Result<LocalType> {
        let btf = &self.types.btf;
        let (outer, inner) = (btf.skip_qualifiers(request.root), btf.skip(request.root));
        if !matches!(
            btf.kind(inner),
            Kind::Struct(_) | Kind::Union(_) | Kind::Enum(_) | Kind::Int(_) | Kind::Float { .. }
        ) {
            return Err(Error::new(format!("type {} cannot be a CO-RE root", request.root)));
        }
        let whole = matches!(request.kind, RequestKind::Whole);
        let mut local = self.local(inner, &[])?;
        if outer != inner && (whole || btf.name(inner).is_empty()) {
            local.id = self.builder.typedef(btf.name(outer), local.id);
        } else if btf.name(inner).is_empty() {
            return Err(Error::new(format!("type {} has no name to look it up by", request.root)));
        }
        Ok(local)
    }

    /// A flavour of the struct that has this member alone.
    fn absent(&mut self, root: TypeId, names: &[String], leaf: Leaf) -> Result<CoreSpec> {
        let btf = &self.types.btf;
        let (outer, inner) = (btf.skip_qualifiers(root), btf.skip(root));
        let known = if btf.name(inner).is_empty() { outer } else { inner };
        let (id, size, signed) = match leaf {
            Leaf::Ptr => (self.builder.ptr(TypeId::VOID), POINTER_SIZE, false),
            Leaf::Int { size, signed } => (self.builder.plain_int(size, signed), size, signed),
        };
        let flavour = format!("{}___{}", btf.name(known), names.join("_"));
        let mut ty = id;
        for (depth, name) in names.iter().enumerate().rev() {
            let tag = if depth == 0 && known == inner { flavour.as_str() } else { "" };
            ty = self.builder.structure(tag, size, &[NewMember::new(name.clone(), ty, 0)]);
        }
        if known != inner {
            ty = self.builder.typedef(&flavour, ty);
        }
        let access = "0".to_owned() + &":0".repeat(names.len());
        Ok(CoreSpec { ty, access, end: CoreEnd::Field { offset: 0, size, signed, bits: None, element: false } })
    }

    /// The access string and its end, along steps from a struct that `root` has written.
    fn walk(&mut self, steps: &[Step]) -> Result<(String, CoreEnd)> {
        let mut access = "0".to_owned();
        let mut bit_offset = 0_u32;
        let (mut at, mut bits, mut element) = (None, 0, false);
        for step in steps {
            let (index, moved, ty) =
                self.step(at, step).ok_or_else(|| Error::new("a CO-RE access does not fit its types"))?;
            index.iter().for_each(|index| access.push_str(&format!(":{index}")));
            bit_offset = bit_offset.checked_add(moved).ok_or_else(too_large)?;
            bits = self.bits_of(step);
            element = matches!(step, Step::Element(_));
            at = Some(ty);
        }
        let end = at.ok_or_else(|| Error::new("a CO-RE access has no steps"))?;
        let bits = (bits != 0).then(|| Bits { offset: bit_offset, size: bits.into() });
        let end = CoreEnd::Field { offset: bit_offset / 8, size: end.size, signed: end.signed, bits, element };
        Ok((access, end))
    }

    /// One step: its index, by how many bits it moves, and the type it ends at.
    fn step(&self, at: Option<LocalType>, step: &Step) -> Option<(Vec<u32>, u32, LocalType)> {
        match step {
            Step::Member(id, name) => {
                let member = self.done.get(id)?.as_ref()?.members.get(name)?;
                Some((member.index.clone(), member.bit_offset, member.ty.clone()))
            }
            Step::Element(index) => {
                let elem = *at?.elem?;
                Some((vec![*index], elem.size.checked_mul(8)?.checked_mul(*index)?, elem))
            }
        }
    }

    fn bits_of(&self, step: &Step) -> u8 {
        let Step::Member(id, name) = step else {
            return 0;
        };
        let placed = self.done.get(id).and_then(Option::as_ref);
        placed.and_then(|p| p.members.get(name)).map_or(0, |m| m.bits)
    }

    /// An enumerator's index among those written, and its value.
    fn enumerator(&mut self, root: TypeId, index: u32) -> Result<(String, CoreEnd)> {
        let id = self.types.btf.skip(root);
        let place = self.types.enums.get(&id).and_then(|used| used.iter().position(|u| *u == index));
        match (place, self.types.btf.kind(id)) {
            (Some(place), Kind::Enum(e)) if (index as usize) < e.values().len() => {
                let value = e.values().nth(index as usize).map_or(0, |(_, value)| value);
                Ok((place.to_string(), CoreEnd::Value(value)))
            }
            _ => Err(Error::new(format!("type {root} is not an enumeration with a value number {index}"))),
        }
    }

    /// The local version of a type; `lens` are the least lengths of its array dimensions.
    fn local(&mut self, ty: TypeId, lens: &[u32]) -> Result<LocalType> {
        if self.depth == MAX_DEPTH {
            return Err(Error::new(format!("type {ty} is nested too deep")));
        }
        self.depth += 1;
        let local = self.local_kind(ty, lens);
        self.depth -= 1;
        local
    }

    fn local_kind(&mut self, ty: TypeId, lens: &[u32]) -> Result<LocalType> {
        let types = self.types;
        let id = types.btf.skip(ty);
        let name = types.btf.name(id);
        let plain = |id, size| LocalType { id, size, signed: false, elem: None };
        match types.btf.kind(id) {
            Kind::Int(int) => {
                // The old bitfield encoding narrows the int; here the member says so.
                let int = Int { bits: int.size.saturating_mul(8).min(128) as u8, offset: 0, ..int };
                Ok(LocalType { signed: int.signed, ..plain(self.builder.int(name, int), int.size) })
            }
            Kind::Ptr(_) => Ok(plain(self.builder.ptr(TypeId::VOID), POINTER_SIZE)),
            Kind::Float { size } => Ok(plain(self.builder.float(name, size), size)),
            Kind::Enum(e) => {
                let id = self.enumeration(id, name, e);
                Ok(LocalType { signed: e.signed, ..plain(id, e.size) })
            }
            Kind::Struct(c) | Kind::Union(c) => {
                let placed = self.composite(id, name, c)?;
                Ok(plain(placed.id, placed.size))
            }
            Kind::Array(array) => {
                let (least, inner) = lens.split_first().map_or((0, &[][..]), |(first, rest)| (*first, rest));
                let elem = self.local(array.elem, inner)?;
                let len = array.len.max(least);
                let size = elem.size.checked_mul(len).ok_or_else(too_large)?;
                let id = self.builder.array(elem.id, len);
                Ok(LocalType { elem: Some(Box::new(elem)), ..plain(id, size) })
            }
            // `skip` leaves no modifiers.
            Kind::Void
            | Kind::Fwd { .. }
            | Kind::Typedef(_)
            | Kind::Volatile(_)
            | Kind::Const(_)
            | Kind::Restrict(_)
            | Kind::Func(_)
            | Kind::FuncProto(_)
            | Kind::Var(_)
            | Kind::Datasec(_)
            | Kind::DeclTag { .. }
            | Kind::TypeTag(_)
            | Kind::Unknown(_) => Err(Error::new(format!("a CO-RE access passes type {ty}, which is no data"))),
        }
    }

    fn enumeration(&mut self, id: TypeId, name: &str, e: Enum<'_>) -> TypeId {
        let used = self.types.enums.get(&id);
        let values: Vec<(&str, i64)> =
            used.into_iter().flatten().filter_map(|index| e.values().nth(*index as usize)).collect();
        self.builder.enumeration(name, e.size, e.signed, &values)
    }

    /// The local version of a struct or union, written once.
    fn composite(&mut self, id: TypeId, name: &str, read: Composite<'_>) -> Result<Placed> {
        match self.done.get(&id) {
            Some(Some(placed)) => return Ok(placed.clone()),
            Some(None) => return Err(Error::new(format!("type {id} contains itself"))),
            None => {}
        }
        self.done.insert(id, None);
        let used = self.types.structs.get(&id);
        let members = self.place(used)?;
        let placed = self.write(name, read, members)?;
        self.done.insert(id, Some(placed.clone()));
        Ok(placed)
    }

    /// The members with their local types, in order of offset.
    fn place(&mut self, used: Option<&Local>) -> Result<Vec<(String, PlacedMember)>> {
        let mut members = Vec::new();
        for (name, member) in used.into_iter().flat_map(|u| &u.members) {
            let ty = self.local(member.ty, &member.lens)?;
            members.push((
                name.clone(),
                PlacedMember { index: Vec::new(), bit_offset: member.bit_offset, bits: member.bits, ty },
            ));
        }
        members.sort_by(|(a_name, a), (b_name, b)| (a.bit_offset, a_name).cmp(&(b.bit_offset, b_name)));
        Ok(members)
    }

    fn write(&mut self, name: &str, read: Composite<'_>, members: Vec<(String, PlacedMember)>) -> Result<Placed> {
        let size = members.iter().map(|(_, m)| m.end()).max().unwrap_or(0).max(read.size);
        let (mut direct, within): (Vec<_>, Vec<_>) =
            members.into_iter().partition(|(_, member)| !read.is_union || member.bit_offset == 0);
        number(&mut direct, &[]);
        let mut new = new_members(&direct);
        let mut all = direct;
        if !within.is_empty() {
            // The kernel wants a union's members at its start (btf_struct_check_meta, kernel/bpf/btf.c, Linux 6.12): one that
            // stands further in, in an anonymous struct, stands in one here.
            let mut within = within;
            number(&mut within, &[new.len() as u32]);
            let inner = self.builder.structure("", size, &new_members(&within));
            new.push(NewMember::new("", inner, 0));
            all.append(&mut within);
        }
        let id = match read.is_union {
            true => self.builder.union(name, size, &new),
            false => self.builder.structure(name, size, &new),
        };
        Ok(Placed { id, size, members: all.into_iter().collect() })
    }
}

/// Numbers members as they stand, behind the indices that lead to where.
fn number(members: &mut [(String, PlacedMember)], before: &[u32]) {
    for (at, (_, member)) in members.iter_mut().enumerate() {
        member.index = before.iter().copied().chain([at as u32]).collect();
    }
}

fn new_members(members: &[(String, PlacedMember)]) -> Vec<NewMember> {
    let new = |(name, m): &(String, PlacedMember)| NewMember {
        name: name.clone(),
        ty: m.ty.id,
        bit_offset: m.bit_offset,
        bits: m.bits,
    };
    members.iter().map(new).collect()
}

impl PlacedMember {
    /// Bytes from the struct's start to the member's end.
    fn end(&self) -> u32 {
        match self.bits {
            0 => (self.bit_offset / 8).saturating_add(self.ty.size),
            bits => self.bit_offset.saturating_add(bits.into()).div_ceil(8),
        }
    }
}

fn too_large() -> Error {
    Error::new("a CO-RE access goes beyond 512 MiB")
}
