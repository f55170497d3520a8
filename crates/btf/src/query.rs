//! Questions about types: modifiers, sizes, members by name, prototypes, C names.
//!
//! - Members are found through anonymous structs and unions, as in C.
//! - Bitfields of both encodings (the struct's kind flag, and narrow ints of before Linux 5.0) come out the same.
//! - Each answer takes bounded time: modifiers and nesting at most `MAX_DEPTH`, members seen at most `MAX_VISITS`.

use crate::btf::{Btf, MAX_DEPTH, POINTER_SIZE};
use crate::kind::{Composite, Kind, Member, Param, Tag, TypeId};

/// How many members one answer looks at. The kernel's largest struct has some hundreds; anonymous structs that
/// hold each other twice would otherwise make 2^depth of them.
const MAX_VISITS: u32 = 1 << 16;

/// A pointer, with what its tags say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pointer {
    /// What it points to, type tags skipped, `const` and typedefs kept.
    pub target: TypeId,
    /// `__user`: an address of user space.
    pub user: bool,
    /// `__percpu`: an offset into each CPU's area.
    pub percpu: bool,
    /// `__rcu`.
    pub rcu: bool,
}

/// A function's prototype.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Proto<'a> {
    /// The function, or the prototype where it was asked for by itself.
    pub id: TypeId,
    /// The parameters in order, those without a name included.
    pub params: Vec<Param<'a>>,
    /// What it returns; void for nothing.
    pub ret: TypeId,
}

/// A bitfield's place in its struct.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bits {
    /// Bits from the start of the struct.
    pub offset: u32,
    /// Width in bits.
    pub size: u32,
}

/// A member of a struct, found through anonymous ones.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Field<'a> {
    /// The name; empty for an unnamed bitfield's padding.
    pub name: &'a str,
    /// The member's index in each struct from the outer one in; more than one where anonymous ones lie between.
    pub path: Vec<u32>,
    /// The member's type.
    pub ty: TypeId,
    /// Bytes from the outer struct's start; of a bitfield, those of its first bit.
    pub offset: u32,
    /// Present for a bitfield.
    pub bits: Option<Bits>,
}

impl Btf {
    /// The type behind typedefs, `const`, `volatile`, `restrict` and type tags; void for a cycle of them.
    pub fn skip(&self, id: TypeId) -> TypeId {
        self.skip_while(id, |_, _| true)
    }

    /// The type behind `const`, `volatile`, `restrict` and type tags, but not typedefs.
    pub fn skip_qualifiers(&self, id: TypeId) -> TypeId {
        self.skip_while(id, |_, kind| !matches!(kind, Kind::Typedef(_)))
    }

    /// Steps over modifiers for as long as `more` says.
    fn skip_while(&self, mut id: TypeId, mut more: impl FnMut(TypeId, Kind<'_>) -> bool) -> TypeId {
        for _ in 0..MAX_DEPTH {
            let kind = self.kind(id);
            match kind {
                Kind::Typedef(to) | Kind::Volatile(to) | Kind::Const(to) | Kind::Restrict(to) | Kind::TypeTag(to)
                    if more(id, kind) =>
                {
                    id = to;
                }
                _ => return id,
            }
        }
        TypeId::VOID
    }

    /// What a type is, behind its modifiers.
    pub fn resolve(&self, id: TypeId) -> Kind<'_> {
        self.kind(self.skip(id))
    }

