//! The kernel memory that maps take, before they are made.
//!
//! The kernel's own count, since 6.4, by kind of map (htab_map_mem_usage, array_map_mem_usage, ringbuf_map_mem_usage,
//! bpf_local_storage_map_mem_usage; Linux 6.18): what /proc/PID/fdinfo/FD says behind `memlock`. The sizes of its structures are
//! those of 6.18 on x86-64; on others they differ by some bytes, which matter to the smallest maps only. Before 6.4 the kernel says
//! less than it takes.

use bpfquery_diag::{Failure, Result};
use libbpf_rs::{AsRawLibbpf, MapType, ObjectBuilder, OpenMap};

/// Bytes of a page, x86-64.
const PAGE: u64 = 4096;
/// sizeof(struct bpf_htab), of a bucket, and of struct htab_elem before its key.
const HASH: (u64, u64, u64) = (832, 16, 48);
/// sizeof(struct bpf_array).
const ARRAY: u64 = 312;
/// sizeof(struct bpf_ringbuf_map), and the pages before the data (RINGBUF_NR_META_PAGES).
const RING: (u64, u64) = (304, 3);
/// sizeof(struct bpf_local_storage_map), and of one of its buckets.
const STORAGE: (u64, u64) = (448, 16);
/// BPF_F_NO_PREALLOC, include/uapi/linux/bpf.h.
const NO_PREALLOC: u32 = 1;
/// See there.
const MMAPABLE: u32 = 1 << 10;

/// A map, and the memory that it takes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MapMemory {
    /// Its name: `groups`, `.bss`.
    pub name: String,
    /// `per-CPU hash`, `array`.
    pub kind: &'static str,
    /// Entries; of a ring buffer bytes.
    pub max_entries: u32,
    /// Bytes, once it is made.
    pub bytes: u64,
}

/// What the maps of an object will take on this machine, which has so many possible CPUs.
///
/// # Errors
/// Bytes that are no object; a machine that does not say how many CPUs it may have.
pub fn predict(object: &[u8]) -> Result<(Vec<MapMemory>, usize)> {
    crate::messages::listen(false);
    let cpus = crate::cpu::possible()?;
    let open = ObjectBuilder::default().name("bpfquery").and_then(|builder| builder.open_memory(object));
    let open = open.map_err(|error| Failure::io("read the maps of this object", error))?;
    Ok((open.maps().map(|map| of_map(&map, cpus as u64)).collect(), cpus))
}

fn of_map(map: &OpenMap<'_>, cpus: u64) -> MapMemory {
    // SAFETY: the map belongs to an opened object that outlives this call.
    let flags = unsafe { libbpf_sys::bpf_map__map_flags(map.as_libbpf_object().as_ptr()) };
    let shape = Shape {
        kind: map.map_type(),
        key: map.key_size().into(),
        value: map.value_size().into(),
        entries: map.max_entries().into(),
        flags,
    };
    MapMemory {
        name: short(&map.name().to_string_lossy()),
        kind: kind(shape.kind),
        max_entries: map.max_entries(),
        bytes: shape.bytes(cpus),
    }
}

/// libbpf puts the object's name before those of data sections.
pub(crate) fn short(name: &str) -> String {
    match name.rfind('.') {
        Some(at) => name[at..].to_string(),
        None => name.to_string(),
    }
}

/// What people call a kind of map.
pub(crate) fn kind(kind: MapType) -> &'static str {
    match kind {
        MapType::Hash => "hash",
        MapType::PercpuHash => "per-CPU hash",
        MapType::Array => "array",
        MapType::PercpuArray => "per-CPU array",
        MapType::RingBuf => "ring buffer",
        MapType::TaskStorage => "task storage",
        _ => "map",
    }
}

/// What a map's memory depends on.
struct Shape {
    kind: MapType,
    key: u64,
    value: u64,
    entries: u64,
    flags: u32,
}

impl Shape {
    fn bytes(&self, cpus: u64) -> u64 {
        let value = self.value.next_multiple_of(8);
        match self.kind {
            MapType::Hash | MapType::PercpuHash => self.hash(value, cpus),
            MapType::PercpuArray => ARRAY + self.entries * (8 + value * cpus),
            MapType::Array if self.flags & MMAPABLE != 0 => PAGE + (self.entries * value).next_multiple_of(PAGE),
            MapType::Array => ARRAY + self.entries * value,
            MapType::RingBuf => {
                let pages = self.entries / PAGE;
                RING.0 + (RING.1 + pages) * PAGE + (RING.1 + 2 * pages) * 8
            }
            // What each thread's value takes comes with the threads, and is in no map's count.
            MapType::TaskStorage => STORAGE.0 + STORAGE.1 * cpus.next_power_of_two().max(2),
            _ => 0,
        }
    }

    fn hash(&self, value: u64, cpus: u64) -> u64 {
        let per_cpu = self.kind == MapType::PercpuHash;
        let (table, bucket, element) = HASH;
        let element = element + self.key.next_multiple_of(8) + if per_cpu { 8 } else { value };
        let table = table + bucket * self.entries.next_power_of_two();
        if self.flags & NO_PREALLOC != 0 {
            // Entries come with their events.
            return table;
        }
        // Each CPU has an element in reserve, but not where the values are the CPUs' anyway.
        let (elements, values) = if per_cpu { (self.entries, value * cpus) } else { (self.entries + cpus, 0) };
        table + (element + values) * elements + if per_cpu { 0 } else { 8 * cpus }
    }
}
