//! Numbers and times as the table shows them.

use arrow_array::temporal_conversions::timestamp_s_to_datetime;
use std::fmt::Write;

/// Appends a double as PostgreSQL prints one (`extra_float_digits` 1, its default): the fewest digits that read back as the
/// same number, with an exponent below 1e-4 and from 1e15 on (`src/common/d2s.c` of PostgreSQL 12 and later).
pub(crate) fn double(out: &mut String, x: f64) {
    if x.is_nan() {
        return out.push_str("NaN");
    }
    if x.is_infinite() {
        return out.push_str(if x > 0.0 { "Infinity" } else { "-Infinity" });
    }
    let shortest = format!("{x:e}");
    // `{:e}` of a finite number always has an `e` and an exponent behind it.
    let (mantissa, exponent) = shortest.split_once('e').unwrap_or((&shortest, "0"));
    let exponent: i32 = exponent.parse().unwrap_or(0);
    // Writing to a string cannot fail.
    let _ = if (-4..15).contains(&exponent) || x == 0.0 {
        write!(out, "{x}")
    } else {
        write!(out, "{mantissa}e{}{:02}", if exponent < 0 { '-' } else { '+' }, exponent.abs())
    };
}

/// Writes moments; remembers the last second, since those of a stream are close together.
#[derive(Default)]
pub(crate) struct Clock {
    second: i64,
    text: String,
}

impl Clock {
    /// Appends a moment (ns since the Unix epoch) as PostgreSQL prints a `timestamptz` in UTC, with as many digits of the
    /// second as are not zero, by threes: `2026-11-21 00:40:12.345678901+00`.
    pub(crate) fn write(&mut self, out: &mut String, ns: i64) {
        let (second, fraction) = (ns.div_euclid(1_000_000_000), ns.rem_euclid(1_000_000_000));
        if self.text.is_empty() || self.second != second {
            self.second = second;
            self.text.clear();
            // Every count of nanoseconds in 64 bits is a moment of the years 1677 to 2262; writing to a string cannot fail.
            let _ = match timestamp_s_to_datetime(second) {
                Some(moment) => write!(self.text, "{moment}"),
                None => write!(self.text, "{second}"),
            };
        }
        out.push_str(&self.text);
        let _ = match fraction {
            0 => Ok(()),
            _ if fraction % 1_000_000 == 0 => write!(out, ".{:03}", fraction / 1_000_000),
            _ if fraction % 1_000 == 0 => write!(out, ".{:06}", fraction / 1_000),
            _ => write!(out, ".{fraction:09}"),
        };
        out.push_str("+00");
    }
}

/// Appends a duration in the largest of ns, µs, ms and s that is at most as long. Digits beyond the third behind the point
/// are cut, not rounded: what is shown has passed.
pub(crate) fn interval(out: &mut String, ns: i64) {
    let sign = if ns < 0 { "-" } else { "" };
    let size = ns.unsigned_abs();
    let (unit, name) = match size {
        0..1_000 => {
            let _ = write!(out, "{ns} ns");
            return;
        }
        1_000..1_000_000 => (1_000, "µs"),
        1_000_000..1_000_000_000 => (1_000_000, "ms"),
        _ => (1_000_000_000, "s"),
    };
    let _ = write!(out, "{sign}{}.{:03} {name}", size / unit, size % unit / (unit / 1_000));
}

#[cfg(test)]
mod tests {
    use super::{Clock, double, interval};

    fn check<T: Copy + std::fmt::Debug>(write: fn(&mut String, T), value: T, expect: &str) {
        let mut out = String::new();
        write(&mut out, value);
        assert_eq!(out, expect, "{value:?}");
    }

    /// The expected texts are PostgreSQL 15's.
    #[test]
    fn doubles() {
        for (value, expect) in [
            (0.0, "0"),
            (-0.0, "-0"),
            (3.0, "3"),
            (0.1, "0.1"),
            (0.1 + 0.2, "0.30000000000000004"),
            (1e14, "100000000000000"),
            (1e15, "1e+15"),
            (1.5e300, "1.5e+300"),
            (0.0001, "0.0001"),
            (0.00001, "1e-05"),
            (-2.5, "-2.5"),
            (f64::NAN, "NaN"),
            (f64::NEG_INFINITY, "-Infinity"),
        ] {
            check(double, value, expect);
        }
    }

    #[test]
    fn timestamps() {
        let timestamp = |out: &mut String, ns| Clock::default().write(out, ns);
        check(timestamp, 0, "1970-01-01 00:00:00+00");
        check(timestamp, -1, "1969-12-31 23:59:59.999999999+00");
        check(timestamp, 1_000, "1970-01-01 00:00:00.000001+00");
        check(timestamp, 1_795_221_612_345_678_901, "2026-11-21 00:40:12.345678901+00");
        check(timestamp, 1_795_221_612_500_000_000, "2026-11-21 00:40:12.500+00");
        check(timestamp, i64::MIN, "1677-09-21 00:12:43.145224192+00");
        check(timestamp, i64::MAX, "2262-04-11 23:47:16.854775807+00");
    }

    #[test]
    fn a_clock_may_go_back() {
        let mut clock = Clock::default();
        let mut out = String::new();
        [1_500_000_000, 1_000_000_000, 0, 1_000_000_000].into_iter().for_each(|ns| {
            clock.write(&mut out, ns);
            out.push(' ');
        });
        let times = out.trim_end().split("1970-01-01 ").skip(1).map(str::trim).collect::<Vec<_>>();
        assert_eq!(times, ["00:00:01.500+00", "00:00:01+00", "00:00:00+00", "00:00:01+00"]);
    }

    #[test]
    fn intervals() {
        for (ns, expect) in [
            (0, "0 ns"),
            (999, "999 ns"),
            (-999, "-999 ns"),
            (1_000, "1.000 µs"),
            (1_234_567, "1.234 ms"),
            (999_999_999, "999.999 ms"),
            (-1_500_000_000, "-1.500 s"),
            (86_400_000_000_000, "86400.000 s"),
            (i64::MIN, "-9223372036.854 s"),
        ] {
            check(interval, ns, expect);
        }
    }
}
