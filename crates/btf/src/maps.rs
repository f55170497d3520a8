//! Maps as BTF defines them: the `.maps` section that libbpf reads.
//!
//! Each map is a global variable whose type is an anonymous struct of pointers. A number is the length of an array
//! (`int (*type)[27]`), the key and the value are what the pointers point to. The ELF section has a symbol for each
//! variable and no meaning in its bytes, which are all zero.
//!
//! Read by `parse_btf_map_def`, libbpf 1.7 (`src/libbpf.c`); written like `SEC(".maps")` by clang.

use crate::btf::POINTER_SIZE;
use crate::builder::{Builder, NewMember};
use crate::kind::{Linkage, SecVar, TypeId};

/// A key or a value: by type, by size where no type would be taken (perf event arrays), or none (ring buffers).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MapPart {
    /// Absent.
    None,
    /// So many bytes of no stated type.
    Size(u32),
    /// A type.
    Type(TypeId),
}

/// A map to be defined.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MapDef {
    /// The name of map and variable.
    pub name: String,
    /// `BPF_MAP_TYPE_*`.
    pub map_type: u32,
    /// The key.
    pub key: MapPart,
    /// The value.
    pub value: MapPart,
    /// How many entries; 0 leaves it out.
    pub max_entries: u32,
    /// `BPF_F_*`; 0 leaves them out.
    pub map_flags: u32,
    /// Whether libbpf pins it under its name.
    pub pinned: bool,
}

/// The `.maps` section as an ELF file needs it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MapSection {
    /// The section's type.
    pub datasec: TypeId,
    /// Bytes of the section, all zero.
    pub size: u32,
    /// A global symbol for each map, in the order given: where its variable is and how many bytes it has.
    pub vars: Vec<SecVar>,
}

impl Builder {
    /// Defines maps: `struct { int (*type)[N]; key *key; … } name SEC(".maps")` each, and the section.
    pub fn maps(&mut self, maps: &[MapDef]) -> MapSection {
        let mut section = MapSection { datasec: TypeId::VOID, size: 0, vars: Vec::with_capacity(maps.len()) };
        for map in maps {
            let (ty, size) = self.map_struct(map);
            let var = self.var(&map.name, ty, Linkage::Global);
            section.vars.push(SecVar { var, offset: section.size, size });
            section.size += size;
        }
        section.datasec = self.datasec(".maps", section.size, &section.vars);
        section
    }

    /// The struct of pointers and its size.
    fn map_struct(&mut self, map: &MapDef) -> (TypeId, u32) {
        let mut members = vec![("type", self.map_number(map.map_type))];
        for (part, size_name, type_name) in [(map.key, "key_size", "key"), (map.value, "value_size", "value")] {
            match part {
                MapPart::None => {}
                MapPart::Size(size) => members.push((size_name, self.map_number(size))),
                MapPart::Type(ty) => members.push((type_name, self.ptr(ty))),
            }
        }
        // LIBBPF_PIN_BY_NAME is 1.
        let numbers = [("max_entries", map.max_entries), ("map_flags", map.map_flags), ("pinning", map.pinned.into())];
        for (name, number) in numbers.into_iter().filter(|(_, n)| *n != 0) {
            members.push((name, self.map_number(number)));
        }
        let at = |n: usize| POINTER_SIZE * n as u32;
        let fields: Vec<NewMember> =
            members.iter().enumerate().map(|(n, (name, ty))| NewMember::new(*name, *ty, at(n))).collect();
        (self.structure("", at(fields.len()), &fields), at(fields.len()))
    }

    /// `int (*)[number]`
    fn map_number(&mut self, number: u32) -> TypeId {
        let int = self.plain_int(4, true);
        let array = self.array(int, number);
        self.ptr(array)
    }
}
