//! A BPF ring buffer, as its one reader sees it.
//!
//! What must hold, as in libbpf's `ringbuf_process_ring` (src/ringbuf.c, 1.7) and kernel/bpf/ringbuf.c (Linux 5.10):
//! - A record whose BUSY bit is set is still being written: neither it nor any behind it is looked at.
//! - One whose DISCARD bit is set is passed over.
//! - The consumer's position moves on only when nobody looks at the records before it any more: the kernel writes there then.
//!
//! Records are handed on in runs instead of one by one: those of a query have one size, so they lie at equal distances.

use bpfquery_diag::{Failure, Result};
use bpfquery_exec::Run;
use nix::errno::Errno;
use std::os::fd::{AsRawFd, BorrowedFd};
use std::sync::atomic::{AtomicU32, AtomicUsize, Ordering, fence};

/// BPF_RINGBUF_BUSY_BIT, BPF_RINGBUF_DISCARD_BIT and BPF_RINGBUF_HDR_SZ, include/uapi/linux/bpf.h.
const BUSY: u32 = 1 << 31;
const DISCARD: u32 = 1 << 30;
const HEADER: usize = 8;
/// Bytes of a run, at most about: so few that they are still in the first cache when they are decoded column by column.
const RUN: usize = 32 << 10;

/// Reads a ring buffer.
pub(crate) struct Ring {
    /// The page with the consumer's position, which is ours to write.
    consumer: Mapping,
    /// The page with the producers' position, then the data, twice: what wraps lies in one piece.
    producer: Mapping,
    page: usize,
    bytes: usize,
    /// Bytes of a record.
    size: usize,
}

/// What is mapped, until it is dropped.
struct Mapping {
    start: *mut u8,
    len: usize,
}

impl Ring {
    /// The ring buffer behind `map`, of `bytes` bytes, a power of two. Its records have `size` bytes each.
    pub(crate) fn new(map: BorrowedFd<'_>, bytes: usize, size: usize) -> Result<Ring> {
        let page = page_size();
        let fail = |errno: Errno| Failure::io("map the ring buffer", errno.desc());
        let consumer = Mapping::new(map, 0, page, libc::PROT_READ | libc::PROT_WRITE).map_err(fail)?;
        let producer = Mapping::new(map, page, page + 2 * bytes, libc::PROT_READ).map_err(fail)?;
        Ok(Ring { consumer, producer, page, bytes, size })
    }

    /// Bytes that wait to be read.
    pub(crate) fn fill(&self) -> usize {
        self.produced().wrapping_sub(self.consumed().load(Ordering::Relaxed))
    }

