//! A ring buffer: records in the order that they were reserved.
//!
//! A record takes its bytes and a header of 8, rounded up to 8, and is refused when less than one byte of the ring would stay free
//! (`__bpf_ringbuf_reserve`, kernel/bpf/ringbuf.c 6.18). Discarded records take room until user space has passed them.

use super::memory::POISON;

/// BPF_RINGBUF_HDR_SZ.
const HEADER: u64 = 8;

/// A ring buffer and what user space has not read of it.
#[derive(Clone, Debug)]
pub struct Ring {
    capacity: u64,
    read: u64,
    written: u64,
    records: Vec<Record>,
}

#[derive(Clone, Debug)]
struct Record {
    bytes: Vec<u8>,
    state: State,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Reserved,
    Submitted,
    Discarded,
}

impl Ring {
    /// An empty ring of so many bytes.
    pub(super) fn new(capacity: u32) -> Ring {
        Ring { capacity: capacity.into(), read: 0, written: 0, records: Vec::new() }
    }

    /// The ring's bytes.
    pub fn capacity(&self) -> u64 {
        self.capacity
    }

    /// Bytes that have been written since the start, with headers and padding.
    pub fn written(&self) -> u64 {
        self.written
    }

    /// Bytes that user space has passed.
    pub fn read(&self) -> u64 {
        self.read
    }

    /// Takes what was submitted, in order; all room is free then.
    pub(super) fn take(&mut self) -> Vec<Vec<u8>> {
        self.read = self.written;
        let records = std::mem::take(&mut self.records).into_iter();
        records.filter(|record| record.state == State::Submitted).map(|record| record.bytes).collect()
    }

    /// Room for a record, filled with what was there before; its number, or none if the ring is full.
    pub(super) fn reserve(&mut self, bytes: u64) -> Option<u32> {
        let len = bytes.checked_add(HEADER)?.checked_next_multiple_of(8)?;
        if len > self.capacity || self.written + len - self.read >= self.capacity {
            return None;
        }
        self.written += len;
        self.records.push(Record { bytes: vec![POISON; usize::try_from(bytes).ok()?], state: State::Reserved });
        u32::try_from(self.records.len() - 1).ok()
    }

    /// Gives a reserved record back; false if it is none.
    pub(super) fn commit(&mut self, record: u32, discard: bool) -> bool {
        match self.records.get_mut(record as usize) {
            Some(record) if record.state == State::Reserved => {
                record.state = if discard { State::Discarded } else { State::Submitted };
                true
            }
            _ => false,
        }
    }

    /// The bytes of a reserved record.
    pub(super) fn bytes(&self, record: u32) -> Option<&[u8]> {
        let record = self.records.get(record as usize).filter(|record| record.state == State::Reserved)?;
        Some(&record.bytes)
    }

    /// The same, to be written.
    pub(super) fn bytes_mut(&mut self, record: u32) -> Option<&mut [u8]> {
        let record = self.records.get_mut(record as usize).filter(|record| record.state == State::Reserved)?;
        Some(&mut record.bytes)
    }

    /// Whether any record is neither submitted nor discarded.
    pub(super) fn is_open(&self) -> bool {
        self.records.iter().any(|record| record.state == State::Reserved)
    }
}
