//! Encoders that arrow-json takes in place of its own for the columns that streams are made of: integers, text, times.
//!
//! What must hold: each writes what arrow-json's own would. They are here because rows come by the million, most integers are
//! the same as in the row before, most text needs no escapes, and most times lie in the same second.

use crate::iso::Iso;
use arrow_array::cast::AsArray;
use arrow_array::types::{
    Int8Type, Int16Type, Int32Type, Int64Type, TimestampNanosecondType, UInt8Type, UInt16Type, UInt32Type, UInt64Type,
};
use arrow_array::{Array, ArrowPrimitiveType, PrimitiveArray, StringArray, TimestampNanosecondArray};
use arrow_json::writer::{Encoder, EncoderFactory, EncoderOptions, NullableEncoder};
use arrow_schema::{ArrowError, DataType, FieldRef};
use lexical_core::ToLexical;

/// Chooses the encoders.
#[derive(Debug)]
pub(crate) struct Quick;

impl EncoderFactory for Quick {
    fn make_default_encoder<'a>(
        &self,
        _field: &'a FieldRef,
        array: &'a dyn Array,
        _options: &'a EncoderOptions,
    ) -> Result<Option<NullableEncoder<'a>>, ArrowError> {
        let encoder: Box<dyn Encoder + 'a> = match array.data_type() {
            DataType::Int8 => Box::new(Integer::new(array.as_primitive::<Int8Type>())),
            DataType::Int16 => Box::new(Integer::new(array.as_primitive::<Int16Type>())),
            DataType::Int32 => Box::new(Integer::new(array.as_primitive::<Int32Type>())),
            DataType::Int64 => Box::new(Integer::new(array.as_primitive::<Int64Type>())),
            DataType::UInt8 => Box::new(Integer::new(array.as_primitive::<UInt8Type>())),
            DataType::UInt16 => Box::new(Integer::new(array.as_primitive::<UInt16Type>())),
            DataType::UInt32 => Box::new(Integer::new(array.as_primitive::<UInt32Type>())),
            DataType::UInt64 => Box::new(Integer::new(array.as_primitive::<UInt64Type>())),
            DataType::Utf8 => Box::new(Text(array.as_string::<i32>())),
            DataType::Timestamp(arrow_schema::TimeUnit::Nanosecond, _) => {
                Box::new(Moment { times: array.as_primitive::<TimestampNanosecondType>(), iso: Iso::default() })
            }
            _ => return Ok(None),
        };
        Ok(Some(NullableEncoder::new(encoder, array.nulls().cloned())))
    }
}

/// Room for any integer of 64 bits.
const DIGITS: usize = 24;

struct Integer<'a, T: ArrowPrimitiveType> {
    values: &'a [T::Native],
    /// The integer that `text` begins with, in so many digits.
    last: T::Native,
    text: [u8; DIGITS],
    len: usize,
}

impl<'a, T: ArrowPrimitiveType<Native: ToLexical>> Integer<'a, T> {
    fn new(array: &'a PrimitiveArray<T>) -> Integer<'a, T> {
        let mut new = Integer { values: array.values(), last: T::Native::default(), text: [0; DIGITS], len: 0 };
        new.format(T::Native::default());
        new
    }

    fn format(&mut self, value: T::Native) {
        self.last = value;
        self.len = lexical_core::write(value, &mut self.text).len();
    }
}

impl<T: ArrowPrimitiveType<Native: ToLexical>> Encoder for Integer<'_, T> {
    fn encode(&mut self, row: usize, out: &mut Vec<u8>) {
        let value = self.values[row];
        if value != self.last {
            self.format(value);
        }
        // A copy of fixed length is two instructions, one of any length a call.
        out.extend_from_slice(&self.text);
        out.truncate(out.len() - DIGITS + self.len);
    }
}

struct Text<'a>(&'a StringArray);

impl Encoder for Text<'_> {
    fn encode(&mut self, row: usize, out: &mut Vec<u8>) {
        let text = self.0.value(row);
        let start = out.len();
        out.push(b'"');
        if append_plain(text.as_bytes(), out) {
            out.push(b'"');
        } else {
            out.truncate(start);
            // Writing to memory does not fail, and a string is always JSON.
            let _ = serde_json::to_writer(out, text);
        }
    }
}

/// Appends text that needs no escapes (RFC 8259, section 7: all but `"`, `\` and what is below U+0020); false, and something
/// appended, if it needs any.
fn append_plain(text: &[u8], out: &mut Vec<u8>) -> bool {
    let (words, rest) = text.as_chunks::<8>();
    let mut special = 0;
    for word in words {
        special |= specials(u64::from_le_bytes(*word));
        out.extend_from_slice(word);
    }
    // In steps of fixed length, since a copy of any length is a call.
    let (fours, rest) = rest.as_chunks::<4>();
    for four in fours {
        special |= specials(u64::from(u32::from_le_bytes(*four)) | u64::from(u32::MAX) << 32);
        out.extend_from_slice(four);
    }
    for byte in rest {
        special |= u64::from(*byte < b' ' || *byte == b'"' || *byte == b'\\');
        out.push(*byte);
    }
    special == 0
}

