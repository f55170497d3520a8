//! Types as C spells them, for people: `const char *`, `struct path *`, `char [16]`.
//!
//! Not valid C in every case: a function is `int (…)`, and what is anonymous has no name to print.

use crate::btf::{Btf, MAX_DEPTH};
use crate::kind::{Kind, TypeId};

impl Btf {
    /// The C spelling of a type.
    pub fn c_type(&self, id: TypeId) -> String {
        self.spell(id, MAX_DEPTH)
    }

    fn spell(&self, id: TypeId, depth: u32) -> String {
        let Some(depth) = depth.checked_sub(1) else {
            return "…".to_owned();
        };
        let name = self.name(id);
        let tagged = |word: &str| if name.is_empty() { format!("{word} {{…}}") } else { format!("{word} {name}") };
        match self.kind(id) {
            Kind::Void => "void".to_owned(),
            Kind::Struct(_) | Kind::Fwd { is_union: false } => tagged("struct"),
            Kind::Union(_) | Kind::Fwd { is_union: true } => tagged("union"),
            Kind::Enum(_) => tagged("enum"),
            Kind::Const(to) => self.qualified("const", to, depth),
            Kind::Volatile(to) => self.qualified("volatile", to, depth),
            Kind::Restrict(to) => self.qualified("restrict", to, depth),
            Kind::Ptr(to) => self.spell_ptr(to, depth),
            Kind::Array(array) => format!("{} [{}]", self.spell(array.elem, depth), array.len),
            Kind::FuncProto(proto) => format!("{} (…)", self.spell(proto.ret, depth)),
            // A tag is for tools; the type is what it is without it.
            Kind::TypeTag(to) => self.spell(to, depth),
            Kind::Int(_)
            | Kind::Float { .. }
            | Kind::Typedef(_)
            | Kind::Func(_)
            | Kind::Var(_)
            | Kind::Datasec(_)
            | Kind::DeclTag { .. } => name.to_owned(),
            Kind::Unknown(kind) => format!("kind {kind}"),
        }
    }

    /// In front of what it qualifies, but behind a pointer: `const char`, `char * const`.
    fn qualified(&self, word: &str, to: TypeId, depth: u32) -> String {
        let inner = self.spell(to, depth);
        match self.kind(to) {
            Kind::Ptr(_) => format!("{inner} {word}"),
            _ => format!("{word} {inner}"),
        }
    }

    fn spell_ptr(&self, to: TypeId, depth: u32) -> String {
        match self.kind(to) {
            Kind::FuncProto(proto) => format!("{} (*)(…)", self.spell(proto.ret, depth)),
            _ => {
                let inner = self.spell(to, depth);
                let blank = if inner.ends_with('*') { "" } else { " " };
                format!("{inner}{blank}*")
            }
        }
    }
}
