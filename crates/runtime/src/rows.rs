//! The rows of a stream.
//!
//! What must hold: a row is handed on within 50 ms, however slow or fast they come. The programs do not wake anybody
//! (BPF_RB_NO_WAKEUP), so that no event pays for waking the reader, nor for looking at how full the buffer is. The reader looks
//! by itself: it sleeps until the buffer will be an eighth full, but never for longer than 20 ms.

use crate::ring::Ring;
use crate::stop::{Ended, Watch};
use crate::{Flow, Receiver};
use bpfquery_diag::{Failure, Result};
use bpfquery_exec::Engine;
use bpfquery_object::manifest::ROWS;
use libbpf_rs::{MapCore, Object};
use std::os::fd::AsFd;
use std::time::Duration;

/// The most rows in a batch.
const BATCH: usize = 8192;
/// How full the buffer should be found, as a part of it: the rest is for a reader that comes late.
const AIM: usize = 8;
/// The shortest and the longest pause between two looks.
const SHORTEST: Duration = Duration::from_millis(1);
const LONGEST: Duration = Duration::from_millis(20);
/// Rows of so many bytes fill a buffer faster than a reader that sleeps for long learns of it.
const LARGE: usize = 128;
/// The longest pause for those.
const LONGEST_LARGE: Duration = Duration::from_millis(10);

/// Reads rows.
pub(crate) struct Rows {
    ring: Ring,
    engine: Engine,
    pace: Pace,
}

impl Rows {
    pub(crate) fn new(object: &Object, engine: Engine) -> Result<Rows> {
        let map = object.maps().find(|map| map.name() == ROWS);
        let map = map.ok_or_else(|| Failure::bug("runtime", "the loaded object lost its map of rows"))?;
        let (bytes, size) = (map.max_entries() as usize, engine.record_size()?);
        Ok(Rows { ring: Ring::new(map.as_fd(), bytes, size)?, engine, pace: Pace::new(bytes, size) })
    }

    /// Hands rows on until something ends it.
    pub(crate) fn stream(&mut self, watch: &mut Watch, receiver: &mut dyn Receiver) -> Result<Ended> {
        loop {
            self.pace.found(self.ring.fill());
            let read = self.read()?;
            let flow = self.hand_on(receiver)?;
            if self.engine.is_done() {
                return Ok(Ended::Limit);
            }
            if flow == Flow::Stop {
                return Ok(Ended::Reader);
            }
            // After a full batch there may be more; what ends the query is heard between two.
            let pause = if read == BATCH { Duration::ZERO } else { self.pace.next() };
            if let Some(ended) = watch.wait(pause)? {
                return Ok(ended);
            }
        }
    }

    /// Hands on what is left. Nothing writes any more.
    pub(crate) fn drain(&mut self, receiver: &mut dyn Receiver) -> Result<()> {
        while self.read()? > 0 {
            if self.hand_on(receiver)? == Flow::Stop {
                break;
            }
        }
        Ok(())
    }

    /// Records received so far.
    pub(crate) fn received(&self) -> u64 {
        self.engine.received()
    }

    /// Reads at most a batch; how many records it was.
    fn read(&mut self) -> Result<usize> {
        // LIMIT 0 is done before it begins.
        if self.engine.is_done() {
            return Ok(0);
        }
        self.ring.read(BATCH, |run| self.engine.push_run(run))
    }

    fn hand_on(&mut self, receiver: &mut dyn Receiver) -> Result<Flow> {
        self.engine.take()?.map_or(Ok(Flow::Continue), |batch| receiver.rows(batch))
    }
}

/// How long to sleep between two looks.
struct Pace {
    /// Bytes that there should be at a look.
    aim: usize,
    longest: Duration,
    pause: Duration,
    /// Bytes that there were at the first look since the last pause.
    found: Option<usize>,
}

impl Pace {
    fn new(ring: usize, row: usize) -> Pace {
        let longest = if row >= LARGE { LONGEST_LARGE } else { LONGEST };
        Pace { aim: ring / AIM, longest, pause: Duration::ZERO, found: None }
    }

    fn found(&mut self, bytes: usize) {
        self.found.get_or_insert(bytes);
    }

    /// As much shorter or longer than the last pause as there was too much or too little, but at most twice as long.
    fn next(&mut self) -> Duration {
        let found = self.found.take().unwrap_or(0).max(self.aim / 2).max(1);
        let pause = self.pause.mul_f64(self.aim as f64 / found as f64);
        self.pause = pause.clamp(SHORTEST, self.longest);
        self.pause
    }
}

#[cfg(test)]
mod tests {
    use super::Pace;
    use std::time::Duration;

    #[test]
    fn pauses() {
        let mut pace = Pace::new(16 << 20, 24);
        let mut check = |found: usize, expect: u64| {
            pace.found(found);
            // What comes while a batch is read does not count.
            pace.found(16 << 20);
            assert_eq!(pace.next(), Duration::from_millis(expect), "{found}");
        };
        // While nothing comes, or little: ever longer.
        [1, 2, 4, 8, 16, 20, 20].into_iter().for_each(|expect| check(0, expect));
        check(100, 20);
        check(1 << 20, 20);
        // Twice as much as there should be, and all that there is room for.
        check(4 << 20, 10);
        check(4 << 20, 5);
        check(16 << 20, 1);
        check(2 << 20, 1);
        check(1 << 20, 2);
    }

    #[test]
    fn large_rows_are_looked_for_more_often() {
        let mut pace = Pace::new(16 << 20, 288);
        assert_eq!((0..6).map(|_| pace.next()).max(), Some(Duration::from_millis(10)));
    }
}
