//! A column of text.
//!
//! What must hold: what is appended ends at its NUL, and what is no UTF-8 has U+FFFD for each wrong part, as
//! [`String::from_utf8_lossy`] puts it. Names are short and nearly always ASCII: they are copied and looked at eight bytes at a
//! time, and only what is not ASCII is looked at again.

use arrow_array::StringArray;
use arrow_array::builder::NullBufferBuilder;
use arrow_buffer::OffsetBuffer;
use std::borrow::Cow;

/// 0x80 in each byte, and 0x01.
const HIGH: u64 = u64::MAX / 0xff * 0x80;
const LOW: u64 = u64::MAX / 0xff;

/// Builds a column of text.
pub(crate) struct Texts {
    bytes: Vec<u8>,
    /// Where each text begins, and where the last ends.
    offsets: Vec<i32>,
    nulls: NullBufferBuilder,
}

impl Texts {
    pub(crate) fn new() -> Texts {
        Texts { bytes: Vec::new(), offsets: vec![0], nulls: NullBufferBuilder::new(0) }
    }

    /// Appends NULL.
    pub(crate) fn append_null(&mut self) {
        self.nulls.append_null();
        self.end();
    }

    /// Appends text as it is.
    pub(crate) fn append(&mut self, text: &[u8]) {
        let start = self.bytes.len();
        self.bytes.extend_from_slice(text);
        if !text.is_ascii() {
            self.mend(start);
        }
        self.nulls.append_non_null();
        self.end();
    }

    /// Appends text up to its NUL.
    pub(crate) fn append_to_nul(&mut self, buffer: &[u8]) {
        let (words, rest) = buffer.as_chunks::<8>();
        if !rest.is_empty() {
            // Only a layout that nobody here made has such a width.
            return self.append(buffer.split(|byte| *byte == 0).next().unwrap_or_default());
        }
        let start = self.bytes.len();
        let mut high = 0;
        for word in words {
            self.bytes.extend_from_slice(word);
            let word = u64::from_le_bytes(*word);
            // The lowest bit that is set is in the first byte that is zero.
            let zeros = word.wrapping_sub(LOW) & !word & HIGH;
            if zeros != 0 {
                let kept = zeros.trailing_zeros() / 8;
                self.bytes.truncate(self.bytes.len() - 8 + kept as usize);
                high |= word & ((1 << (8 * kept)) - 1);
                break;
            }
            high |= word;
        }
        if high & HIGH != 0 {
            self.mend(start);
        }
        self.nulls.append_non_null();
        self.end();
    }

    /// The column so far; the builder starts anew, with as much room.
    pub(crate) fn finish(&mut self) -> StringArray {
        let (bytes, mut offsets) = (Vec::with_capacity(self.bytes.len()), Vec::with_capacity(self.offsets.len()));
        offsets.push(0);
        let bytes = std::mem::replace(&mut self.bytes, bytes);
        let offsets = std::mem::replace(&mut self.offsets, offsets);
        StringArray::new(OffsetBuffer::new(offsets.into()), bytes.into(), self.nulls.finish())
    }

    /// Replaces what is no UTF-8 from here on.
    fn mend(&mut self, start: usize) {
        if let Cow::Owned(mended) = String::from_utf8_lossy(&self.bytes[start..]) {
            self.bytes.truncate(start);
            self.bytes.extend_from_slice(mended.as_bytes());
        }
    }

    fn end(&mut self) {
        // Arrow's own limit of such a column; a batch is far from it.
        self.offsets.push(i32::try_from(self.bytes.len()).expect("a batch has less than 2 GiB of text"));
    }
}

#[cfg(test)]
mod tests {
    use super::Texts;
    use arrow_array::Array;

    /// What a reader that looks at each byte would say.
    fn plainly(buffer: &[u8]) -> String {
        String::from_utf8_lossy(buffer.split(|byte| *byte == 0).next().unwrap_or_default()).into_owned()
    }

    #[test]
    fn text_ends_at_its_nul() {
        let mut texts = Texts::new();
        let mut expect = Vec::new();
        let letters = ["a", "\u{e9}", "\u{65e5}", "\u{1f980}"].map(str::as_bytes);
        let wrong: [&[u8]; 4] = [b"\x80", b"\xff", b"\xe6\x97", b"\x01"];
        for width in [0, 3, 8, 16, 24] {
            for length in 0..=width {
                for letter in letters.iter().copied().chain(wrong) {
                    let mut buffer: Vec<u8> = letter.iter().copied().cycle().take(length).collect();
                    // Behind the NUL stands what was there before.
                    buffer.resize((length + 1).min(width), 0);
                    buffer.resize(width, b'\xf0');
                    texts.append_to_nul(&buffer);
                    expect.push(plainly(&buffer));
                }
            }
        }
        texts.append_null();
        texts.append(b"a\xffb");
        let array = texts.finish();
        let got: Vec<Option<&str>> = array.iter().collect();
        let expect: Vec<Option<&str>> =
            expect.iter().map(|text| Some(text.as_str())).chain([None, Some("a\u{fffd}b")]).collect();
        assert_eq!(got, expect);
        assert_eq!(texts.finish().len(), 0);
    }
}
