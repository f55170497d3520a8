//! Slots, maps and variables.

use super::{At, Checked, fail};
use crate::ir::{Func, Global, GlobalData, GlobalId, MapData, MapId, MapKind, SlotId};

// MAX_BPF_STACK, include/linux/filter.h.
const MOST_STACK: u32 = 512;

pub(super) fn check(func: &Func) -> Checked {
    for (i, slot) in (0..).zip(&func.slots) {
        if slot.size == 0 || slot.size % 8 != 0 {
            return Err(fail(func, At::Slot(SlotId(i)), format!("{} bytes are not a multiple of 8", slot.size)));
        }
    }
    let stack: u64 = func.slots.iter().map(|slot| u64::from(slot.size)).sum();
    if stack > u64::from(MOST_STACK) {
        return Err(fail(func, At::Func, format!("slots take {stack} bytes of stack, more than {MOST_STACK}")));
    }
    for (i, map) in (0..).zip(&func.maps) {
        map_fault(map).map_or(Ok(()), |message| Err(fail(func, At::Map(MapId(i)), message)))?;
    }
    for (i, global) in (0..).zip(&func.globals) {
        global_fault(func, i, global).map_or(Ok(()), |message| Err(fail(func, At::Global(GlobalId(i)), message)))?;
    }
    Ok(())
}

fn map_fault(map: &MapData) -> Option<String> {
    if !is_identifier(&map.name) || map.name.len() > 15 {
        return Some(format!("{:?} is not a C identifier of at most 15 bytes", map.name));
    }
    let sizes = (map.key_size, map.value_size);
    match map.kind {
        // bpf_map_area_alloc's callers: the size is a power of 2 and whole pages (ringbuf_map_alloc, kernel/bpf/ringbuf.c).
        MapKind::RingBuffer if sizes != (0, 0) => Some("a ring buffer has neither keys nor values".to_owned()),
        MapKind::RingBuffer if !map.max_entries.is_power_of_two() || map.max_entries < 4096 => {
            Some(format!("{} is not a power of 2 of whole pages", map.max_entries))
        }
        MapKind::RingBuffer => None,
        // bpf_local_storage_map_alloc_check and _check_btf, kernel/bpf/bpf_local_storage.c.
        MapKind::TaskStorage if map.key_size != 4 || map.max_entries != 0 || map.value_size == 0 => {
            Some("task storage has a key of 4 bytes, a value, and no number of entries".to_owned())
        }
        MapKind::TaskStorage => None,
        MapKind::Array | MapKind::PerCpuArray if map.key_size != 4 => {
            Some(format!("an array's key has 4 bytes, not {}", map.key_size))
        }
        MapKind::Hash | MapKind::PerCpuHash if map.key_size == 0 => Some("a key has no bytes".to_owned()),
        MapKind::Hash | MapKind::PerCpuHash | MapKind::Array | MapKind::PerCpuArray => {
            (map.value_size == 0 || map.max_entries == 0).then(|| "there is no room for a value".to_owned())
        }
    }
}

fn global_fault(func: &Func, at: u32, global: &GlobalData) -> Option<String> {
    if !is_identifier(&global.name) {
        return Some(format!("{:?} is not a C identifier", global.name));
    }
    let expected = match global.section {
        Global::Rodata => global.size as usize,
        Global::Bss => 0,
    };
    if global.init.len() != expected {
        return Some(format!("{} initial bytes, not {expected}", global.init.len()));
    }
    let end = |g: &GlobalData| u64::from(g.offset) + u64::from(g.size);
    let apart = |other: &GlobalData| {
        other.section != global.section || end(other) <= global.offset.into() || end(global) <= other.offset.into()
    };
    let other = func.globals.iter().take(at as usize).position(|other| !apart(other))?;
    Some(format!("lies over g{other}"))
}

fn is_identifier(name: &str) -> bool {
    let starts = name.bytes().next().is_some_and(|b| b.is_ascii_alphabetic() || b == b'_');
    starts && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_')
}
