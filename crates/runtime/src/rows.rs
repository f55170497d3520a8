//! The ring buffer of rows.
//!
//! What must hold: a row is handed on within 50 ms, however slow or fast they come. The programs do not wake anybody
//! (BPF_RB_NO_WAKEUP), so the buffer is polled: the emptier it was found, the longer the pause.

use crate::stop::{Ended, Watch};
use crate::{Flow, Receiver};
use bpfquery_diag::{Failure, Result};
use bpfquery_exec::Engine;
use bpfquery_object::manifest::ROWS;
use libbpf_rs::{MapCore, Object, RingBuffer, RingBufferBuilder};
use std::cell::RefCell;
use std::rc::Rc;
use std::time::{Duration, Instant};

/// The most rows in a batch.
const BATCH: usize = 8192;
/// Fewer rows in a poll than this are a slow stream: they are handed on at once.
const FEW: usize = 64;
/// How long rows of a fast stream are collected.
const COLLECT: Duration = Duration::from_millis(20);
/// The longest pause between two polls.
const LONGEST_PAUSE: Duration = Duration::from_millis(20);

/// Reads rows.
pub(crate) struct Rows {
    ring: RingBuffer<'static>,
    inbox: Rc<RefCell<Inbox>>,
    /// Since when rows wait to be handed on.
    waiting: Option<Instant>,
}

/// What libbpf's callback fills.
struct Inbox {
    engine: Engine,
    failure: Option<Failure>,
}

impl Inbox {
    /// Takes a record; a negative answer stops the reading.
    fn push(&mut self, record: &[u8]) -> i32 {
        match self.engine.push(record) {
            Ok(()) if self.engine.is_done() => -1,
            Ok(()) => 0,
            Err(failure) => {
                self.failure = Some(failure);
                -1
            }
        }
    }
}

impl Rows {
    pub(crate) fn new(object: &Object, engine: Engine) -> Result<Rows> {
        let fail = |error: libbpf_rs::Error| Failure::io("read the ring buffer", error);
        let inbox = Rc::new(RefCell::new(Inbox { engine, failure: None }));
        let map = object.maps().find(|map| map.name() == ROWS);
        let map = map.ok_or_else(|| Failure::bug("runtime", "the loaded object lost its map of rows"))?;
        let filled = inbox.clone();
        let mut builder = RingBufferBuilder::new();
        builder.add(&map, move |record| filled.borrow_mut().push(record)).map_err(fail)?;
        Ok(Rows { ring: builder.build().map_err(fail)?, inbox, waiting: None })
    }

    /// Hands rows on until something ends it.
    pub(crate) fn stream(&mut self, watch: &mut Watch, receiver: &mut dyn Receiver) -> Result<Ended> {
        let mut pause = Duration::ZERO;
        loop {
            // LIMIT 0 is done before it begins.
            let read = if self.is_done() { 0 } else { self.consume()? };
            if self.is_done() {
                self.hand_on(receiver)?;
                return Ok(Ended::Limit);
            }
            if self.is_due(read) && self.hand_on(receiver)? == Flow::Stop {
                return Ok(Ended::Reader);
            }
            pause = next_pause(pause, read);
            if let Some(ended) = watch.wait(pause)? {
                return Ok(ended);
            }
        }
    }

    /// Hands on what is left. Nothing writes any more.
    pub(crate) fn drain(&mut self, receiver: &mut dyn Receiver) -> Result<()> {
        while !self.is_done() && self.consume()? > 0 {
            if self.hand_on(receiver)? == Flow::Stop {
                return Ok(());
            }
        }
        self.hand_on(receiver).map(|_| ())
    }

    /// Records received so far.
    pub(crate) fn received(&self) -> u64 {
        self.inbox.borrow().engine.received()
    }

    fn is_done(&self) -> bool {
        self.inbox.borrow().engine.is_done()
    }

    /// Reads at most a batch; how many there were.
    fn consume(&mut self) -> Result<usize> {
        let read = self.ring.consume_raw_n(BATCH);
        let mut inbox = self.inbox.borrow_mut();
        if let Some(failure) = inbox.failure.take() {
            return Err(failure);
        }
        if inbox.engine.pending() > 0 {
            self.waiting.get_or_insert_with(Instant::now);
        }
        match usize::try_from(read) {
            Ok(read) => Ok(read),
            Err(_) if inbox.engine.is_done() => Ok(0),
            Err(_) => Err(Failure::io("read the ring buffer", nix::errno::Errno::from_raw(-read).desc())),
        }
    }

    fn is_due(&self, read: usize) -> bool {
        read < FEW
            || self.inbox.borrow().engine.pending() >= BATCH
            || self.waiting.is_some_and(|since| since.elapsed() >= COLLECT)
    }

    fn hand_on(&mut self, receiver: &mut dyn Receiver) -> Result<Flow> {
        self.waiting = None;
        let batch = self.inbox.borrow_mut().engine.take()?;
        batch.map_or(Ok(Flow::Continue), |batch| receiver.rows(batch))
    }
}

/// None after a full batch, short while rows come fast, and ever longer while none come.
fn next_pause(pause: Duration, read: usize) -> Duration {
    match read {
        BATCH.. => Duration::ZERO,
        FEW.. => Duration::from_millis(1),
        1.. => LONGEST_PAUSE / 2,
        0 => (pause * 2).clamp(Duration::from_millis(1), LONGEST_PAUSE),
    }
}

#[cfg(test)]
mod tests {
    use super::{BATCH, next_pause};
    use std::time::Duration;

    #[test]
    fn pauses() {
        let check = |pause, read, expect| {
            assert_eq!(next_pause(Duration::from_millis(pause), read), Duration::from_millis(expect), "{pause} {read}");
        };
        check(0, 0, 1);
        check(1, 0, 2);
        check(16, 0, 20);
        check(20, 0, 20);
        check(20, 3, 10);
        check(20, 100, 1);
        check(20, BATCH, 0);
    }
}
