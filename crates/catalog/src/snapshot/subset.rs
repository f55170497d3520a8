//! Small snapshots: named functions, types and events of a kernel, and what they need.
//!
//! A struct that is reached through more pointers than the selection's depth is only declared (`struct x;`), so that
//! closures stay small: `task_struct` alone points at most of the kernel. Ids are given anew, in the order of the old.
//! What is embedded is always kept whole, so sizes and offsets are those of the kernel. Modules are left out.

use super::{Selection, Snapshot};
use crate::glob::glob;
use crate::kernel::Kernel;
use crate::probe::raw_tracepoint;
use bpfquery_btf::{Btf, Kind, Tag, TypeId};
use bpfquery_diag::{Failure, Result};
use std::collections::{BTreeMap, VecDeque};

/// A small snapshot.
#[derive(Clone, Debug)]
pub struct Subset {
    /// It.
    pub snapshot: Snapshot,
    /// What was selected and this kernel does not have.
    pub missing: Vec<String>,
}

/// The part of a kernel that a selection names.
pub fn subset(kernel: &dyn Kernel, selection: &Selection) -> Result<Subset> {
    let btf = kernel.btf()?;
    let mut missing = Vec::new();
    let mut identity = kernel.identity().clone();
    identity.features.extend(selection.features.iter().copied());
    let mut snapshot = Snapshot::new(identity);
    let events = kernel.events()?;
    for pattern in &selection.events {
        let fits = |(category, event): &&(String, String)| glob(pattern, &format!("{category}.{event}"));
        let mut hits = events.iter().filter(fits).peekable();
        if hits.peek().is_none() {
            missing.push(format!("event {pattern}"));
        }
        for (category, event) in hits {
            let text = kernel.format(category, event)?.unwrap_or_default();
            snapshot = snapshot.with_format(category, event, &text);
        }
    }
    let roots = roots(&btf, selection, &mut missing);
    let bytes = cut(&btf, &roots, selection.depth).map_err(|error| Failure::io("cut the BTF", error))?;
    snapshot = snapshot.with_btf(&bytes);
    if let Some(traceable) = traceable(kernel, selection)? {
        snapshot = snapshot.with_traceable(traceable);
    }
    Ok(Subset { snapshot, missing })
}

/// Those of the selected functions that can be traced; `None` as soon as that is not known of one.
fn traceable(kernel: &dyn Kernel, selection: &Selection) -> Result<Option<Vec<String>>> {
    let mut names = Vec::new();
    for function in &selection.functions {
        match kernel.traceable(function)? {
            Some(true) => names.push(function.clone()),
            Some(false) => {}
            None => return Ok(None),
        }
    }
    Ok(Some(names))
}

fn roots(btf: &Btf, selection: &Selection, missing: &mut Vec<String>) -> Vec<TypeId> {
    let mut roots = Vec::new();
    for function in &selection.functions {
        match btf.find(Tag::Func, function) {
            Some(id) => roots.push(id),
            None => missing.push(format!("function {function}")),
        }
    }
    for name in &selection.types {
        let found =
            [Tag::Struct, Tag::Union, Tag::Enum, Tag::Typedef].into_iter().filter_map(|tag| btf.find(tag, name));
        let before = roots.len();
        roots.extend(found);
        if let Some(event) = name.strip_prefix(raw_tracepoint::PREFIX) {
            // It holds the names of the event's arguments.
            roots.extend(btf.find(Tag::Func, &format!("{}{event}", raw_tracepoint::ITERATOR)));
        }
        if roots.len() == before {
            missing.push(format!("type {name}"));
        }
    }
    roots
}

/// The types that `roots` need, as a BTF section.
pub(crate) fn cut(btf: &Btf, roots: &[TypeId], depth: u32) -> std::result::Result<Vec<u8>, String> {
    let kept = closure(btf, roots, depth);
    let ids: BTreeMap<TypeId, u32> = kept.keys().enumerate().map(|(n, id)| (*id, n as u32 + 1)).collect();
    let mut out = Section { strings: vec![0], offsets: BTreeMap::new(), types: Vec::new(), ids };
    for (id, distance) in &kept {
        out.record(btf, *id, *distance > depth)?;
    }
    Ok(out.finish())
}