    /// Hands on at most `most` records, in order, in runs; `take` says how many of a run it took, and the reading ends where that
    /// is less than all. How many were taken.
    pub(crate) fn read(&mut self, most: usize, mut take: impl FnMut(Run<'_>) -> Result<usize>) -> Result<usize> {
        let mut read = 0;
        while read < most {
            let from = self.consumed().load(Ordering::Relaxed);
            let Some((start, len)) = self.next_run(from, most - read)? else { break };
            let taken = take(self.run(start, len)?)?;
            read += taken;
            self.consumed().store(start.wrapping_add(taken * self.stride()), Ordering::Release);
            if taken < len {
                break;
            }
        }
        Ok(read)
    }

    /// Where the next run begins, and its length; `None` if there is none yet.
    fn next_run(&self, from: usize, most: usize) -> Result<Option<(usize, usize)>> {
        let produced = self.produced();
        let mut at = from;
        while at != produced {
            let header = self.header(at);
            if header & BUSY != 0 {
                break;
            }
            let len = (header & !DISCARD) as usize;
            if header & DISCARD == 0 {
                // A record is exactly as long as it was reserved.
                return match len == self.size {
                    true => Ok(Some((at, self.run_length(at, produced, most)))),
                    false => Err(Failure::bug("runtime", format!("a record of {len} bytes, not {}", self.size))),
                };
            }
            at = at.wrapping_add((len + HEADER).next_multiple_of(8));
        }
        // What was passed over is done with, though nothing stands behind it.
        self.consumed().store(at, Ordering::Release);
        Ok(None)
    }

    /// How many records from here on are finished.
    fn run_length(&self, start: usize, produced: usize, most: usize) -> usize {
        let there = produced.wrapping_sub(start) / self.stride();
        let most = most.min(there).min((RUN / self.stride()).max(1));
        let is_next = |index: &usize| self.header(start.wrapping_add(index * self.stride())) as usize == self.size;
        let len = 1 + (1..most).take_while(is_next).count();
        // Whoever sees a header sees what was written before it.
        fence(Ordering::Acquire);
        len
    }

    fn run(&self, start: usize, len: usize) -> Result<Run<'_>> {
        let offset = self.page + (start & (self.bytes - 1)) + HEADER;
        let bytes = (len - 1) * self.stride() + self.size;
        let inside = len * self.stride() <= self.bytes && offset + bytes <= self.producer.len;
        // SAFETY: the bytes are inside of the mapping, which lives as long as `self`. Programs have submitted these records and
        // cannot write to them any more, the kernel does not before the consumer's position has passed them, and that is moved
        // only by `read`, when the run is gone.
        let bytes = inside.then(|| unsafe { std::slice::from_raw_parts(self.producer.start.add(offset), bytes) });
        let run = bytes.and_then(|bytes| Run::new(bytes, self.stride(), self.size));
        run.ok_or_else(|| Failure::bug("runtime", "records beyond the ring buffer"))
    }

    /// From one record to the next.
    fn stride(&self) -> usize {
        (self.size + HEADER).next_multiple_of(8)
    }

    fn header(&self, position: usize) -> u32 {
        let offset = self.page + (position & (self.bytes - 1));
        // SAFETY: a position is a multiple of 8, and so is the ring's size, so the header is inside of the mapping and aligned.
        // Only the kernel writes to it, atomically. A relaxed load of four bytes may be of read-only memory.
        unsafe { AtomicU32::from_ptr(self.producer.start.add(offset).cast()) }.load(Ordering::Relaxed)
    }

    fn produced(&self) -> usize {
        // SAFETY: the mapping begins with this number. Only the kernel writes to it, atomically. A relaxed load of a word may be
        // of read-only memory; the fence makes it one that acquires.
        let produced = unsafe { AtomicUsize::from_ptr(self.producer.start.cast()) }.load(Ordering::Relaxed);
        fence(Ordering::Acquire);
        produced
    }

    fn consumed(&self) -> &AtomicUsize {
        // SAFETY: the mapping begins with this number, lives as long as `self`, and everyone looks at it atomically.
        unsafe { AtomicUsize::from_ptr(self.consumer.start.cast()) }
    }
}

impl Mapping {
    fn new(map: BorrowedFd<'_>, offset: usize, len: usize, access: i32) -> nix::Result<Mapping> {
        let offset = libc::off_t::try_from(offset).map_err(|_| Errno::EOVERFLOW)?;
        // SAFETY: a new mapping at an address that the kernel chooses touches no other memory.
        let start = unsafe { libc::mmap(std::ptr::null_mut(), len, access, libc::MAP_SHARED, map.as_raw_fd(), offset) };
        if start == libc::MAP_FAILED {
            return Err(Errno::last());
        }
        Ok(Mapping { start: start.cast(), len })
    }
}

impl Drop for Mapping {
    fn drop(&mut self) {
        // SAFETY: the mapping is ours, and nobody can hold a reference into it now.
        unsafe { libc::munmap(self.start.cast(), self.len) };
    }
}

fn page_size() -> usize {
    // SAFETY: it reads a number.
    let size = unsafe { libc::sysconf(libc::_SC_PAGESIZE) };
    // No kernel has smaller ones.
    usize::try_from(size).unwrap_or(4096)
}
