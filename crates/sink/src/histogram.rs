//! Histograms as bpftrace draws them.

use arrow_array::cast::AsArray;
use arrow_array::types::UInt64Type;
use arrow_array::{Array, StructArray};
use bpfquery_exec::bucket_range;
use std::fmt::Write;

/// Columns of the longest bar (bpftrace's `src/output.cpp`).
const BAR: u64 = 52;

/// Appends a line for each bucket from the lowest that was hit to the highest, without a newline behind the last.
pub(crate) fn draw(out: &mut String, hit: &StructArray) {
    let (low, count) = (hit.column(1).as_primitive::<UInt64Type>(), hit.column(2).as_primitive::<UInt64Type>());
    let counts: Vec<(usize, u64)> =
        (0..hit.len()).map(|i| (bucket(low.is_valid(i).then(|| low.value(i))), count.value(i))).collect();
    let most = counts.iter().map(|(_, count)| *count).max().unwrap_or(0).max(1);
    let mut next = counts.first().map_or(0, |(bucket, _)| *bucket);
    for (bucket, count) in counts {
        // Buckets in between that were not hit are drawn empty, so that the scale has no gaps.
        (next..bucket).for_each(|empty| line(out, empty, 0, most));
        line(out, bucket, count, most);
        next = bucket + 1;
    }
    if out.ends_with('\n') {
        out.pop();
    }
}

fn line(out: &mut String, bucket: usize, count: u64, most: u64) {
    // The quotient is at most BAR, so it fits any integer.
    let length = usize::try_from(u128::from(count) * u128::from(BAR) / u128::from(most)).unwrap_or(0);
    // Writing to a string cannot fail.
    let _ = writeln!(out, "{:<16}{count:>8} |{:<52}|", bucket_range(bucket), "@".repeat(length));
}

/// The index of the bucket with this lower bound: (…, 0), [0], [1], [2, 4)…
fn bucket(low: Option<u64>) -> usize {
    match low {
        None => 0,
        Some(0) => 1,
        Some(low) => low.ilog2() as usize + 2,
    }
}