/// Every type that is needed, with the least number of pointers to structs on the way to it. Those of structs beyond
/// `depth` are there to be declared; what only they need is not.
fn closure(btf: &Btf, roots: &[TypeId], depth: u32) -> BTreeMap<TypeId, u32> {
    let mut kept: BTreeMap<TypeId, u32> = BTreeMap::new();
    // Shortest paths with steps of 0 and 1: nearer types wait in front.
    let mut queue: VecDeque<(TypeId, u32)> = roots.iter().map(|id| (*id, 0)).collect();
    while let Some((id, distance)) = queue.pop_front() {
        if id == TypeId::VOID || kept.get(&id).is_some_and(|known| *known <= distance) {
            continue;
        }
        kept.insert(id, distance);
        let composite = btf.composite(id).is_some() && matches!(btf.tag(id), Tag::Struct | Tag::Union);
        if composite && distance > depth {
            continue;
        }
        let through_pointer = btf.tag(id) == Tag::Ptr;
        for next in references(btf, id) {
            match through_pointer && btf.composite(next).is_some() {
                true => queue.push_back((next, distance + 1)),
                false => queue.push_front((next, distance)),
            }
        }
    }
    kept
}

/// The types that a type mentions.
fn references(btf: &Btf, id: TypeId) -> Vec<TypeId> {
    match btf.kind(id) {
        Kind::Ptr(to)
        | Kind::Typedef(to)
        | Kind::Volatile(to)
        | Kind::Const(to)
        | Kind::Restrict(to)
        | Kind::TypeTag(to) => vec![to],
        Kind::Array(array) => vec![array.elem, array.index],
        Kind::Struct(c) | Kind::Union(c) => c.members().map(|member| member.ty).collect(),
        Kind::Func(func) => vec![func.proto],
        Kind::FuncProto(proto) => proto.params().map(|param| param.ty).chain([proto.ret]).collect(),
        Kind::Var(var) => vec![var.ty],
        Kind::Datasec(section) => section.vars().map(|var| var.var).collect(),
        Kind::DeclTag { ty, .. } => vec![ty],
        Kind::Void | Kind::Int(_) | Kind::Enum(_) | Kind::Fwd { .. } | Kind::Float { .. } | Kind::Unknown(_) => vec![],
    }
}

/// A BTF section being written, with ids known beforehand: structs refer to each other in circles.
struct Section {
    strings: Vec<u8>,
    offsets: BTreeMap<String, u32>,
    types: Vec<u8>,
    ids: BTreeMap<TypeId, u32>,
}

// Kind numbers and flags of include/uapi/linux/btf.h, Linux 6.1.
const KIND_FLAG: u32 = 1 << 31;