    /// The struct or union behind a type's modifiers.
    pub fn composite(&self, id: TypeId) -> Option<Composite<'_>> {
        match self.resolve(id) {
            Kind::Struct(c) | Kind::Union(c) => Some(c),
            _ => None,
        }
    }

    /// The pointer behind a type's modifiers. Compilers put a pointer's tags right behind it: in `char __user *`
    /// the pointer's target is the tag, and the tag's is `char`.
    pub fn pointer(&self, id: TypeId) -> Option<Pointer> {
        let Kind::Ptr(target) = self.resolve(id) else {
            return None;
        };
        let mut pointer = Pointer { target, user: false, percpu: false, rcu: false };
        pointer.target = self.skip_while(target, |tag, kind| match kind {
            Kind::TypeTag(_) => {
                match self.name(tag) {
                    "user" => pointer.user = true,
                    "percpu" => pointer.percpu = true,
                    "rcu" => pointer.rcu = true,
                    _ => {}
                }
                true
            }
            _ => false,
        });
        Some(pointer)
    }

    /// A type's size in bytes; `None` for void, functions, declared structs, and sizes beyond 32 bits.
    pub fn size_of(&self, mut id: TypeId) -> Option<u32> {
        let mut count = 1_u32;
        for _ in 0..MAX_DEPTH {
            let one = match self.kind(id) {
                Kind::Int(int) => int.size,
                Kind::Ptr(_) => POINTER_SIZE,
                Kind::Struct(c) | Kind::Union(c) => c.size,
                Kind::Enum(e) => e.size,
                Kind::Float { size } => size,
                Kind::Datasec(d) => d.size,
                Kind::Array(array) => {
                    count = count.checked_mul(array.len)?;
                    id = array.elem;
                    continue;
                }
                Kind::Typedef(to) | Kind::Volatile(to) | Kind::Const(to) | Kind::Restrict(to) | Kind::TypeTag(to) => {
                    id = to;
                    continue;
                }
                Kind::Var(var) => {
                    id = var.ty;
                    continue;
                }
                Kind::Void
                | Kind::Fwd { .. }
                | Kind::Func(_)
                | Kind::FuncProto(_)
                | Kind::DeclTag { .. }
                | Kind::Unknown(_) => return None,
            };
            return count.checked_mul(one);
        }
        None
    }

    /// The member of that name of a struct or union (or of what a typedef names), through anonymous ones.
    pub fn field(&self, id: TypeId, name: &str) -> Option<Field<'_>> {
        let mut found = None;
        self.visit_fields(id, &mut |field| {
            let hit = self.string_is(field.name, name.as_bytes());
            if hit {
                found = Some(self.to_field(field));
            }
            !hit
        });
        found
    }

    /// All members that have a name, those of anonymous structs and unions in their place.
    pub fn fields(&self, id: TypeId) -> Vec<Field<'_>> {
        let mut all = Vec::new();
        self.visit_fields(id, &mut |field| {
            if !self.string_is(field.name, b"") {
                all.push(self.to_field(field));
            }
            true
        });
        all
    }

    /// The member at the end of a path of indices. An index into an array counts its elements. `None` where there
    /// is no such member.
    pub fn field_at(&self, id: TypeId, path: &[u32]) -> Option<Field<'_>> {
        let mut at = Field { name: "", path: path.to_vec(), ty: id, offset: 0, bits: None };
        let mut bit_offset = 0_u32;
        for index in path {
            match self.resolve(at.ty) {
                Kind::Struct(c) | Kind::Union(c) => {
                    let member = c.members().nth(*index as usize)?;
                    bit_offset = bit_offset.saturating_add(member.bit_offset);
                    (at.name, at.ty, at.bits) = (member.name, member.ty, self.bits_at(bit_offset, member));
                }
                Kind::Array(array) => {
                    at.ty = array.elem;
                    let bits = self.size_of(array.elem)?.checked_mul(8)?.checked_mul(*index)?;
                    bit_offset = bit_offset.checked_add(bits)?;
                }
                _ => return None,
            }
        }
        at.offset = at.bits.map_or(bit_offset, |b| b.offset) / 8;
        Some(at)
    }

    /// The prototype of the function of that name, this BTF's own before its base's.
    pub fn func_proto(&self, name: &str) -> Option<Proto<'_>> {
        self.proto_of(self.find(Tag::Func, name)?)
    }

    /// The prototype of a function, or behind a pointer to a function (such as a `btf_trace_…` typedef).
    pub fn proto_of(&self, id: TypeId) -> Option<Proto<'_>> {
        let target = self.pointer(id).map_or(self.skip(id), |p| self.skip(p.target));
        let proto = match self.kind(target) {
            Kind::Func(func) => func.proto,
            _ => target,
        };
        match self.kind(proto) {
            Kind::FuncProto(p) => Some(Proto { id, params: p.params().collect(), ret: p.ret }),
            _ => None,
        }
    }

    /// A member's place if it is a bitfield, given where it starts in bits.
    fn bits_at(&self, bit_offset: u32, member: Member<'_>) -> Option<Bits> {
        match (member.bits, self.resolve(member.ty)) {
            (Some(size), _) => Some(Bits { offset: bit_offset, size: u32::from(size) }),
            // The old encoding: an int of fewer bits than it has room for.
            (None, Kind::Int(int)) if int.offset != 0 || u32::from(int.bits) != int.size.saturating_mul(8) => {
                let offset = bit_offset.saturating_add(u32::from(int.offset));
                Some(Bits { offset, size: u32::from(int.bits) })
            }
            _ => None,
        }
    }

    fn to_field(&self, visit: Visit<'_>) -> Field<'_> {
        let bits = self.bits_at(visit.bit_offset, visit.member);
        let offset = bits.map_or(visit.bit_offset, |bits| bits.offset) / 8;
        Field { name: self.name_at(visit.name), path: visit.path.to_vec(), ty: visit.member.ty, offset, bits }
    }

    /// Shows every member that is not an anonymous struct or union to `see`, until it returns false.
    fn visit_fields(&self, id: TypeId, see: &mut dyn FnMut(Visit<'_>) -> bool) {
        let mut walk = Walk { btf: self, path: Vec::new(), visits: 0, see };
        walk.composite(id, 0);
    }
}

/// A member on the way past. Most are not what is looked for, so nothing is made of them yet.
struct Visit<'p> {
    /// Where its name starts among the strings.
    name: u32,
    member: Member<'static>,
    path: &'p [u32],
    /// From the outer struct's start.
    bit_offset: u32,
}

