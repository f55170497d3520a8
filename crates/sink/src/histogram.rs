//! Histograms as bpftrace draws them.

use arrow_array::cast::AsArray;
use arrow_array::types::UInt64Type;
use arrow_array::{Array, StructArray};
use bpfquery_exec::bucket_range;
use std::fmt::Write;

/// Columns of the longest bar (bpftrace's `src/output.cpp`).
const BAR: u64 = 52;

/// Appends a line for each bucket from the lowest that was hit to the highest, without a newline behind the last.
/// Bounds of intervals have units.
pub(crate) fn draw(out: &mut String, hit: &StructArray, intervals: bool) {
    let (low, count) = (hit.column(1).as_primitive::<UInt64Type>(), hit.column(2).as_primitive::<UInt64Type>());
    let counts: Vec<(usize, u64)> =
        (0..hit.len()).map(|i| (bucket(low.is_valid(i).then(|| low.value(i))), count.value(i))).collect();
    let most = counts.iter().map(|(_, count)| *count).max().unwrap_or(0).max(1);
    let mut next = counts.first().map_or(0, |(bucket, _)| *bucket);
    for (bucket, count) in counts {
        // Buckets in between that were not hit are drawn empty, so that the scale has no gaps.
        (next..bucket).for_each(|empty| line(out, empty, 0, most, intervals));
        line(out, bucket, count, most, intervals);
        next = bucket + 1;
    }
    if out.ends_with('\n') {
        out.pop();
    }
}

fn line(out: &mut String, bucket: usize, count: u64, most: u64, intervals: bool) {
    // The quotient is at most BAR, so it fits any integer.
    let length = usize::try_from(u128::from(count) * u128::from(BAR) / u128::from(most)).unwrap_or(0);
    // Writing to a string cannot fail.
    let _ = if intervals {
        write!(out, "{:<20}", interval_range(bucket))
    } else {
        write!(out, "{:<16}", bucket_range(bucket))
    };
    let _ = writeln!(out, "{count:>8} |{:<52}|", "@".repeat(length));
}

/// A bucket's range of nanoseconds with units: `(..., 0)`, `[0]`, `[1 ns]`, `[512 ns, 1.02 µs)`.
fn interval_range(bucket: usize) -> String {
    match bucket {
        0 | 1 => bucket_range(bucket),
        2 => "[1 ns]".to_string(),
        // A bucket is at most 65, as 64 bits have 64 powers of two.
        _ => format!("[{}, {})", bound(1 << (bucket - 2).min(64)), bound(1 << (bucket - 1).min(64))),
    }
}

/// So many nanoseconds in the unit that intervals are shown in, to three digits where there are more.
fn bound(ns: u128) -> String {
    let (unit, name) = match ns {
        0..1_000 => return format!("{ns} ns"),
        1_000..1_000_000 => (1e3, "µs"),
        1_000_000..1_000_000_000 => (1e6, "ms"),
        _ => (1e9, "s"),
    };
    // A power of two is exact as a double.
    let value = ns as f64 / unit;
    let digits = if value < 10.0 { 2 } else { usize::from(value < 100.0) };
    format!("{value:.digits$} {name}")
}

/// The index of the bucket with this lower bound: (…, 0), [0], [1], [2, 4)…
fn bucket(low: Option<u64>) -> usize {
    match low {
        None => 0,
        Some(0) => 1,
        Some(low) => low.ilog2() as usize + 2,
    }
}

#[cfg(test)]
mod tests {
    use super::interval_range;

    #[test]
    fn bounds_of_intervals_have_units() {
        for (bucket, range) in [
            (0, "(..., 0)"),
            (1, "[0]"),
            (2, "[1 ns]"),
            (3, "[2 ns, 4 ns)"),
            (11, "[512 ns, 1.02 µs)"),
            (16, "[16.4 µs, 32.8 µs)"),
            (21, "[524 µs, 1.05 ms)"),
            (31, "[537 ms, 1.07 s)"),
            (43, "[2199 s, 4398 s)"),
            (65, "[9223372037 s, 18446744074 s)"),
        ] {
            assert_eq!(interval_range(bucket), range);
        }
    }
}
