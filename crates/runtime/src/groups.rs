//! The map of groups.
//!
//! What must hold: every entry that stays put while it is read is read exactly once. The kernel walks a hash map bucket by
//! bucket, each under its lock (__htab_map_lookup_and_delete_batch, kernel/bpf/hashtab.c, Linux 5.10), and only we delete.

use bpfquery_diag::{Failure, Result};
use bpfquery_exec::Entry;
use bpfquery_object::manifest::GROUPS;
use libbpf_rs::{MapCore, MapFlags, MapType, Object};
use nix::errno::Errno;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};

/// Bytes of values that are asked for at a time.
const CHUNK: usize = 1 << 20;

/// Reads groups.
pub(crate) struct Groups {
    map: OwnedFd,
    keyed: bool,
    key_size: usize,
    /// Bytes of a CPU's value, and of the room it takes.
    value_size: usize,
    stride: usize,
    cpus: usize,
    max_entries: usize,
}

impl Groups {
    pub(crate) fn new(object: &Object) -> Result<Groups> {
        let map = object.maps().find(|map| map.name() == GROUPS);
        let map = map.ok_or_else(|| Failure::bug("runtime", "the loaded object lost its map of groups"))?;
        let value_size = map.value_size() as usize;
        Ok(Groups {
            map: map.as_fd().try_clone_to_owned().map_err(|error| fail("open", error))?,
            keyed: map.map_type() == MapType::PercpuHash,
            key_size: map.key_size() as usize,
            value_size,
            stride: value_size.next_multiple_of(8),
            cpus: crate::cpu::possible()?,
            max_entries: map.max_entries() as usize,
        })
    }

    /// All of them, in no order. Without keys, the one there is.
    pub(crate) fn read(&self) -> Result<Vec<Entry>> {
        if !self.keyed {
            let values = self.lookup(&[0; 4])?.ok_or_else(|| fail("read", Errno::ENOENT))?;
            return Ok(vec![self.entry(&[], &values)]);
        }
        match self.read_batches() {
            // Kernels without batches for this kind of map.
            Err(Errno::EINVAL | Errno::ENOTSUP) => self.read_one_by_one(),
            other => other.map_err(|errno| fail("read", errno)),
        }
    }

    /// Deletes the groups of these keys.
    pub(crate) fn delete<'a>(&self, keys: impl Iterator<Item = &'a [u8]>) -> Result<()> {
        for key in keys {
            // SAFETY: the key is as long as the map's keys are: it came from the map.
            let ret = unsafe { libbpf_sys::bpf_map_delete_elem(self.map.as_raw_fd(), key.as_ptr().cast()) };
            match Errno::from_raw(-ret) {
                _ if ret >= 0 => {}
                Errno::ENOENT => {}
                errno => return Err(fail("delete from", errno)),
            }
        }
        Ok(())
    }

    fn read_batches(&self) -> nix::Result<Vec<Entry>> {
        let bytes = self.stride * self.cpus;
        let mut room = (CHUNK / bytes.max(1)).clamp(1, self.max_entries.max(1));
        let mut entries = Vec::new();
        // Where the kernel goes on: the number of a bucket, in as many bytes as a key has, at least 4.
        let mut position = vec![0u8; self.key_size.max(4)];
        let mut first = true;
        loop {
            let mut keys = vec![0u8; room * self.key_size];
            let mut values = vec![0u8; room * bytes];
            // Both sizes come from a map that exists, so they are far below 4 Gi.
            let mut count = room as u32;
            let from = if first { std::ptr::null_mut() } else { position.as_mut_ptr() };
            // SAFETY: `keys` and `values` have room for `count` entries of this map; the kernel reads the position before it
            // writes it anew.
            let ret = unsafe {
                libbpf_sys::bpf_map_lookup_batch(
                    self.map.as_raw_fd(),
                    from.cast(),
                    position.as_mut_ptr().cast(),
                    keys.as_mut_ptr().cast(),
                    values.as_mut_ptr().cast(),
                    &raw mut count,
                    std::ptr::null(),
                )
            };
            let errno = Errno::from_raw(-ret);
            if ret < 0 && errno == Errno::ENOSPC {
                // A bucket with more entries than there was room for; nothing of it was given.
                room *= 2;
                continue;
            }
            if ret < 0 && errno != Errno::ENOENT {
                return Err(errno);
            }
            let filled = keys.chunks(self.key_size).zip(values.chunks(bytes)).take(count as usize);
            entries.extend(filled.map(|(key, values)| self.entry(key, values)));
            if ret < 0 {
                return Ok(entries);
            }
            first = false;
        }
    }

    fn read_one_by_one(&self) -> Result<Vec<Entry>> {
        let mut entries = Vec::new();
        let mut key: Option<Vec<u8>> = None;
        loop {
            let mut next = vec![0u8; self.key_size];
            let from = key.as_ref().map_or(std::ptr::null(), |key| key.as_ptr());
            // SAFETY: both keys are as long as the map's, or NULL for the first.
            let ret = unsafe {
                libbpf_sys::bpf_map_get_next_key(self.map.as_raw_fd(), from.cast(), next.as_mut_ptr().cast())
            };
            match Errno::from_raw(-ret) {
                _ if ret >= 0 => {}
                Errno::ENOENT => return Ok(entries),
                errno => return Err(fail("read", errno)),
            }
            if let Some(values) = self.lookup(&next)? {
                entries.push(self.entry(&next, &values));
            }
            key = Some(next);
        }
    }

    fn lookup(&self, key: &[u8]) -> Result<Option<Vec<u8>>> {
        let mut values = vec![0u8; self.stride * self.cpus];
        let flags = MapFlags::ANY.bits();
        // SAFETY: the key is as long as the map's, and there is room for the value of each possible CPU.
        let ret = unsafe {
            libbpf_sys::bpf_map_lookup_elem_flags(
                self.map.as_raw_fd(),
                key.as_ptr().cast(),
                values.as_mut_ptr().cast(),
                flags,
            )
        };
        match Errno::from_raw(-ret) {
            _ if ret >= 0 => Ok(Some(values)),
            Errno::ENOENT => Ok(None),
            errno => Err(fail("read", errno)),
        }
    }

    fn entry(&self, key: &[u8], values: &[u8]) -> Entry {
        let states = values.chunks(self.stride).map(|value| value[..self.value_size].to_vec());
        Entry { key: key.to_vec(), states: states.collect() }
    }
}

fn fail(doing: &str, error: impl std::fmt::Display) -> Failure {
    Failure::io(format!("{doing} the map of groups"), error)
}
