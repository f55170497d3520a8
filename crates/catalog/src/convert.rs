//! A kernel's C types as SQL types, and as C text.
//!
//! Every walk is bounded, whatever the BTF says. Not checked: that a type exists in another kernel too; see `check`.

use crate::ty::{DEFAULT_TEXT, EnumType, Pointee, Space, SqlType, TypeRef};
use bpfquery_btf::{Btf, Kind, Tag, TypeId};
use std::sync::Arc;

/// How deep a type is unfolded (`char ***…`); what lies deeper is opaque.
const MAX_DEPTH: u32 = 8;

/// How many types the C text of one is made of at most; the kernel's longest prototypes take some dozens.
const MAX_STEPS: u32 = 500;

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
            _ if is_text(btf, pointer.target) => (Pointee::Char, pointers.values),
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
/// Whether what a pointer leads to is text: `char`, or `const unsigned char` as `struct qstr` has its name (a buffer of bytes is not
/// const, or of a type of its own: `u8`).
fn is_text(btf: &Btf, id: TypeId) -> bool {
    let is_byte = |to| matches!(btf.kind(to), Kind::Int(int) if int.size == 1 && btf.name(to) == "unsigned char");
    is_char(btf, id) || matches!(btf.kind(id), Kind::Const(to) if is_byte(to))
}

fn is_char(btf: &Btf, id: TypeId) -> bool {
    let inner = btf.skip(id);
    matches!(btf.kind(inner), Kind::Int(int) if int.size == 1 && (btf.name(inner) == "char" || int.char))
}

/// A type as C writes it: `const struct path *`, `char [16]`, `int (*)(void *, bool)`. Tags such as `__user` are left
/// out, as most kernels do not have them.
pub fn c_type(btf: &Btf, id: TypeId) -> String {
    declare(btf, id, String::new(), &mut MAX_STEPS.clone()).trim_end().to_string()
}

/// The type wrapped around a declarator, from the inside out. Prototypes that mention themselves end with the steps.
fn declare(btf: &Btf, id: TypeId, inner: String, steps: &mut u32) -> String {
    match steps.checked_sub(1) {
        Some(left) => *steps = left,
        None => return joined("…", &inner),
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
        Kind::Ptr(to) => declare(btf, to, format!("*{inner}"), steps),
        Kind::Array(array) => {
            let brackets = if array.len == 0 { "[]".to_string() } else { format!("[{}]", array.len) };
            declare(btf, array.elem, grouped(inner) + &brackets, steps)
        }
        Kind::FuncProto(proto) => {
            let mut params: Vec<String> = Vec::new();
            for param in proto.params() {
                params.push(declare(btf, param.ty, String::new(), steps).trim_end().to_string());
                if *steps == 0 {
                    break;
                }
            }
            match params.last_mut() {
                // A variadic function ends with a parameter of type void.
                Some(last) if last == "void" => *last = "...".to_string(),
                Some(_) => {}
                None => params.push("void".to_string()),
            }
            declare(btf, proto.ret, format!("{}({})", grouped(inner), params.join(", ")), steps)
        }
        Kind::Const(to) => qualified(btf, to, "const", inner, steps),
        Kind::Volatile(to) => qualified(btf, to, "volatile", inner, steps),
        Kind::Restrict(to) => qualified(btf, to, "restrict", inner, steps),
        Kind::TypeTag(to) => declare(btf, to, inner, steps),
        Kind::Func(func) => declare(btf, func.proto, inner, steps),
        Kind::Var(var) => declare(btf, var.ty, inner, steps),
        Kind::Datasec(_) | Kind::DeclTag { .. } | Kind::Unknown(_) => joined("?", &inner),
    }
}

