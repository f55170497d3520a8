//! Random access paths, drawn from a kernel's types: what each starts from is a struct that the query casts a pointer to.
//!
//! What must hold: a path ends at a value. Left out, for a query that names them is refused: structs without a name that a pointer
//! leads to, integers of 16 bytes, floating point. What the path means is not known here; that it loads is what is asked.

use crate::generate::Random;
use bpfquery_btf::{Btf, Kind, Tag, TypeId};

/// Paths in one query.
pub const BATCH: usize = 24;
/// Steps of a path at most.
const STEPS: usize = 8;

/// The longest text that is read whole: a row has room for some.
const TEXT: u32 = 1024;

/// Structs and unions that paths may start from.
pub struct Roots<'a> {
    btf: &'a Btf,
    names: Vec<(&'static str, &'a str, TypeId)>,
}

impl<'a> Roots<'a> {
    /// All that have a tag and members; of several with one tag the first, which a cast finds.
    pub fn of(btf: &'a Btf) -> Roots<'a> {
        let word = |id| match btf.tag(id) {
            Tag::Struct => Some("struct"),
            Tag::Union => Some("union"),
            _ => None,
        };
        let all = (1..btf.next_id()).map(TypeId).filter_map(|id| Some((word(id)?, btf.name(id), id)));
        Roots { btf, names: all.filter(|(_, name, _)| !name.is_empty()).collect() }
    }

    /// A path; `None` where the way that was drawn ends at no value.
    pub fn path(&self, random: &mut Random) -> Option<String> {
        let (word, name, _) = *random.pick(&self.names);
        let tag = if word == "struct" { Tag::Struct } else { Tag::Union };
        let id = self.btf.find(tag, name)?;
        Walk { btf: self.btf, random, text: format!("(next::\"{word} {name}\")") }.from(id)
    }

    /// A query of as many paths as one may have.
    pub fn query(&self, seed: u64) -> Vec<String> {
        let mut random = Random::new(seed);
        std::iter::repeat_with(|| self.path(&mut random)).flatten().take(BATCH).collect()
    }
}

/// The query that reads these paths.
pub fn sql(paths: &[String]) -> String {
    format!("select {} from rawtracepoint.sched_switch", paths.join(", "))
}

struct Walk<'a, 'r> {
    btf: &'a Btf,
    random: &'r mut Random,
    text: String,
}

/// Where a step leads.
enum Next {
    /// To a value: the path is whole.
    Value,
    /// To something with parts.
    Parts(TypeId),
    /// To what no query can name.
    Nothing,
}

impl Walk<'_, '_> {
    /// From the pointer to a struct on.
    fn from(mut self, root: TypeId) -> Option<String> {
        let mut next = self.member(root, "->");
        for _ in 0..STEPS {
            next = match next {
                Next::Value => return Some(self.text),
                Next::Nothing => return None,
                Next::Parts(ty) => self.step(ty),
            };
        }
        None
    }

    fn step(&mut self, ty: TypeId) -> Next {
        match self.btf.resolve(ty) {
            Kind::Struct(_) | Kind::Union(_) => self.member(ty, "."),
            Kind::Array(array) => self.element(array.elem, array.len),
            Kind::Ptr(_) => self.follow(ty),
            Kind::Int(int) if matches!(int.size, 1 | 2 | 4 | 8) => Next::Value,
            Kind::Enum(_) => Next::Value,
            _ => Next::Nothing,
        }
    }

    /// A member, its name in double quotes: many are words of SQL.
    fn member(&mut self, of: TypeId, arrow: &str) -> Next {
        let fields = self.btf.fields(of);
        if fields.is_empty() {
            return Next::Nothing;
        }
        let field = self.random.pick(&fields);
        self.text += &format!("{arrow}\"{}\"", field.name);
        if field.bits.is_some() { Next::Value } else { Next::Parts(field.ty) }
    }

    /// An element of an array; characters may as well be a text.
    fn element(&mut self, elem: TypeId, len: u32) -> Next {
        let inner = self.btf.skip(elem);
        let is_char = matches!(self.btf.kind(inner), Kind::Int(int) if int.size == 1 && self.btf.name(inner) == "char");
        if is_char && len <= TEXT && self.random.below(2) == 0 {
            return Next::Value;
        }
        let index = match self.random.below(3) {
            0 => "cpu".to_string(),
            1 => format!("(pid % {})", len.max(1)),
            _ => self.random.below(u64::from(len) + 1).to_string(),
        };
        self.text += &format!("[{index}]");
        Next::Parts(elem)
    }

    /// The pointer as a value, or what it leads to. One to a CPU's own data is an offset, which leads nowhere.
    fn follow(&mut self, ty: TypeId) -> Next {
        let Some(pointer) = self.btf.pointer(ty) else { return Next::Nothing };
        if pointer.percpu || self.random.below(3) == 0 {
            return Next::Value;
        }
        match self.btf.resolve(pointer.target) {
            Kind::Struct(_) | Kind::Union(_) if self.has_name(pointer.target) => self.member(pointer.target, "->"),
            Kind::Ptr(_) => {
                self.text += &format!("[{}]", self.random.below(4));
                Next::Parts(pointer.target)
            }
            _ => Next::Value,
        }
    }

    /// Whether it has a tag, or a typedef that names it.
    fn has_name(&self, id: TypeId) -> bool {
        let named = |id| !self.btf.name(id).is_empty();
        named(self.btf.skip(id)) || named(self.btf.skip_qualifiers(id))
    }
}

#[cfg(test)]
mod tests {
    use super::{Roots, sql};
    use bpfquery::{Options, Target, compile};
    use bpfquery_btf::Btf;
    use bpfquery_catalog::Kernel;

    /// On a pinned kernel all that is drawn compiles; that it loads is asked of kernels.
    #[test]
    fn paths_compile() {
        let mut snapshots = crate::check::Snapshots::new(
            &std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../testdata/snapshots"),
        );
        let kernel = snapshots.get("small").expect("the pinned kernel");
        let btf: std::sync::Arc<Btf> = kernel.btf().expect("it has types");
        let roots = Roots::of(&btf);
        for seed in 0..8 {
            let sql = sql(&roots.query(seed));
            for target in [Target::Portable, Target::This] {
                let done = compile(&sql, kernel, Options { target, ..Options::default() });
                assert!(done.is_ok(), "{}", done.err().map_or(String::new(), |why| bpfquery_diag::render(&why, &sql)));
            }
        }
    }
}
