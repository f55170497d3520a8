//! The maps of groups: the one by key or by slot, and the hash beside an array of slots.
//!
//! What must hold: every entry that stays put while it is read is read exactly once. The kernel walks a hash map bucket by
//! bucket, each under its lock (__htab_map_lookup_and_delete_batch, kernel/bpf/hashtab.c, Linux 5.10), and only we delete.

use bpfquery_diag::{Failure, Result};
use bpfquery_exec::Chunk;
use bpfquery_object::manifest::{GROUPS, REST};
use libbpf_rs::{MapCore, MapFlags, MapType, Object};
use nix::errno::Errno;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::sync::mpsc::sync_channel;

/// Bytes of keys and values that are asked for at a time: what a processor's cache holds.
const ROOM: usize = 256 << 10;
/// Batches that wait to be taken.
const AHEAD: usize = 2;

/// What the kernel says where a kind of map has no batches, as per-CPU arrays before 5.13 (f008d732ab18); include/linux/errno.h.
const ENOTSUPP: i32 = 524;

/// Reads groups.
pub(crate) struct Groups {
    maps: Vec<Map>,
}

impl Groups {
    pub(crate) fn new(object: &Object) -> Result<Groups> {
        let maps = [(GROUPS, false), (REST, true)].into_iter().filter_map(|(name, rest)| {
            let map = object.maps().find(|map| map.name() == name)?;
            Some(Map::new(&map, rest))
        });
        let maps = maps.collect::<Result<Vec<_>>>()?;
        if maps.is_empty() {
            return Err(Failure::bug("runtime", "the loaded object lost its map of groups"));
        }
        Ok(Groups { maps })
    }

    /// Hands on all of them, some at a time, in no order.
    pub(crate) fn read(&self, take: &mut dyn FnMut(&Chunk<'_>) -> Result<()>) -> Result<()> {
        self.maps.iter().try_for_each(|map| map.read(take))
    }

    /// Deletes the groups of these keys, one behind the other: those of a hash without slots.
    pub(crate) fn delete(&self, keys: &[u8]) -> Result<()> {
        self.maps.iter().take(1).try_for_each(|map| map.delete(keys))
    }
}

/// A map with values for each CPU, or one that they share.
struct Map {
    fd: OwnedFd,
    rest: bool,
    key_size: usize,
    /// Bytes of the room that a value takes.
    stride: usize,
    /// Values of an entry.
    cpus: usize,
    max_entries: usize,
}

impl Map {
    fn new(map: &libbpf_rs::MapImpl<'_>, rest: bool) -> Result<Map> {
        // The kernel rounds the sizes of CPUs' values only (bpf_map_value_size, kernel/bpf/syscall.c, Linux 5.10).
        let value = map.value_size() as usize;
        let (stride, cpus) = match map.map_type() {
            MapType::Hash => (value, 1),
            _ => (value.next_multiple_of(8), crate::cpu::possible()?),
        };
        Ok(Map {
            fd: map.as_fd().try_clone_to_owned().map_err(|error| fail("open", error))?,
            rest,
            key_size: map.key_size() as usize,
            stride,
            cpus,
            max_entries: map.max_entries() as usize,
        })
    }

