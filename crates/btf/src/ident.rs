//! C identifiers for SQL names. libbpf refuses BTF whose members are not identifiers; the true names travel elsewhere.

use std::collections::BTreeSet;

/// Bytes of the longest identifier made, the suffix that makes it unique included.
const MAX_LEN: usize = 60;

/// C11's words, and those that C headers and clang's `-x c` take as such.
const KEYWORDS: [&str; 45] = [
    "_Alignas",
    "_Alignof",
    "_Atomic",
    "_Bool",
    "_Complex",
    "_Generic",
    "_Imaginary",
    "_Noreturn",
    "_Static_assert",
    "_Thread_local",
    "asm",
    "auto",
    "break",
    "case",
    "char",
    "const",
    "continue",
    "default",
    "do",
    "double",
    "else",
    "enum",
    "extern",
    "float",
    "for",
    "goto",
    "if",
    "inline",
    "int",
    "long",
    "register",
    "restrict",
    "return",
    "short",
    "signed",
    "sizeof",
    "static",
    "struct",
    "switch",
    "typedef",
    "union",
    "unsigned",
    "void",
    "volatile",
    "while",
];

/// A C identifier for a column, different from all in `used`, to which it is added.
///
/// ASCII letters, digits and `_` stay, other ASCII becomes `_`, other characters `u` and their hexadecimal code;
/// a leading digit gets `_` in front, a C keyword `_` behind, a name that is taken `_2`, `_3`, …
/// `a b` → `a_b`, `é` → `u00e9`, `2x` → `_2x`, `int` → `int_`, the second `count` → `count_2`.
pub fn c_identifier(name: &str, used: &mut BTreeSet<String>) -> String {
    let base = spell(name);
    let mut chosen = base.clone();
    let mut n = 2;
    while !used.insert(chosen.clone()) {
        let suffix = format!("_{n}");
        chosen = format!("{}{suffix}", &base[..base.len().min(MAX_LEN - suffix.len())]);
        n += 1;
    }
    chosen
}

/// The identifier before it is made unique.
fn spell(name: &str) -> String {
    let mut out = String::new();
    for c in name.chars() {
        match c {
            'a'..='z' | 'A'..='Z' | '0'..='9' | '_' => out.push(c),
            '\0'..='\x7f' => out.push('_'),
            _ => out.push_str(&format!("u{:04x}", u32::from(c))),
        }
        if out.len() >= MAX_LEN {
            break;
        }
    }
    // All of it is ASCII, so any byte is a place to cut.
    out.truncate(MAX_LEN - 1);
    if out.is_empty() || out.starts_with(|c: char| c.is_ascii_digit()) {
        out.insert(0, '_');
    }
    if KEYWORDS.contains(&out.as_str()) {
        out.push('_');
    }
    out
}