struct Walk<'a, 's> {
    btf: &'a Btf,
    path: Vec<u32>,
    visits: u32,
    see: &'s mut dyn FnMut(Visit<'_>) -> bool,
}

impl Walk<'_, '_> {
    /// Walks one struct; returns whether to go on.
    fn composite(&mut self, id: TypeId, base: u32) -> bool {
        let Some(composite) = self.btf.composite(id) else {
            return true;
        };
        for (index, (name, member)) in composite.unnamed().enumerate() {
            self.visits += 1;
            if self.visits > MAX_VISITS {
                return false;
            }
            self.path.push(index as u32);
            let more = self.member(base.saturating_add(member.bit_offset), name, member);
            self.path.pop();
            if !more {
                return false;
            }
        }
        true
    }

    fn member(&mut self, bit_offset: u32, name: u32, member: Member<'static>) -> bool {
        let nested = self.btf.string_is(name, b"") && self.btf.composite(member.ty).is_some();
        match nested {
            true if self.path.len() > MAX_DEPTH as usize => true,
            true => self.composite(member.ty, bit_offset),
            false => (self.see)(Visit { name, member, path: &self.path, bit_offset }),
        }
    }
}

/// How libbpf loads a bitfield: the aligned word that holds all of it, and the shifts that leave its value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BitLoad {
    /// Bytes from the struct's start.
    pub offset: u32,
    /// Bytes to load: 1, 2, 4 or 8.
    pub size: u32,
    /// Shift left by this within 64 bits …
    pub left: u32,
    /// … then right by this, arithmetically if the type is signed.
    pub right: u32,
}

impl Bits {
    /// The load for a bitfield declared with a type of `size` bytes; `None` where 8 aligned bytes do not hold it.
    /// As in `bpf_core_calc_field_relo`, `kernel: tools/lib/bpf/relo_core.c`, 6.18.
    pub fn load(&self, size: u32) -> Option<BitLoad> {
        let mut size = size;
        loop {
            if self.size == 0 || !matches!(size, 1 | 2 | 4 | 8) {
                return None;
            }
            let offset = self.offset / 8 / size * size;
            let end = (self.offset - offset * 8).checked_add(self.size)?;
            if end <= size * 8 {
                return Some(BitLoad { offset, size, left: 64 - end, right: 64 - self.size });
            }
            size *= 2;
        }
    }
}