    fn read(&self, take: &mut dyn FnMut(&Chunk<'_>) -> Result<()>) -> Result<()> {
        // An array of one is looked up with fewer calls than its end is found by.
        let batches = if self.max_entries == 1 { Err(Errno::ENOTSUP) } else { self.read_batches(take)? };
        match batches {
            // Kernels without batches for this kind of map.
            Err(Errno::EINVAL | Errno::ENOTSUP) => self.read_one_by_one(take),
            other => other.map_err(|errno| fail("read", errno)),
        }
    }

    /// The outer error is the taker's, the inner the kernel's. What is more than a batch is read ahead by another thread: copying
    /// groups out of the kernel takes longer than printing them.
    fn read_batches(&self, take: &mut dyn FnMut(&Chunk<'_>) -> Result<()>) -> Result<nix::Result<()>> {
        let mut position = Position::new(self);
        let first = match self.next_batch(&mut position) {
            Ok(first) => first,
            Err(errno) => return Ok(Err(errno)),
        };
        take(&self.chunk(&first.keys, &first.values))?;
        if first.last {
            return Ok(Ok(()));
        }
        let (sender, batches) = sync_channel(AHEAD);
        std::thread::scope(|scope| {
            let ahead = move || {
                loop {
                    let batch = self.next_batch(&mut position);
                    let ends = batch.as_ref().map_or(true, |batch| batch.last);
                    // Nobody takes it any more after an error of the taker's.
                    if sender.send(batch).is_err() || ends {
                        break;
                    }
                }
            };
            std::thread::Builder::new().spawn_scoped(scope, ahead).map_err(|error| fail("read", error))?;
            for batch in batches {
                match batch {
                    Ok(batch) => take(&self.chunk(&batch.keys, &batch.values))?,
                    Err(errno) => return Ok(Err(errno)),
                }
            }
            Ok(Ok(()))
        })
    }

    fn next_batch(&self, position: &mut Position) -> nix::Result<Batch> {
        let bytes = self.stride * self.cpus;
        loop {
            let mut keys = vec![0; position.room * self.key_size];
            let mut values = vec![0; position.room * bytes];
            // Both sizes come from a map that exists, so they are far below 4 Gi.
            let mut count = position.room as u32;
            let from = if position.first { std::ptr::null_mut() } else { position.bytes.as_mut_ptr() };
            // SAFETY: `keys` and `values` have room for `count` entries of this map; the kernel reads the position before it
            // writes it anew.
            let ret = unsafe {
                libbpf_sys::bpf_map_lookup_batch(
                    self.fd.as_raw_fd(),
                    from.cast(),
                    position.bytes.as_mut_ptr().cast(),
                    keys.as_mut_ptr().cast(),
                    values.as_mut_ptr().cast(),
                    &raw mut count,
                    std::ptr::null(),
                )
            };
            match if ret == -ENOTSUPP { Errno::ENOTSUP } else { Errno::from_raw(-ret) } {
                _ if ret >= 0 => {}
                Errno::ENOENT => {}
                Errno::ENOSPC => {
                    // A bucket with more entries than there was room for; nothing of it was given.
                    position.room *= 2;
                    continue;
                }
                errno => return Err(errno),
            }
            position.first = false;
            keys.truncate(count as usize * self.key_size);
            values.truncate(count as usize * bytes);
            return Ok(Batch { keys, values, last: ret < 0 });
        }
    }

    fn read_one_by_one(&self, take: &mut dyn FnMut(&Chunk<'_>) -> Result<()>) -> Result<()> {
        let mut key: Option<Vec<u8>> = None;
        loop {
            let mut next = vec![0u8; self.key_size];
            let from = key.as_ref().map_or(std::ptr::null(), |key| key.as_ptr());
            // SAFETY: both keys are as long as the map's, or NULL for the first.
            let ret =
                unsafe { libbpf_sys::bpf_map_get_next_key(self.fd.as_raw_fd(), from.cast(), next.as_mut_ptr().cast()) };
            match Errno::from_raw(-ret) {
                _ if ret >= 0 => {}
                Errno::ENOENT => return Ok(()),
                errno => return Err(fail("read", errno)),
            }
            if let Some(values) = self.lookup(&next)? {
                take(&self.chunk(&next, &values))?;
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
                self.fd.as_raw_fd(),
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

    fn delete(&self, keys: &[u8]) -> Result<()> {
        // So many keys fit a count of 32 bits, because the map holds no more.
        let mut count = (keys.len() / self.key_size.max(1)) as u32;
        if count == 0 {
            return Ok(());
        }
        // SAFETY: `keys` has `count` keys of this map, which the kernel only reads.
        let ret = unsafe {
            libbpf_sys::bpf_map_delete_batch(
                self.fd.as_raw_fd(),
                keys.as_ptr().cast(),
                &raw mut count,
                std::ptr::null(),
            )
        };
        // A kernel without batches, or a key that somebody else has deleted: then those behind it are still there.
        if ret < 0 { self.delete_one_by_one(keys) } else { Ok(()) }
    }

    fn delete_one_by_one(&self, keys: &[u8]) -> Result<()> {
        for key in keys.chunks_exact(self.key_size) {
            // SAFETY: the key is as long as the map's keys are.
            let ret = unsafe { libbpf_sys::bpf_map_delete_elem(self.fd.as_raw_fd(), key.as_ptr().cast()) };
            match Errno::from_raw(-ret) {
                _ if ret >= 0 => {}
                Errno::ENOENT => {}
                errno => return Err(fail("delete from", errno)),
            }
        }
        Ok(())
    }

    fn chunk<'a>(&self, keys: &'a [u8], values: &'a [u8]) -> Chunk<'a> {
        Chunk { rest: self.rest, keys, key_size: self.key_size, values, stride: self.stride, cpus: self.cpus }
    }
}

/// Where the kernel goes on.
struct Position {
    /// The number of a bucket or an index, in as many bytes as a key has, at least 4.
    bytes: Vec<u8>,
    first: bool,
    /// Entries that are asked for.
    room: usize,
}

impl Position {
    fn new(map: &Map) -> Position {
        let room = ROOM / (map.stride * map.cpus + map.key_size);
        Position { bytes: vec![0; map.key_size.max(4)], first: true, room: room.clamp(1, map.max_entries.max(1)) }
    }
}

/// Some entries as the kernel copies them.
struct Batch {
    keys: Vec<u8>,
    values: Vec<u8>,
    last: bool,
}

fn fail(doing: &str, error: impl std::fmt::Display) -> Failure {
    Failure::io(format!("{doing} the map of groups"), error)
}