impl Section {
    /// Writes one type; `declared` leaves a struct's members out.
    fn record(&mut self, btf: &Btf, id: TypeId, declared: bool) -> std::result::Result<(), String> {
        let name = self.string(btf.name(id));
        let to = |section: &Section, id: TypeId| section.ids.get(&id).copied().unwrap_or(0);
        match btf.kind(id) {
            Kind::Int(int) => {
                let encoding = u32::from(int.signed) | u32::from(int.char) << 1 | u32::from(int.bool) << 2;
                let word = encoding << 24 | u32::from(int.offset) << 16 | u32::from(int.bits);
                self.words(name, 1 << 24, int.size, &[word]);
            }
            Kind::Ptr(target) => self.words(0, 2 << 24, to(self, target), &[]),
            Kind::Array(array) => {
                let words = [to(self, array.elem), to(self, array.index), array.len];
                self.words(0, 3 << 24, 0, &words);
            }
            Kind::Struct(_) | Kind::Union(_) if declared => self.declaration(btf, id, name),
            Kind::Struct(c) | Kind::Union(c) => {
                let flag = c.members().any(|member| member.bits.is_some());
                let mut words = Vec::new();
                for member in c.members() {
                    let bits = u32::from(member.bits.unwrap_or(0)) << 24;
                    words.extend([self.string(member.name), to(self, member.ty), bits | member.bit_offset]);
                }
                let kind = if c.is_union { 5 } else { 4 };
                self.words(name, kind << 24 | flag_of(flag) | c.members().len() as u32, c.size, &words);
            }
            Kind::Enum(e) => {
                let mut words = Vec::new();
                for (name, value) in e.values() {
                    words.extend([self.string(name), value as u32]);
                    words.extend(e.wide.then_some((value >> 32) as u32));
                }
                let kind = if e.wide { 19 } else { 6 };
                self.words(name, kind << 24 | flag_of(e.signed) | e.values().len() as u32, e.size, &words);
            }
            Kind::Fwd { is_union } => self.words(name, 7 << 24 | flag_of(is_union), 0, &[]),
            Kind::Typedef(target) => self.words(name, 8 << 24, to(self, target), &[]),
            Kind::Volatile(target) => self.words(0, 9 << 24, to(self, target), &[]),
            Kind::Const(target) => self.words(0, 10 << 24, to(self, target), &[]),
            Kind::Restrict(target) => self.words(0, 11 << 24, to(self, target), &[]),
            Kind::Func(func) => self.words(name, 12 << 24 | func.linkage as u32, to(self, func.proto), &[]),
            Kind::FuncProto(proto) => {
                let mut words = Vec::new();
                for param in proto.params() {
                    words.extend([self.string(param.name), to(self, param.ty)]);
                }
                self.words(0, 13 << 24 | proto.params().len() as u32, to(self, proto.ret), &words);
            }
            Kind::Float { size } => self.words(name, 16 << 24, size, &[]),
            Kind::TypeTag(target) => self.words(name, 18 << 24, to(self, target), &[]),
            other @ (Kind::Void | Kind::Var(_) | Kind::Datasec(_) | Kind::DeclTag { .. } | Kind::Unknown(_)) => {
                return Err(format!("a {:?} cannot be part of a selection", other.tag()));
            }
        }
        Ok(())
    }

    /// `struct name;`, or, without a name, a struct of that size without members.
    fn declaration(&mut self, btf: &Btf, id: TypeId, name: u32) {
        let is_union = btf.tag(id) == Tag::Union;
        match (btf.name(id), is_union) {
            ("", false) => self.words(0, 4 << 24, btf.size_of(id).unwrap_or(0), &[]),
            ("", true) => self.words(0, 5 << 24, btf.size_of(id).unwrap_or(0), &[]),
            _ => self.words(name, 7 << 24 | flag_of(is_union), 0, &[]),
        }
    }

    fn words(&mut self, name: u32, info: u32, third: u32, more: &[u32]) {
        for word in [name, info, third].iter().chain(more) {
            self.types.extend(word.to_le_bytes());
        }
    }

    fn string(&mut self, text: &str) -> u32 {
        if text.is_empty() {
            return 0;
        }
        if let Some(known) = self.offsets.get(text) {
            return *known;
        }
        // The strings of a subset are fewer than the kernel's, which fit 32 bits.
        let at = self.strings.len() as u32;
        self.strings.extend(text.as_bytes());
        self.strings.push(0);
        self.offsets.insert(text.to_string(), at);
        at
    }

    /// Header, types, strings (`struct btf_header`).
    fn finish(self) -> Vec<u8> {
        let (types, strings) = (self.types.len() as u32, self.strings.len() as u32);
        let mut out = vec![0x9f, 0xeb, 1, 0];
        for word in [24, 0, types, types, strings] {
            out.extend(u32::to_le_bytes(word));
        }
        out.extend(self.types);
        out.extend(self.strings);
        out
    }
}

fn flag_of(set: bool) -> u32 {
    if set { KIND_FLAG } else { 0 }
}
