//! Objects made by hand: what the compiler would never write.

use bpfquery_btf::{Builder, MapDef, MapPart};
use bpfquery_catalog::Hook;
use bpfquery_isa::{Program, Reg, assemble, exit, mov64};
use bpfquery_object::elf::{MapInput, ObjectInput, ProgramInput, SourceText, write};
use bpfquery_object::manifest::{Manifest, Program as Named};
use bpfquery_object::section_name;
use bpfquery_runtime::Session;

pub(crate) const SQL: &str = "select cpu\nfrom rawtracepoint.sys_enter";

/// An object of programs that say where they go, its manifest, and a ring buffer, each as it is told.
pub(crate) struct Made {
    pub(crate) manifest: Manifest,
    pub(crate) code: Program,
    /// The sections' names; empty for those of the hooks.
    pub(crate) sections: Vec<String>,
    pub(crate) pinned: bool,
    pub(crate) ring: (u32, &'static str),
}

impl Made {
    /// Programs that do nothing at these hooks.
    pub(crate) fn new(programs: &[(&str, Hook)]) -> Made {
        let mut manifest = Session::manifest_of(&super::compile(SQL)).unwrap();
        let named = |(name, hook): &(&str, Hook)| Named { name: name.to_string(), hook: hook.clone() };
        manifest.programs = programs.iter().map(named).collect();
        manifest.counters.clear();
        let mut code = Program::new();
        code.emit(mov64(Reg::R0, 0)).span((0, 6));
        code.emit(exit());
        Made { manifest, code, sections: Vec::new(), pinned: false, ring: (27, "rows") }
    }

    pub(crate) fn bytes(&self) -> Vec<u8> {
        let sections = if self.sections.is_empty() {
            self.manifest.programs.iter().map(|program| section_name(&program.hook)).collect()
        } else {
            self.sections.clone()
        };
        let mut btf = Builder::new();
        let (key, value) = if self.ring.0 == 27 {
            (MapPart::None, MapPart::None)
        } else {
            let int = btf.plain_int(4, false);
            (MapPart::Type(int), MapPart::Type(int))
        };
        let map = MapDef {
            name: self.ring.1.into(),
            map_type: self.ring.0,
            key,
            value,
            max_entries: 4096,
            map_flags: 0,
            pinned: self.pinned,
        };
        let code = assemble(&self.code, 1).expect("the test's program is valid");
        let program = |(named, section): (&Named, &String)| ProgramInput {
            name: named.name.clone(),
            section: section.clone(),
            code: code.clone(),
        };
        write(&ObjectInput {
            btf,
            programs: self.manifest.programs.iter().zip(&sections).map(program).collect(),
            maps: vec![MapInput::Map(map)],
            cores: vec![],
            source: SourceText { file: "query.sql".into(), text: SQL.into() },
            license: "Dual MIT/GPL".into(),
            manifest: self.manifest.to_bytes().unwrap(),
        })
        .expect("the test's object is sound")
    }
}
