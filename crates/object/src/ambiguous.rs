//! Several types of one name: libbpf takes all that have the field, and refuses an object whose relocation they disagree on
//! (bpf_core_calc_relo_insn, src/relo_core.c, libbpf 1.5). So a field in which they differ is refused here, by name.
//!
//! Not checked: types of other kernels.

use bpfquery_btf::{Btf, Field, Tag, TypeId};
use bpfquery_codegen::ir::CoreReloc;
use bpfquery_diag::{Result, Unsupported};

/// Refuses relocations that types of the same name make ambiguous.
pub(crate) fn refuse<'a>(btf: &Btf, cores: impl Iterator<Item = &'a CoreReloc>) -> Result<()> {
    let mut roots: Vec<(TypeId, Vec<TypeId>)> = Vec::new();
    for core in cores.filter(|core| core.guess.is_none()) {
        let root = TypeId(core.root);
        let at = roots.iter().position(|(known, _)| *known == root).unwrap_or_else(|| {
            roots.push((root, namesakes(btf, root)));
            roots.len() - 1
        });
        let Some((_, others)) = roots.get(at) else { continue };
        let Some(place) = btf.field_at(root, &core.members) else { continue };
        let found = |other: &TypeId| match core.members.is_empty() {
            true => btf.field_at(*other, &[]),
            false => along(btf, *other, &core.text),
        };
        if others.iter().filter_map(found).any(|other| differs(btf, &place, &other)) {
            let name = btf.name(btf.skip(root));
            return Err(Unsupported::new(format!("reading struct {name} in a portable object"))
                .detail(format!("this kernel has several structs called {name}, which differ in \"{}\"", core.text))
                .help("compile for one kernel: --target this")
                .into());
        }
    }
    Ok(())
}

/// The other types of the same kind and name.
fn namesakes(btf: &Btf, root: TypeId) -> Vec<TypeId> {
    let root = btf.skip(root);
    let (tag, name) = (btf.tag(root), btf.name(root));
    if name.is_empty() || !matches!(tag, Tag::Struct | Tag::Union) {
        return Vec::new();
    }
    btf.find_all(tag, name).into_iter().filter(|id| *id != root).collect()
}

/// The field at the end of `a.b[3].c`; `None` where the type does not have it.
fn along<'a>(btf: &'a Btf, root: TypeId, text: &str) -> Option<Field<'a>> {
    let mut path = Vec::new();
    let mut at = root;
    for part in text.split('.') {
        let mut pieces = part.split('[');
        let field = btf.field(at, pieces.next()?)?;
        path.extend(field.path);
        path.extend(pieces.map(|index| index.trim_end_matches(']').parse().unwrap_or(0)));
        at = btf.field_at(root, &path)?.ty;
    }
    btf.field_at(root, &path)
}

fn differs(btf: &Btf, a: &Field<'_>, b: &Field<'_>) -> bool {
    (a.offset, a.bits, btf.size_of(a.ty)) != (b.offset, b.bits, btf.size_of(b.ty))
}