/// Not zero if one of eight bytes needs an escape.
fn specials(word: u64) -> u64 {
    const EACH: u64 = u64::MAX / 0xff;
    // The highest bit of a byte is set below if it is less than so much; of those above one that is, one may be set wrongly.
    let below = |word: u64, least: u64| word.wrapping_sub(EACH * least) & !word & (EACH * 0x80);
    let equal = |byte: u8| below(word ^ (EACH * u64::from(byte)), 1);
    below(word, u64::from(b' ')) | equal(b'"') | equal(b'\\')
}

struct Moment<'a> {
    times: &'a TimestampNanosecondArray,
    iso: Iso,
}

impl Encoder for Moment<'_> {
    fn encode(&mut self, row: usize, out: &mut Vec<u8>) {
        out.push(b'"');
        self.iso.write(out, self.times.value(row));
        out.push(b'"');
    }
}

#[cfg(test)]
mod tests {
    use super::{Quick, append_plain};
    use arrow_array::{
        ArrayRef, Int8Array, Int64Array, StringArray, TimestampNanosecondArray, UInt32Array, UInt64Array,
    };
    use arrow_json::writer::{EncoderOptions, make_encoder};
    use arrow_schema::Field;
    use std::sync::Arc;

    /// Both encoders' texts of a column.
    fn check(array: ArrayRef) {
        let field = Arc::new(Field::new("x", array.data_type().clone(), true));
        let text = |options: &EncoderOptions| {
            let mut encoder = make_encoder(&field, &array, options).unwrap();
            let mut rows = Vec::new();
            for row in (0..array.len()).filter(|row| array.is_valid(*row)) {
                let mut out = Vec::new();
                encoder.encode(row, &mut out);
                rows.push(String::from_utf8(out).unwrap());
            }
            rows
        };
        let own = text(&EncoderOptions::default());
        assert_eq!(text(&EncoderOptions::default().with_encoder_factory(Arc::new(Quick))), own);
    }

    #[test]
    fn integers_are_arrows() {
        check(Arc::new(Int8Array::from_iter_values(i8::MIN..=i8::MAX)));
        let sizes = (0..64).flat_map(|bit| [1_u64 << bit, (1 << bit) - 1, u64::MAX >> bit, u64::MAX << bit]);
        check(Arc::new(UInt64Array::from_iter_values(sizes.clone())));
        check(Arc::new(Int64Array::from_iter(sizes.map(|size| (size != 0).then_some(size.cast_signed())))));
        check(Arc::new(UInt32Array::from(vec![Some(0), Some(0), None, Some(7), Some(7), Some(u32::MAX), Some(10)])));
    }

    #[test]
    fn text_is_arrows() {
        let letters = (0..=0x100).filter_map(char::from_u32).chain("\u{2028}\u{fffd}\u{65e5}\u{1f980}".chars());
        // Each letter at each place of a word and of what is behind it.
        let texts = letters.flat_map(|letter| {
            (0..14).map(move |place| format!("{}{letter}{}", "x".repeat(place), "\u{e9}y".repeat(place % 3)))
        });
        check(Arc::new(StringArray::from_iter_values(texts)));
        check(Arc::new(StringArray::from(vec![Some(""), None, Some("a")])));
    }

    #[test]
    fn a_byte_is_plain_wherever_it_stands() {
        for length in 1..20 {
            for place in 0..length {
                for byte in 0..=u8::MAX {
                    let mut text = vec![b'!'; length];
                    text[place] = byte;
                    let mut out = Vec::new();
                    let plain = !(byte < 0x20 || byte == b'"' || byte == b'\\');
                    assert_eq!(append_plain(&text, &mut out), plain, "{byte} at {place} of {length}");
                    assert_eq!(out, text);
                }
            }
        }
    }

    #[test]
    fn times_are_arrows() {
        let second = 1_795_221_612_000_000_000;
        let near = [0, 1, 999, 1_000, 999_000, 1_000_000, 345_678_901, 100_000_000, 999_999_999, -1, -1_000_000_001];
        let times = near.iter().flat_map(|ns| [*ns, second + ns]).chain([i64::MIN, i64::MAX, i64::MIN + 1]);
        let times: Vec<Option<i64>> = times.map(Some).chain([None, Some(second)]).collect();
        check(Arc::new(TimestampNanosecondArray::from(times).with_timezone("+00:00")));
    }
}