/// A qualifier stands before what it qualifies, but behind the star of a pointer.
fn qualified(btf: &Btf, to: TypeId, word: &str, inner: String, steps: &mut u32) -> String {
    if btf.tag(btf.skip_qualifiers(to)) == Tag::Ptr {
        let gap = if inner.is_empty() { "" } else { " " };
        return declare(btf, to, format!("{word}{gap}{inner}"), steps);
    }
    format!("{word} {}", declare(btf, to, inner, steps))
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

#[cfg(test)]
mod tests {
    use super::*;
    use bpfquery_btf::{Builder, Int, NewMember};

    #[test]
    fn types_are_spelt_as_in_c() {
        let mut b = Builder::new();
        let int = b.plain_int(4, true);
        let gcc = Int { size: 8, bits: 64, offset: 0, signed: false, bool: false, char: false };
        let long = b.int("long unsigned int", gcc);
        let (char, bool) = (b.char(), b.bool());
        let const_char = b.constant(char);
        let text = b.ptr(const_char);
        let const_text = b.constant(text);
        let argv = b.ptr(const_text);
        let array = b.array(char, 16);
        let to_array = b.ptr(array);
        let row = b.array(array, 2);
        let pair = b.structure("pair", 4, &[NewMember::new("a", int, 0)]);
        let unnamed = b.structure("", 4, &[NewMember::new("b", int, 0)]);
        let typedef = b.typedef("pair_t", unnamed);
        let union = b.forward("u", true);
        let to_pair = b.ptr(pair);
        let void = b.ptr(TypeId::VOID);
        let proto = b.func_proto(int, &[("", void), ("", bool)]);
        let callback = b.ptr(proto);
        let none = b.func_proto(TypeId::VOID, &[]);
        let variadic = b.func_proto(to_pair, &[("", text), ("", TypeId::VOID)]);
        let user = b.type_tag("user", char);
        let tagged = b.ptr(user);
        let btf = Btf::parse(b.finish().expect("BTF")).expect("BTF");
        let check = |id, expect: &str| assert_eq!(c_type(&btf, id), expect);
        check(int, "int");
        check(long, "unsigned long");
        check(bool, "bool");
        check(text, "const char *");
        check(argv, "const char *const *");
        check(array, "char [16]");
        check(to_array, "char (*)[16]");
        check(row, "char [2][16]");
        check(pair, "struct pair");
        check(unnamed, "struct {…}");
        check(typedef, "pair_t");
        check(union, "union u");
        check(void, "void *");
        check(callback, "int (*)(void *, bool)");
        check(none, "void (void)");
        check(variadic, "struct pair *(const char *, ...)");
        check(tagged, "char *");
        check(TypeId::VOID, "void");
    }

    #[test]
    fn sql_types() {
        let mut b = Builder::new();
        let (int, char, bool) = (b.plain_int(4, true), b.char(), b.bool());
        let name = b.array(char, 16);
        let flexible = b.array(char, 0);
        let ints = b.array(int, 3);
        let bytes = b.plain_int(1, false);
        let to_bytes = b.ptr(bytes);
        let const_bytes = b.constant(bytes);
        let to_const_bytes = b.ptr(const_bytes);
        let u8_type = b.typedef("u8", bytes);
        let const_u8 = b.constant(u8_type);
        let to_const_u8 = b.ptr(const_u8);
        let text = b.ptr(char);
        let user = b.type_tag("user", char);
        let user_text = b.ptr(user);
        let percpu = b.type_tag("percpu", int);
        let to_percpu = b.ptr(percpu);
        let colour = b.enumeration("colour", 4, true, &[("RED", -1), ("GREEN", 2)]);
        let huge = b.plain_int(16, false);
        let unnamed = b.structure("", 4, &[NewMember::new("b", int, 0)]);
        let typedef = b.typedef("pair_t", unnamed);
        let declared = b.forward("later", false);
        let to_declared = b.ptr(declared);
        let object = Object::vmlinux(Arc::new(Btf::parse(b.finish().expect("BTF")).expect("BTF")));
        let check = |id, expect: SqlType| assert_eq!(object.sql_type(id, Pointers::ARGUMENT), expect);
        let pointer = |space, to| SqlType::Pointer { space, to };
        let byte = SqlType::Int { bits: 8, signed: false };
        check(int, SqlType::I32);
        check(bool, SqlType::Bool);
        check(name, SqlType::Text { width: 16 });
        check(flexible, SqlType::Text { width: DEFAULT_TEXT });
        check(ints, SqlType::Array { element: Box::new(SqlType::I32), len: 3 });
        check(text, pointer(Space::Unknown, Pointee::Char));
        check(user_text, pointer(Space::User, Pointee::Char));
        check(to_bytes, pointer(Space::Unknown, Pointee::Value(Box::new(byte.clone()))));
        check(to_const_u8, pointer(Space::Unknown, Pointee::Value(Box::new(byte.clone()))));
        check(to_const_bytes, pointer(Space::Unknown, Pointee::Char));
        check(to_percpu, pointer(Space::Unknown, Pointee::Opaque));
        check(huge, SqlType::Array { element: Box::new(byte), len: 16 });
        let values = vec![(-1, "RED".to_string()), (2, "GREEN".to_string())];
        check(colour, SqlType::Enum(EnumType { name: "colour".into(), bits: 32, signed: true, values }));
        let named = |id: u32, name: &str| TypeRef { object: VMLINUX.into(), id, name: name.into() };
        check(typedef, SqlType::Struct(named(typedef.0, "pair_t")));
        check(to_declared, pointer(Space::Kernel, Pointee::Struct(named(0, "later"))));
        assert_eq!(object.sql_type(text, Pointers::KERNEL), pointer(Space::Kernel, Pointee::Char));
    }

    /// `T` is a function of a hundred pointers to `T`: unfolding it without a bound would take 100^n steps.
    #[test]
    fn a_prototype_that_mentions_itself_ends() {
        let mut words = vec![0, 13 << 24 | 100, 0];
        words.extend([0, 2].repeat(100));
        words.extend([0, 2 << 24, 1]);
        let types: Vec<u8> = words.iter().flat_map(|word: &u32| word.to_le_bytes()).collect();
        let mut bytes = vec![0x9f, 0xeb, 1, 0];
        for word in [24, 0, types.len() as u32, types.len() as u32, 1] {
            bytes.extend(u32::to_le_bytes(word));
        }
        bytes.extend(types);
        bytes.push(0);
        let btf = Btf::parse(bytes).expect("BTF");
        let text = c_type(&btf, TypeId(1));
        assert!(text.contains('…') && text.len() < 10_000, "{} bytes", text.len());
    }
}
