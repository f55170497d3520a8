//! Times as ISO 8601 has them, for programs.

use arrow_array::temporal_conversions::timestamp_s_to_datetime;
use std::io::Write;

/// Writes moments; remembers the last second, since those of a stream are close together.
#[derive(Default)]
pub(crate) struct Iso {
    second: i64,
    text: Vec<u8>,
}

impl Iso {
    /// Appends a moment (ns since the Unix epoch) in UTC, with none, three, six or nine digits of the second, as many as it
    /// takes: `2026-11-21T00:40:12.345678901Z`.
    pub(crate) fn write(&mut self, out: &mut Vec<u8>, ns: i64) {
        let (second, fraction) = (ns.div_euclid(1_000_000_000), ns.rem_euclid(1_000_000_000));
        if self.text.is_empty() || self.second != second {
            self.second = second;
            self.text.clear();
            // Every count of nanoseconds in 64 bits is a moment of the years 1677 to 2262; writing to memory cannot fail.
            let _ = match timestamp_s_to_datetime(second) {
                Some(moment) => write!(self.text, "{moment:?}"),
                None => write!(self.text, "{second}"),
            };
        }
        out.extend_from_slice(&self.text);
        let digits = match fraction {
            0 => 0,
            _ if fraction % 1_000_000 == 0 => 3,
            _ if fraction % 1_000 == 0 => 6,
            _ => 9,
        };
        if digits > 0 {
            let mut text = *b".000000000";
            let mut rest = fraction;
            for place in text[1..].iter_mut().rev() {
                // A remainder of ten is a digit.
                *place = b'0' + (rest % 10) as u8;
                rest /= 10;
            }
            out.extend_from_slice(&text[..=digits]);
        }
        out.push(b'Z');
    }
}
