//! Hash maps and arrays, per CPU or not.
//!
//! Semantics and error numbers are those of kernel/bpf/hashtab.c and kernel/bpf/arraymap.c (6.18). An entry that was deleted keeps
//! its memory, as RCU keeps it for the program that still holds its address.

use super::helper::errno;
use crate::ir::{MapData, MapKind};
use std::collections::BTreeMap;

// BPF_ANY is 0 (include/uapi/linux/bpf.h).
const NOEXIST: u64 = 1;
const EXIST: u64 = 2;

/// An entry of a map, as user space reads it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// The key's bytes.
    pub key: Vec<u8>,
    /// The value's bytes: one for each CPU where the map is per CPU, else one.
    pub values: Vec<Vec<u8>>,
}

/// A map with keys.
#[derive(Clone, Debug)]
pub(super) struct Map {
    pub(super) data: MapData,
    /// Where each key's value is in `cells`.
    index: BTreeMap<Vec<u8>, u32>,
    cells: Vec<Vec<Vec<u8>>>,
    cpus: u32,
}

impl Map {
    pub(super) fn new(data: MapData, cpus: u32) -> Map {
        let copies = match data.kind {
            MapKind::PerCpuHash | MapKind::PerCpuArray => cpus,
            MapKind::Hash | MapKind::Array | MapKind::RingBuffer | MapKind::TaskStorage => 1,
        };
        let mut map = Map { data, index: BTreeMap::new(), cells: Vec::new(), cpus: copies };
        if map.is_array() {
            for at in 0..map.data.max_entries {
                let zero = map.zero();
                map.index.insert(at.to_le_bytes().to_vec(), at);
                map.cells.push(zero);
            }
        }
        map
    }

    pub(super) fn lookup(&self, key: &[u8]) -> Option<u32> {
        self.index.get(key).copied()
    }

    /// `bpf_map_update_elem` of a program on this CPU: 0 or -errno.
    pub(super) fn update(&mut self, key: &[u8], value: &[u8], flags: u64, cpu: u32) -> i64 {
        if flags > EXIST {
            return -errno::EINVAL;
        }
        let cell = match (self.lookup(key), flags) {
            (None, _) if self.is_array() => return -errno::E2BIG,
            (Some(_), NOEXIST) => return -errno::EEXIST,
            (None, EXIST) => return -errno::ENOENT,
            (Some(cell), _) => cell,
            (None, _) if self.index.len() >= self.data.max_entries as usize => return -errno::E2BIG,
            (None, _) => self.insert(key),
        };
        let cpu = self.copy(cpu);
        self.cells[cell as usize][cpu].copy_from_slice(value);
        0
    }

    /// `bpf_task_storage_get` for the task of this key: its value, made if that is asked for.
    pub(super) fn storage(&mut self, key: &[u8], make: bool) -> Option<u32> {
        self.lookup(key).or_else(|| make.then(|| self.insert(key)))
    }

    /// `bpf_map_delete_elem`: 0 or -errno.
    pub(super) fn delete(&mut self, key: &[u8]) -> i64 {
        match self.index.remove(key) {
            _ if self.is_array() => -errno::EINVAL,
            Some(_) => 0,
            None => -errno::ENOENT,
        }
    }

    /// All CPUs' values at once, as user space writes them.
    pub(super) fn set(&mut self, key: &[u8], values: Vec<Vec<u8>>) {
        let cell = self.lookup(key).unwrap_or_else(|| self.insert(key));
        self.cells[cell as usize] = values;
    }

    pub(super) fn entries(&self) -> Vec<Entry> {
        let mut entries: Vec<(&Vec<u8>, u32)> = self.index.iter().map(|(key, &cell)| (key, cell)).collect();
        if self.is_array() {
            entries.sort_by_key(|&(_, cell)| cell);
        }
        let entry =
            |(key, cell): (&Vec<u8>, u32)| Entry { key: key.clone(), values: self.cells[cell as usize].clone() };
        entries.into_iter().map(entry).collect()
    }

    pub(super) fn value(&self, cell: u32, cpu: u32) -> Option<&[u8]> {
        Some(self.cells.get(cell as usize)?[self.copy(cpu)].as_slice())
    }

    pub(super) fn value_mut(&mut self, cell: u32, cpu: u32) -> Option<&mut [u8]> {
        let copy = self.copy(cpu);
        Some(self.cells.get_mut(cell as usize)?[copy].as_mut_slice())
    }

    // A fresh entry of a per-CPU map is zero on the other CPUs (pcpu_init_value).
    fn insert(&mut self, key: &[u8]) -> u32 {
        let cell = u32::try_from(self.cells.len()).unwrap_or(u32::MAX);
        self.cells.push(self.zero());
        self.index.insert(key.to_vec(), cell);
        cell
    }

    fn zero(&self) -> Vec<Vec<u8>> {
        vec![vec![0; self.data.value_size as usize]; self.cpus as usize]
    }

    fn copy(&self, cpu: u32) -> usize {
        if self.cpus == 1 { 0 } else { cpu as usize }
    }

    fn is_array(&self) -> bool {
        matches!(self.data.kind, MapKind::Array | MapKind::PerCpuArray)
    }
}
