//! Tumbling windows: when one has closed, and whether all of it was seen.
//!
//! Times are CLOCK_MONOTONIC in ns, signed: a long window may have begun before the machine.

use std::fmt;

/// A window of which the query saw only a part.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PartialWindow {
    /// Its start, in ns since the UTC epoch.
    pub start_ns: i64,
    /// Its length in ns.
    pub size_ns: u64,
    /// The query started within it.
    pub started_within: bool,
    /// The query ended within it.
    pub ended_within: bool,
}

impl fmt::Display for PartialWindow {
    /// `window 2026-11-21 00:10:00 is partial: the query started within it`
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let what = match (self.started_within, self.ended_within) {
            (true, true) => "started and ended",
            (false, true) => "ended",
            (true | false, false) => "started",
        };
        write!(f, "window {} is partial: the query {what} within it", Utc(self.start_ns))
    }
}

/// What a window's place is measured by.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Windows {
    pub(crate) size_ns: u64,
    /// CLOCK_REALTIME minus CLOCK_MONOTONIC, as the programs know it: windows are aligned to the UTC epoch.
    pub(crate) wall_offset: i64,
    /// Since when every event was seen.
    pub(crate) live: i64,
}

impl Windows {
    /// The first end of a window after `now`.
    pub(crate) fn next_end(&self, now: i64) -> i64 {
        let size = i128::from(self.size_ns.max(1));
        let into = (i128::from(now) + i128::from(self.wall_offset)).rem_euclid(size);
        narrow(i128::from(now) - into + size)
    }

    /// The end of the window with this start.
    pub(crate) fn end(&self, start: i64) -> i64 {
        narrow(i128::from(start) + i128::from(self.size_ns))
    }

    /// What to say of a window if events were seen until `until` only.
    pub(crate) fn partial(&self, start: i64, until: i64) -> Option<PartialWindow> {
        let started_within = start < self.live;
        let ended_within = self.end(start) > until;
        let start_ns = start.saturating_add(self.wall_offset);
        (started_within || ended_within).then_some(PartialWindow {
            start_ns,
            size_ns: self.size_ns,
            started_within,
            ended_within,
        })
    }
}

fn narrow(ns: i128) -> i64 {
    i64::try_from(ns).unwrap_or(if ns < 0 { i64::MIN } else { i64::MAX })
}

/// A moment as PostgreSQL prints it in UTC.
struct Utc(i64);

impl fmt::Display for Utc {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (seconds, ns) = (self.0.div_euclid(1_000_000_000), self.0.rem_euclid(1_000_000_000));
        let (days, second) = (seconds.div_euclid(86_400), seconds.rem_euclid(86_400));
        let (year, month, day) = civil(days);
        write!(f, "{year:04}-{month:02}-{day:02} {:02}:{:02}:{:02}", second / 3600, second / 60 % 60, second % 60)?;
        match ns {
            0 => Ok(()),
            _ => write!(f, ".{}", format!("{ns:09}").trim_end_matches('0')),
        }
    }
}

/// Year, month and day of a day counted from 1970-01-01 (Howard Hinnant, "chrono-Compatible Low-Level Date Algorithms",
/// civil_from_days).
fn civil(days: i64) -> (i64, i64, i64) {
    let shifted = days + 719_468;
    let era = shifted.div_euclid(146_097);
    let of_era = shifted.rem_euclid(146_097);
    let year_of_era = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted_month = (5 * of_year + 2) / 153;
    let day = of_year - (153 * shifted_month + 2) / 5 + 1;
    let month = if shifted_month < 10 { shifted_month + 3 } else { shifted_month - 9 };
    (year_of_era + era * 400 + i64::from(month <= 2), month, day)
}

#[cfg(test)]
mod tests {
    use super::{PartialWindow, Utc, Windows};

    #[test]
    fn ends_are_aligned_to_wall_time() {
        let windows = Windows { size_ns: 10, wall_offset: 1003, live: 0 };
        // Wall time 1050 is 47 here.
        for (now, end) in [(40, 47), (46, 47), (47, 57), (0, 7), (-5, -3)] {
            assert_eq!(windows.next_end(now), end, "{now}");
        }
        let whole = Windows { size_ns: u64::MAX, wall_offset: 0, live: 0 };
        assert_eq!(whole.next_end(5), i64::MAX);
    }

    #[test]
    fn first_and_last_are_partial() {
        let windows = Windows { size_ns: 10, wall_offset: 100, live: 5 };
        let said = |start, until| windows.partial(start, until).map(|p| (p.start_ns, p.started_within, p.ended_within));
        assert_eq!(said(0, 50), Some((100, true, false)));
        assert_eq!(said(5, 50), None);
        assert_eq!(said(40, 50), None);
        assert_eq!(said(41, 50), Some((141, false, true)));
        assert_eq!(said(0, 5), Some((100, true, true)));
    }

    #[test]
    fn texts() {
        let utc = |ns| Utc(ns).to_string();
        assert_eq!(utc(0), "1970-01-01 00:00:00");
        assert_eq!(utc(951_827_696_250_000_000), "2000-02-29 12:34:56.25");
        assert_eq!(utc(-1_000_000_000), "1969-12-31 23:59:59");
        let window = PartialWindow {
            start_ns: 1_795_219_800_000_000_000,
            size_ns: 1,
            started_within: true,
            ended_within: false,
        };
        assert_eq!(window.to_string(), "window 2026-11-21 00:10:00 is partial: the query started within it");
    }
}
