//! What outlives a run.

use super::map::{Entry, Map};
use super::memory::Sparse;
use super::ring::Ring;
use crate::ir::{Func, Global, GlobalData, MapData, MapKind};
use bpfquery_diag::{Failure, Result};
use bpfquery_isa::Helper;
use std::collections::VecDeque;

/// Maps, variables, and the memory around the program. Programs of one object share it; maps go by name.
#[derive(Clone, Debug)]
pub struct World {
    /// Kernel memory that probe reads see. The program's own memory is seen too.
    pub kernel: Sparse,
    /// The current task's user memory.
    pub user: Sparse,
    pub(super) cpus: u32,
    pub(super) stores: Vec<Store>,
    pub(super) rodata: Vec<u8>,
    pub(super) bss: Vec<u8>,
    pub(super) failures: VecDeque<(Helper, i64)>,
    pub(super) random: u32,
}

/// A map or a ring, by name.
#[derive(Clone, Debug)]
pub(super) struct Store {
    pub(super) data: MapData,
    pub(super) kind: StoreKind,
}

#[derive(Clone, Debug)]
pub(super) enum StoreKind {
    Map(Map),
    Ring(Ring),
}

impl World {
    /// Empty maps and initial variables for these programs, on a machine with so many CPUs.
    ///
    /// # Errors
    ///
    /// A bug, if two programs mean different maps by one name.
    pub fn new<'a>(funcs: impl IntoIterator<Item = &'a Func>, cpus: u32) -> Result<World> {
        let mut world = World {
            kernel: Sparse::default(),
            user: Sparse::default(),
            cpus,
            stores: Vec::new(),
            rodata: Vec::new(),
            bss: Vec::new(),
            failures: VecDeque::new(),
            random: 1,
        };
        for func in funcs {
            func.maps.iter().try_for_each(|map| world.add_map(map))?;
            func.globals.iter().for_each(|global| world.add_global(global));
        }
        Ok(world)
    }

    /// The map's entries: arrays by index, hash maps by key. None if there is no such map with keys.
    pub fn entries(&self, map: &str) -> Option<Vec<Entry>> {
        match &self.store(map)?.kind {
            StoreKind::Map(map) => Some(map.entries()),
            StoreKind::Ring(_) => None,
        }
    }

    /// Writes an entry as user space does: a value for each CPU where the map is per CPU, else one.
    ///
    /// # Errors
    ///
    /// A bug, if there is no such map or the sizes are not its own.
    pub fn set_entry(&mut self, map: &str, key: &[u8], values: Vec<Vec<u8>>) -> Result<()> {
        let cpus = self.cpus;
        let bug = |detail: &str| Failure::bug("interp", format!("entry of {map}: {detail}"));
        let store = self.stores.iter_mut().find(|store| store.data.name == map);
        let Some(Store { data, kind: StoreKind::Map(inner) }) = store else { return Err(bug("no such map")) };
        let copies = match data.kind {
            MapKind::PerCpuHash | MapKind::PerCpuArray => cpus as usize,
            MapKind::Hash | MapKind::Array | MapKind::RingBuffer | MapKind::TaskStorage => 1,
        };
        let sized = values.iter().all(|value| value.len() == data.value_size as usize);
        if key.len() != data.key_size as usize || values.len() != copies || !sized {
            return Err(bug("wrong sizes"));
        }
        inner.set(key, values);
        Ok(())
    }

    /// Deletes an entry as user space does; whether it was there.
    pub fn delete_entry(&mut self, map: &str, key: &[u8]) -> bool {
        match self.stores.iter_mut().find(|store| store.data.name == map) {
            Some(Store { kind: StoreKind::Map(map), .. }) => map.delete(key) == 0,
            _ => false,
        }
    }

    /// The ring of that name.
    pub fn ring(&self, map: &str) -> Option<&Ring> {
        match &self.store(map)?.kind {
            StoreKind::Ring(ring) => Some(ring),
            StoreKind::Map(_) => None,
        }
    }

    /// Takes the records that were submitted, in order, and frees their room. Empty if there is no such ring.
    pub fn take_records(&mut self, map: &str) -> Vec<Vec<u8>> {
        match self.stores.iter_mut().find(|store| store.data.name == map) {
            Some(Store { kind: StoreKind::Ring(ring), .. }) => ring.take(),
            _ => Vec::new(),
        }
    }

    /// The bytes of `.rodata` or `.bss`.
    pub fn section(&self, section: Global) -> &[u8] {
        match section {
            Global::Rodata => &self.rodata,
            Global::Bss => &self.bss,
        }
    }

    /// The bytes of a section, to be set before the start as the loader does.
    pub fn section_mut(&mut self, section: Global) -> &mut [u8] {
        match section {
            Global::Rodata => &mut self.rodata,
            Global::Bss => &mut self.bss,
        }
    }

    /// The next call of this helper fails with this result (`-16`; 0 for one that returns an address) and does nothing else.
    /// Several wait in line.
    pub fn fail_next(&mut self, helper: Helper, result: i64) {
        self.failures.push_back((helper, result));
    }

    /// The CPUs of the machine.
    pub fn cpus(&self) -> u32 {
        self.cpus
    }

    pub(super) fn planned_failure(&mut self, helper: Helper) -> Option<i64> {
        let at = self.failures.iter().position(|(which, _)| *which == helper)?;
        self.failures.remove(at).map(|(_, result)| result)
    }

    fn store(&self, name: &str) -> Option<&Store> {
        self.stores.iter().find(|store| store.data.name == name)
    }

    fn add_map(&mut self, map: &MapData) -> Result<()> {
        match self.store(&map.name) {
            Some(known) if known.data == *map => return Ok(()),
            Some(_) => return Err(Failure::bug("interp", format!("two maps are called {}", map.name))),
            None => {}
        }
        let kind = match map.kind {
            MapKind::RingBuffer => StoreKind::Ring(Ring::new(map.max_entries)),
            MapKind::Hash | MapKind::PerCpuHash | MapKind::Array | MapKind::PerCpuArray | MapKind::TaskStorage => {
                StoreKind::Map(Map::new(map.clone(), self.cpus))
            }
        };
        self.stores.push(Store { data: map.clone(), kind });
        Ok(())
    }

    fn add_global(&mut self, global: &GlobalData) {
        let start = global.offset as usize;
        let end = start + global.size as usize;
        let section = match global.section {
            Global::Rodata => &mut self.rodata,
            Global::Bss => &mut self.bss,
        };
        section.resize(section.len().max(end), 0);
        for (to, from) in section[start..].iter_mut().zip(&global.init) {
            *to = *from;
        }
    }
}
