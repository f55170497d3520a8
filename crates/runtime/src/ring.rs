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
    /// The page with the producers' position, then the data, and its beginning once more: a run that wraps lies in one piece.
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
        // All of what is mapped counts as memory in use, so it is not all mapped twice.
        let wraps = RUN.max(stride(size)).min(bytes).next_multiple_of(page);
        let producer = Mapping::new(map, page, page + bytes + wraps, libc::PROT_READ).map_err(fail)?;
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
            at = at.wrapping_add(stride(len));
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

    fn stride(&self) -> usize {
        stride(self.size)
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

/// From one record of so many bytes to the next.
fn stride(size: usize) -> usize {
    (size + HEADER).next_multiple_of(8)
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

#[cfg(test)]
mod tests {
    use super::{BUSY, DISCARD, Ring, page_size};
    use nix::sys::memfd::{MFdFlags, memfd_create};
    use std::fs::File;
    use std::os::fd::AsFd;
    use std::os::unix::fs::FileExt;

    const BYTES: usize = 4096;
    const SIZE: usize = 12;
    /// Header and padding included.
    const STRIDE: usize = 24;

    /// A file that looks like a ring buffer, whose "kernel" is the test.
    struct Kernel {
        file: File,
        produced: usize,
    }

    impl Kernel {
        /// With both positions at `start`.
        fn new(start: usize) -> (Kernel, Ring) {
            let file = File::from(memfd_create("ring", MFdFlags::empty()).unwrap());
            file.set_len((2 * page_size() + 2 * BYTES) as u64).unwrap();
            let mut kernel = Kernel { file, produced: start };
            kernel.file.write_all_at(&start.to_le_bytes(), 0).unwrap();
            kernel.publish();
            let ring = Ring::new(kernel.file.as_fd(), BYTES, SIZE).unwrap();
            (kernel, ring)
        }

        fn publish(&mut self) {
            self.file.write_all_at(&self.produced.to_le_bytes(), page_size() as u64).unwrap();
        }

        /// The data is mapped twice in a real one; here it is written twice.
        fn write(&self, position: usize, bytes: &[u8]) {
            for copy in 0..2 {
                for (index, byte) in bytes.iter().enumerate() {
                    let at = 2 * page_size() + copy * BYTES + (position + index) % BYTES;
                    self.file.write_all_at(&[*byte], at as u64).unwrap();
                }
            }
        }

        /// A record that begins with `number`; its position.
        fn record(&mut self, number: u32, flags: u32) -> usize {
            self.sized(number, SIZE, flags)
        }

        fn sized(&mut self, number: u32, size: usize, flags: u32) -> usize {
            let at = self.produced;
            self.flag(at, size, flags);
            self.write(at + 8, &number.to_le_bytes());
            self.produced += (size + 8).next_multiple_of(8);
            self.publish();
            at
        }

        fn flag(&self, at: usize, size: usize, flags: u32) {
            self.write(at, &(u32::try_from(size).unwrap() | flags).to_le_bytes());
        }

        fn consumed(&self) -> usize {
            let mut bytes = [0; 8];
            self.file.read_exact_at(&mut bytes, 0).unwrap();
            usize::from_le_bytes(bytes)
        }
    }

    /// What the records begin with.
    fn numbers(ring: &mut Ring, most: usize) -> Vec<u32> {
        let mut numbers = Vec::new();
        let read = ring.read(most, |run| {
            numbers.extend(run.records().map(|record| u32::from_le_bytes(*record.first_chunk().unwrap())));
            assert!(run.records().all(|record| record.len() == SIZE));
            Ok(run.len())
        });
        assert_eq!(read.unwrap(), numbers.len());
        numbers
    }

    #[test]
    fn records_come_in_order_and_across_the_end() {
        // So that a record, and a header, wrap.
        for start in [0, BYTES - 16, BYTES - 8, 7 * BYTES - 3 * STRIDE] {
            let (mut kernel, mut ring) = Kernel::new(start);
            assert!(numbers(&mut ring, 100).is_empty());
            (0..10).for_each(|number| _ = kernel.record(number, 0));
            assert_eq!(ring.fill(), 10 * STRIDE);
            assert_eq!(numbers(&mut ring, 4), [0, 1, 2, 3]);
            assert_eq!(kernel.consumed(), start + 4 * STRIDE);
            assert_eq!(numbers(&mut ring, 100), [4, 5, 6, 7, 8, 9]);
            assert_eq!((kernel.consumed(), ring.fill()), (kernel.produced, 0));
        }
    }

    #[test]
    fn a_record_under_way_stops_the_reading() {
        let (mut kernel, mut ring) = Kernel::new(0);
        kernel.record(1, 0);
        let busy = kernel.record(2, BUSY);
        kernel.record(3, 0);
        assert_eq!(numbers(&mut ring, 100), [1]);
        assert!(numbers(&mut ring, 100).is_empty());
        assert_eq!(kernel.consumed(), busy);
        kernel.flag(busy, SIZE, 0);
        assert_eq!(numbers(&mut ring, 100), [2, 3]);
    }

    #[test]
    fn what_is_discarded_is_passed_over() {
        let (mut kernel, mut ring) = Kernel::new(BYTES - 40);
        kernel.sized(9, 100, DISCARD);
        (1..4).for_each(|number| _ = kernel.record(number, 0));
        kernel.record(9, DISCARD);
        kernel.sized(9, 3, DISCARD);
        kernel.record(4, 0);
        kernel.record(9, DISCARD);
        assert_eq!(numbers(&mut ring, 100), [1, 2, 3, 4]);
        assert!(numbers(&mut ring, 100).is_empty());
        assert_eq!(kernel.consumed(), kernel.produced);
        // One under way is not passed over, whatever becomes of it.
        kernel.record(9, BUSY | DISCARD);
        assert!(numbers(&mut ring, 100).is_empty());
        assert_ne!(kernel.consumed(), kernel.produced);
    }

    #[test]
    fn what_is_not_taken_stays() {
        let (mut kernel, mut ring) = Kernel::new(0);
        (0..10).for_each(|number| _ = kernel.record(number, 0));
        assert_eq!(ring.read(100, |run| Ok(run.len().min(3))).unwrap(), 3);
        assert_eq!(kernel.consumed(), 3 * STRIDE);
        assert_eq!(numbers(&mut ring, 100).first(), Some(&3));
    }

    #[test]
    fn a_record_of_another_size_is_a_bug() {
        let (mut kernel, mut ring) = Kernel::new(0);
        kernel.record(1, 0);
        kernel.sized(2, SIZE + 1, 0);
        assert_eq!(numbers(&mut ring, 1), [1]);
        assert!(ring.read(100, |run| Ok(run.len())).is_err());
    }
}
