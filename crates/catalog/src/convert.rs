//! A kernel's C types as SQL types, and as C text.
//!
//! Every walk is bounded, whatever the BTF says. Not checked: that a type exists in another kernel too; see `check`.

use crate::ty::{DEFAULT_TEXT, EnumType, Pointee, Space, SqlType, TypeRef};
use bpfquery_btf::{Btf, Kind, Tag, TypeId};
use std::sync::Arc;

/// How deep a type is unfolded (`char ***…`); what lies deeper is opaque.
const MAX_DEPTH: u32 = 8;

/// A BTF and the name by which types of it are called.
#[derive(Clone, Debug)]
pub struct Object {
    /// `vmlinux`, or a module's name.
    pub name: String,
    /// Its BTF; a module's is based on vmlinux's.
    pub btf: Arc<Btf>,
}

/// The name of vmlinux's own BTF.
pub const VMLINUX: &str = "vmlinux";

impl Object {
    /// vmlinux's.
    pub fn vmlinux(btf: Arc<Btf>) -> Object {
        Object { name: VMLINUX.to_string(), btf }
    }

    /// The SQL type of a C type. `text` and `data` say where pointers without a tag point: those to `char` and to
    /// other plain values, and those to structs.
    pub fn sql_type(&self, id: TypeId, pointers: Pointers) -> SqlType {
        self.convert(id, pointers, 0)
    }

    fn convert(&self, id: TypeId, pointers: Pointers, depth: u32) -> SqlType {
        let btf = &*self.btf;
        let opaque =
            |bytes: u32| SqlType::Array { element: Box::new(SqlType::Int { bits: 8, signed: false }), len: bytes };
        if depth > MAX_DEPTH {
            return opaque(btf.size_of(id).unwrap_or(0));
        }
        match btf.resolve(id) {
            Kind::Int(int) if int.bool => SqlType::Bool,
            Kind::Int(int) if matches!(int.size, 1 | 2 | 4 | 8) => {
                SqlType::Int { bits: (int.size * 8) as u8, signed: int.signed }
            }
            Kind::Enum(e) => SqlType::Enum(EnumType {
                name: btf.name(btf.skip(id)).to_string(),
                bits: (e.size.clamp(1, 8) * 8) as u8,
                signed: e.signed,
                values: e.values().map(|(name, value)| (value, name.to_string())).collect(),
            }),
            Kind::Ptr(_) => self.pointer(id, pointers, depth),
            Kind::Array(array) if is_char(btf, array.elem) => {
                SqlType::Text { width: if array.len == 0 { DEFAULT_TEXT } else { array.len } }
            }
            Kind::Array(array) => {
                SqlType::Array { element: Box::new(self.convert(array.elem, pointers, depth + 1)), len: array.len }
            }
            Kind::Struct(_) | Kind::Union(_) | Kind::Fwd { .. } => SqlType::Struct(self.type_ref(id)),
            Kind::Int(_)
            | Kind::Void
            | Kind::Typedef(_)
            | Kind::Volatile(_)
            | Kind::Const(_)
            | Kind::Restrict(_)
            | Kind::Func(_)
            | Kind::FuncProto(_)
            | Kind::Var(_)
            | Kind::Datasec(_)
            | Kind::Float { .. }
            | Kind::DeclTag { .. }
            | Kind::TypeTag(_)
            | Kind::Unknown(_) => opaque(btf.size_of(id).unwrap_or(0)),
        }
    }

    fn pointer(&self, id: TypeId, pointers: Pointers, depth: u32) -> SqlType {
        let btf = &*self.btf;
        let Some(pointer) = btf.pointer(id) else {
            return SqlType::U64;
        };
        let (mut to, untagged) = match btf.resolve(pointer.target) {
            _ if is_char(btf, pointer.target) => (Pointee::Char, pointers.values),
            Kind::Struct(_) | Kind::Union(_) | Kind::Fwd { .. } => {
                (Pointee::Struct(self.type_ref(pointer.target)), pointers.structs)
            }
            Kind::Void | Kind::Func(_) | Kind::FuncProto(_) | Kind::Unknown(_) => (Pointee::Opaque, pointers.values),
            _ if depth >= MAX_DEPTH => (Pointee::Opaque, pointers.values),
            _ => (Pointee::Value(Box::new(self.convert(pointer.target, pointers, depth + 1))), pointers.values),
        };
        if pointer.percpu {
            // It is an offset into each CPU's area: reading through it as an address would give a wrong value.
            to = Pointee::Opaque;
        }
        SqlType::Pointer { space: if pointer.user { Space::User } else { untagged }, to }
    }

    /// The name by which a struct or union is known. One without a tag goes by its typedef; one that this BTF only
    /// declares goes by its name alone (id 0), and [`crate::nav`] looks for the definition.
    pub fn type_ref(&self, id: TypeId) -> TypeRef {
        let btf = &*self.btf;
        let (inner, named) = (btf.skip(id), btf.skip_qualifiers(id));
        let known = if btf.name(inner).is_empty() { named } else { inner };
        let object = match btf.base() {
            Some(base) if known.0 < base.next_id() => VMLINUX,
            _ => &self.name,
        };
        let declared = btf.tag(inner) == Tag::Fwd;
        let id = if declared { 0 } else { known.0 };
        TypeRef { object: object.to_string(), id, name: btf.name(known).to_string() }
    }
}

