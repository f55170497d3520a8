//! Where types start: found once, as far as somebody has asked.
//!
//! What must hold: a type is where walking from the first one over every length leads; nothing else tells. The place of every
//! 4th type is kept, so that the index of a vmlinux takes at most 128 KB.
//!
//! A type that does not fit ends the walk: what is behind it does not exist.

use crate::raw::{TYPE_HEADER, type_len, u32_at};
use std::sync::{Mutex, PoisonError};

/// Every how many types a place is kept.
const EVERY: usize = 4;
/// Bytes that are compared at a time.
const BLOCK: usize = 512;

/// The places of a type section's types.
#[derive(Default)]
pub(crate) struct Index(Mutex<Known>);

#[derive(Default)]
struct Known {
    /// The byte offsets of type 0, 4, 8 …
    marks: Vec<u32>,
    /// How many types were walked over.
    count: usize,
    /// Where the next one starts.
    next: usize,
    /// Nothing follows.
    ended: bool,
}

/// The bytes that an index is for.
#[derive(Clone, Copy)]
pub(crate) struct Section<'a> {
    pub(crate) types: &'a [u8],
    /// The lengths of kinds newer than this code.
    pub(crate) layout: &'a [u8],
}

impl Section<'_> {
    /// Where the type behind the one at `at` starts.
    fn behind(self, at: usize) -> Option<usize> {
        Some(at + type_len(self.types.get(at..)?, self.layout)?)
    }
}

impl Index {
    /// The byte offset of a type, counted from 0.
    pub(crate) fn offset(&self, section: Section<'_>, nth: usize) -> Option<usize> {
        let mut known = self.lock();
        known.walk(section, |known| known.count > nth);
        if nth >= known.count {
            return None;
        }
        let mut at = *known.marks.get(nth / EVERY)? as usize;
        drop(known);
        for _ in 0..nth % EVERY {
            at = section.behind(at)?;
        }
        Some(at)
    }

    /// Which type, counted from 0, starts at a byte offset; `None` if none does.
    pub(crate) fn starting_at(&self, section: Section<'_>, offset: usize) -> Option<usize> {
        let mut known = self.lock();
        known.walk(section, |known| known.next > offset);
        if known.next <= offset {
            return None;
        }
        let mark = known.marks.partition_point(|mark| *mark as usize <= offset).checked_sub(1)?;
        let (mut nth, mut at) = (mark * EVERY, *known.marks.get(mark)? as usize);
        drop(known);
        while at < offset {
            at = section.behind(at)?;
            nth += 1;
        }
        (at == offset).then_some(nth)
    }

    /// How many types there are. Walks to the end.
    pub(crate) fn count(&self, section: Section<'_>) -> usize {
        let mut known = self.lock();
        known.walk(section, |_| false);
        known.count
    }

    /// The index is whole between two statements, so a panic elsewhere does not spoil it.
    fn lock(&self) -> std::sync::MutexGuard<'_, Known> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Known {
    /// Walks on until there is enough, or nothing more.
    fn walk(&mut self, section: Section<'_>, enough: impl Fn(&Known) -> bool) {
        while !self.ended && !enough(self) {
            match section.behind(self.next) {
                Some(behind) => {
                    if self.count.is_multiple_of(EVERY) {
                        // A type section is smaller than 4 GiB: `Header::parse`.
                        self.marks.push(self.next as u32);
                    }
                    self.count += 1;
                    self.next = behind;
                }
                None => self.ended = true,
            }
        }
    }
}

/// The places of aligned words that are one of `wanted`, in order. A block at a time, without a branch for each word, so that
/// a vmlinux's 3 MB take 0.1 ms.
pub(crate) fn words_among<'a>(types: &'a [u8], wanted: &'a [u32]) -> impl Iterator<Item = usize> + 'a {
    let has = |block: &&[u8]| {
        let words = block.as_chunks::<4>().0;
        let count = |word: u32| words.iter().map(|w| u32::from(u32::from_le_bytes(*w) == word)).sum::<u32>();
        wanted.iter().any(|word| count(*word) != 0)
    };
    let blocks = types.chunks(BLOCK).enumerate().filter(move |(_, block)| has(block));
    blocks.flat_map(move |(nth, block)| {
        let places = (0..block.len()).step_by(4).filter(move |at| wanted.contains(&u32_at(block, *at)));
        places.map(move |at| nth * BLOCK + at)
    })
}

/// Every type: its number, from 0, and its bytes up to the end of the section.
pub(crate) fn all(section: Section<'_>) -> impl Iterator<Item = (usize, &[u8])> {
    let mut at = 0;
    (0..).map_while(move |nth| {
        let behind = section.behind(at)?;
        let rest = section.types.get(at..).filter(|rest| rest.len() >= TYPE_HEADER)?;
        at = behind;
        Some((nth, rest))
    })
}

#[cfg(test)]
mod tests {
    use super::{Index, Section, all, words_among};

    /// Kinds of 12, 24 and 16 bytes in turns.
    fn section(count: u32) -> Vec<u8> {
        let words = (0..count).flat_map(|n| match n % 3 {
            0 => vec![n, 2 << 24, 0],
            1 => vec![n, 3 << 24, 0, 0, 0, 0],
            _ => vec![n, 1 << 24, 0, 0],
        });
        words.flat_map(u32::to_le_bytes).collect()
    }

    #[test]
    fn places_are_those_that_walking_leads_to() {
        let bytes = section(100);
        let section = Section { types: &bytes, layout: &[] };
        let walked: Vec<usize> = all(section).map(|(_, rest)| bytes.len() - rest.len()).collect();
        assert_eq!(walked.len(), 100);
        let index = Index::default();
        for nth in [50, 0, 99, 3, 4, 5] {
            assert_eq!(index.offset(section, nth), Some(walked[nth]), "{nth}");
        }
        assert_eq!(index.offset(section, 100), None);
        assert_eq!(index.count(section), 100);
        for (place, index) in [(walked[31], Index::default()), (walked[31], index)] {
            assert_eq!(index.starting_at(section, place), Some(31));
            assert_eq!(index.starting_at(section, place + 4), None);
            assert_eq!(index.starting_at(section, bytes.len()), None);
        }
    }

    #[test]
    fn what_does_not_fit_ends_the_types() {
        let mut bytes = section(3);
        bytes.extend([0; 12]);
        bytes.extend(section(3));
        let section = Section { types: &bytes, layout: &[] };
        let index = Index::default();
        assert_eq!(index.count(section), 3);
        assert_eq!((index.offset(section, 3), all(section).count()), (None, 3));
    }

    #[test]
    fn words_are_found_wherever_they_stand() {
        let bytes: Vec<u8> = (0..1000_u32).flat_map(u32::to_le_bytes).collect();
        let at = |wanted: &[u32]| words_among(&bytes, wanted).collect::<Vec<_>>();
        assert_eq!(at(&[999, 0, 128]), [0, 512, 3996]);
        assert_eq!(at(&[1000]), []);
    }
}
