//! `--timings`: how long the steps of a start took. What happens before `main`, a few tenths of a millisecond, is in none.

use std::fmt;
use std::time::{Duration, Instant};

/// Steps that are done, one after the other.
pub(crate) struct Timings {
    since: Instant,
    done: Vec<(&'static str, Duration)>,
}

impl Timings {
    /// The first step starts now.
    pub(crate) fn start() -> Timings {
        Timings { since: Instant::now(), done: Vec::new() }
    }

    /// A step is done, and the next one starts.
    pub(crate) fn done(&mut self, step: &'static str) {
        let now = Instant::now();
        self.done.push((step, now - self.since));
        self.since = now;
    }
}

impl fmt::Display for Timings {
    /// `time: command 0.13 ms, compile 1.05 ms, load and attach 2.20 ms`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let steps = self.done.iter().map(|(step, took)| format!("{step} {:.2} ms", took.as_secs_f64() * 1e3));
        write!(f, "time: {}", steps.collect::<Vec<_>>().join(", "))
    }
}