/// Where pointers without a type tag point.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pointers {
    /// Those to `char`, integers, other pointers, and `void`.
    pub values: Space,
    /// Those to structs and unions.
    pub structs: Space,
}

impl Pointers {
    /// Members of kernel structs, arguments of raw tracepoints.
    pub const KERNEL: Pointers = Pointers { values: Space::Kernel, structs: Space::Kernel };
    /// Arguments of functions: a `char *` may be a path that a system call was given. Kernels built with gcc have no
    /// `user` tags, so only the address can tell.
    pub const ARGUMENT: Pointers = Pointers { values: Space::Unknown, structs: Space::Kernel };
    /// Arguments of system calls.
    pub const USER: Pointers = Pointers { values: Space::User, structs: Space::User };
}

/// Whether a type is plain `char`: BTF keeps no mark on it but its name.
fn is_char(btf: &Btf, id: TypeId) -> bool {
    let inner = btf.skip(id);
    matches!(btf.kind(inner), Kind::Int(int) if int.size == 1 && (btf.name(inner) == "char" || int.char))
}

/// A type as C writes it: `const struct path *`, `char [16]`, `int (*)(void *, bool)`. Tags such as `__user` are left
/// out, as most kernels do not have them.
pub fn c_type(btf: &Btf, id: TypeId) -> String {
    declare(btf, id, String::new(), 0).trim_end().to_string()
}

/// The type wrapped around a declarator, from the inside out.
fn declare(btf: &Btf, id: TypeId, inner: String, depth: u32) -> String {
    if depth > 2 * MAX_DEPTH {
        return joined("…", &inner);
    }
    let grouped = |inner: String| if inner.starts_with('*') { format!("({inner})") } else { inner };
    let name = btf.name(id);
    match btf.kind(id) {
        Kind::Void => joined("void", &inner),
        Kind::Int(_) => joined(integer(name), &inner),
        Kind::Float { .. } | Kind::Typedef(_) => joined(name, &inner),
        Kind::Struct(_) => joined(&tagged("struct", name), &inner),
        Kind::Union(_) => joined(&tagged("union", name), &inner),
        Kind::Fwd { is_union } => joined(&tagged(if is_union { "union" } else { "struct" }, name), &inner),
        Kind::Enum(_) => joined(&tagged("enum", name), &inner),
        Kind::Ptr(to) => declare(btf, to, format!("*{inner}"), depth + 1),
        Kind::Array(array) => {
            let brackets = if array.len == 0 { "[]".to_string() } else { format!("[{}]", array.len) };
            declare(btf, array.elem, grouped(inner) + &brackets, depth + 1)
        }
        Kind::FuncProto(proto) => {
            let text = |ty: TypeId| declare(btf, ty, String::new(), depth + 1).trim_end().to_string();
            let mut params: Vec<String> = proto.params().map(|p| text(p.ty)).collect();
            match params.last_mut() {
                // A variadic function ends with a parameter of type void.
                Some(last) if last == "void" => *last = "...".to_string(),
                Some(_) => {}
                None => params.push("void".to_string()),
            }
            declare(btf, proto.ret, format!("{}({})", grouped(inner), params.join(", ")), depth + 1)
        }
        Kind::Const(to) => qualified(btf, to, "const", inner, depth),
        Kind::Volatile(to) => qualified(btf, to, "volatile", inner, depth),
        Kind::Restrict(to) => qualified(btf, to, "restrict", inner, depth),
        Kind::TypeTag(to) => declare(btf, to, inner, depth + 1),
        Kind::Func(func) => declare(btf, func.proto, inner, depth + 1),
        Kind::Var(var) => declare(btf, var.ty, inner, depth + 1),
        Kind::Datasec(_) | Kind::DeclTag { .. } | Kind::Unknown(_) => joined("?", &inner),
    }
}

/// A qualifier stands before what it qualifies, but behind the star of a pointer.
fn qualified(btf: &Btf, to: TypeId, word: &str, inner: String, depth: u32) -> String {
    if btf.tag(btf.skip_qualifiers(to)) == Tag::Ptr {
        let gap = if inner.is_empty() { "" } else { " " };
        return declare(btf, to, format!("{word}{gap}{inner}"), depth + 1);
    }
    format!("{word} {}", declare(btf, to, inner, depth + 1))
}

/// gcc and clang name the same integers in different ways; clang's is the shorter one.
fn integer(name: &str) -> &str {
    match name {
        "short int" => "short",
        "short unsigned int" => "unsigned short",
        "long int" => "long",
        "long unsigned int" => "unsigned long",
        "long long int" => "long long",
        "long long unsigned int" => "unsigned long long",
        "_Bool" => "bool",
        other => other,
    }
}

fn tagged(word: &str, name: &str) -> String {
    if name.is_empty() { format!("{word} {{…}}") } else { format!("{word} {name}") }
}

fn joined(base: &str, inner: &str) -> String {
    if inner.is_empty() { base.to_string() } else { format!("{base} {inner}") }
}
