//! Records that lie one behind the other, as a ring buffer holds them.
//!
//! What must hold: every record of a run is whole, so that a column is read without looking at the other columns. A field that is
//! outside of its record reads as zeros.

use bpfquery_plan::{Field, Layout};
use std::ops::Range;

/// Records of one size, each so many bytes behind the one before.
#[derive(Clone, Copy, Debug)]
pub struct Run<'a> {
    bytes: &'a [u8],
    stride: usize,
    size: usize,
    len: usize,
}

/// Where in a record it says that a field is NULL.
#[derive(Clone, Copy, Debug)]
pub(crate) struct NullBit {
    byte: usize,
    mask: u8,
}

impl<'a> Run<'a> {
    /// Records of `size` bytes, `stride` bytes from one's start to the next's. `bytes` begin with the first and end with the
    /// last; `None` if they do not, or if records overlap.
    pub fn new(bytes: &'a [u8], stride: usize, size: usize) -> Option<Run<'a>> {
        if stride < size || stride == 0 {
            return None;
        }
        let between = bytes.len().checked_sub(size)?;
        between.is_multiple_of(stride).then_some(Run { bytes, stride, size, len: between / stride + 1 })
    }

    /// A record by itself.
    pub fn single(bytes: &'a [u8]) -> Run<'a> {
        Run { bytes, stride: bytes.len(), size: bytes.len(), len: 1 }
    }

    /// How many records.
    #[allow(clippy::len_without_is_empty, reason = "a run has at least one record")]
    pub fn len(&self) -> usize {
        self.len
    }

    /// Some of the records; `None` if that is none of them.
    pub(crate) fn slice(self, range: &Range<usize>) -> Option<Run<'a>> {
        let len = range.end.checked_sub(range.start).filter(|len| *len > 0)?;
        let bytes = self.bytes.get(range.start * self.stride..(range.end - 1) * self.stride + self.size)?;
        Some(Run { bytes, len, ..self })
    }

    /// The records.
    pub fn records(self) -> impl Iterator<Item = &'a [u8]> {
        (0..self.len).map(move |index| {
            let start = index * self.stride;
            self.bytes.get(start..start + self.size).unwrap_or_default()
        })
    }

    /// `N` bytes of each record.
    pub(crate) fn fixed<const N: usize>(self, offset: u32) -> impl Iterator<Item = [u8; N]> {
        let at = offset as usize;
        self.records().map(move |record| record.get(at..).and_then(<[u8]>::first_chunk).copied().unwrap_or([0; N]))
    }
}

impl NullBit {
    /// `None` if the field is never NULL.
    pub(crate) fn of(layout: &Layout, field: &Field) -> Option<NullBit> {
        let (bit, (offset, _)) = (field.null_bit?, layout.nulls?);
        // Bits are counted from the lowest of a little-endian number.
        Some(NullBit { byte: offset.saturating_add(bit / 8) as usize, mask: 1 << (bit % 8) })
    }

    /// Whether the field is NULL in this record.
    pub(crate) fn is_set(self, record: &[u8]) -> bool {
        record.get(self.byte).is_some_and(|byte| byte & self.mask != 0)
    }
}

#[cfg(test)]
mod tests {
    use super::Run;

    #[test]
    fn a_run_is_whole_records() {
        let bytes = [1, 2, 0, 0, 3, 4, 0, 0, 5, 6];
        let run = Run::new(&bytes, 4, 2).unwrap();
        assert_eq!(run.len(), 3);
        assert_eq!(run.fixed::<2>(0).collect::<Vec<_>>(), [[1, 2], [3, 4], [5, 6]]);
        assert_eq!(run.fixed::<1>(1).collect::<Vec<_>>(), [[2], [4], [6]]);
        // Nothing is there.
        assert_eq!(run.fixed::<8>(9).collect::<Vec<_>>(), [[0; 8]; 3]);
        for (stride, size) in [(4, 3), (4, 1), (2, 4), (0, 0), (16, 11)] {
            assert!(Run::new(&bytes, stride, size).is_none(), "{stride} {size}");
        }
    }

    #[test]
    fn a_slice_is_a_run() {
        let bytes = [1, 0, 2, 0, 3, 0, 4];
        let run = Run::new(&bytes, 2, 1).unwrap();
        let slice = |range: std::ops::Range<usize>| {
            run.slice(&range).map(|run| (run.len(), run.fixed::<1>(0).flatten().collect::<Vec<_>>()))
        };
        assert_eq!(slice(0..4), Some((4, vec![1, 2, 3, 4])));
        assert_eq!(slice(1..3), Some((2, vec![2, 3])));
        assert_eq!(slice(3..4), Some((1, vec![4])));
        assert_eq!(slice(2..2), None);
        assert_eq!(slice(4..5), None);
    }
}
