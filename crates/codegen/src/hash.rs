//! A hash for tables that nobody walks: the same each time, and cheaper than the standard one, which withstands chosen keys.

use std::hash::{BuildHasherDefault, Hasher};

/// Makes [`Mixer`]s.
pub(crate) type Mixed = BuildHasherDefault<Mixer>;

/// Spreads the bits of words.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Mixer(u64);

impl Hasher for Mixer {
    fn write(&mut self, bytes: &[u8]) {
        bytes.iter().for_each(|&byte| self.write_u64(byte.into()));
    }

    fn write_u8(&mut self, number: u8) {
        self.write_u64(number.into());
    }

    fn write_u32(&mut self, number: u32) {
        self.write_u64(number.into());
    }

    fn write_u64(&mut self, word: u64) {
        // The golden ratio's bits, as Knuth multiplies; the high half is folded in, for tables take the low bits.
        let mixed = (self.0 ^ word).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        self.0 = mixed ^ mixed >> 32;
    }

    fn write_usize(&mut self, number: usize) {
        self.write_u64(number as u64);
    }

    fn finish(&self) -> u64 {
        self.0
    }
}
