//! Numbers and durations as they are written: decimal, `0x`, `0o`, `0b` (PostgreSQL 16, 4.1.2.6), `1 minute 30 s`.

use bpfquery_catalog::parse_duration;

/// The value of a whole number; `None` for one with decimals or an exponent, for no number at all, and beyond 127 bits.
pub(crate) fn integer(digits: &str) -> Option<i128> {
    let digits = digits.replace('_', "");
    let (radix, rest) = match digits.as_bytes() {
        [b'0', b'x' | b'X', ..] => (16, &digits[2..]),
        [b'0', b'o' | b'O', ..] => (8, &digits[2..]),
        [b'0', b'b' | b'B', ..] => (2, &digits[2..]),
        _ => (10, digits.as_str()),
    };
    match rest.starts_with(['+', '-']) {
        true => None,
        false => i128::from_str_radix(rest, radix).ok(),
    }
}

/// Whether it is written as a whole number.
pub(crate) fn is_whole(digits: &str) -> bool {
    let based = ["0x", "0X", "0o", "0O", "0b", "0B"].iter().any(|prefix| digits.starts_with(prefix));
    based || !digits.contains(['.', 'e', 'E'])
}

/// Nanoseconds of an interval's text; a number without a unit is seconds, and a sign in front counts for all of it.
pub(crate) fn duration(text: &str) -> Option<i64> {
    let text = text.trim();
    if let Some(rest) = text.strip_prefix('-') {
        return duration_of(rest)?.checked_neg();
    }
    duration_of(text.strip_prefix('+').unwrap_or(text))
}

fn duration_of(text: &str) -> Option<i64> {
    let bare = !text.trim().is_empty() && text.trim().chars().all(|c| c.is_ascii_digit() || c == '.');
    if bare { parse_duration(&format!("{text} s")) } else { parse_duration(text) }
}

#[cfg(test)]
mod tests {
    use super::{duration, integer};

    #[test]
    fn durations() {
        for (text, expect) in [
            ("1 second", Some(1_000_000_000)),
            ("5", Some(5_000_000_000)),
            ("-1.5 s", Some(-1_500_000_000)),
            ("+2ms", Some(2_000_000)),
            ("1 month", None),
            ("--1 s", None),
            ("", None),
            (".", None),
        ] {
            assert_eq!(duration(text), expect, "{text}");
        }
    }

    #[test]
    fn every_base() {
        for (text, expect) in [
            ("0", Some(0)),
            ("1_000", Some(1000)),
            ("0xFf", Some(255)),
            ("0Xff", Some(255)),
            ("0o17", Some(15)),
            ("0b1_01", Some(5)),
            ("18446744073709551615", Some(18_446_744_073_709_551_615)),
            ("1.5", None),
            ("1e3", None),
            ("0x", None),
            ("", None),
            ("-1", None),
            ("999999999999999999999999999999999999999999", None),
        ] {
            assert_eq!(integer(text), expect, "{text}");
        }
    }
}
