//! The kernel's clocks.

use nix::time::{ClockId, clock_gettime};

/// How often the clocks are compared; the closest of them counts.
const READS: usize = 8;

/// CLOCK_MONOTONIC in ns: what `bpf_ktime_get_ns` tells.
pub(crate) fn monotonic_ns() -> i64 {
    read(ClockId::CLOCK_MONOTONIC)
}

/// CLOCK_REALTIME minus CLOCK_MONOTONIC in ns, off by at most half of the shortest time that three reads took: some 50 ns.
pub(crate) fn wall_offset_ns() -> i64 {
    let compare = || {
        let before = monotonic_ns();
        let wall = read(ClockId::CLOCK_REALTIME);
        let after = monotonic_ns();
        (after - before, wall - (before + (after - before) / 2))
    };
    let closest = (0..READS).map(|_| compare()).min_by_key(|(took, _)| *took);
    closest.map_or(0, |(_, offset)| offset)
}

fn read(clock: ClockId) -> i64 {
    // Both clocks exist since Linux 2.6 and the pointer is valid, so it cannot fail (man clock_gettime).
    clock_gettime(clock).map_or(0, |time| time.tv_sec() * 1_000_000_000 + time.tv_nsec())
}

#[cfg(test)]
mod tests {
    use super::{monotonic_ns, wall_offset_ns};
    use std::time::{SystemTime, UNIX_EPOCH};

    #[test]
    fn the_offset_leads_to_wall_time() {
        let ours = monotonic_ns() + wall_offset_ns();
        let theirs = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_nanos() as i64;
        assert!((theirs - ours).abs() < 50_000_000, "{ours} is not {theirs}");
    }
}
