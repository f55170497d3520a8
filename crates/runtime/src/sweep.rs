//! Groups on their way from the maps to the receiver: all at the end, or window by window as they close.

use crate::groups::Groups;
use crate::quiesce::Quiesce;
use crate::session::{Flow, Receiver};
use crate::stop::{Ended, Watch};
use crate::windows::Windows;
use crate::{PartialWindow, clock};
use bpfquery_diag::Result;
use bpfquery_exec::{Chunk, Engine};
use libbpf_rs::Object;
use std::collections::BTreeMap;
use std::time::Duration;

/// How long after its end a window is read: the kernel's fast clock may run behind by some microseconds on another CPU.
const GRACE_NS: i64 = 1_000_000;
/// The shortest time between two readings of the map; shorter windows are read several at a time.
const SHORTEST_SWEEP_NS: i64 = 20_000_000;

/// Takes groups out of the map and hands them on.
pub(crate) struct Sweeper {
    groups: Groups,
    engine: Engine,
    quiesce: Quiesce,
    partial: Vec<PartialWindow>,
}

/// The entries of one window, one behind the other.
#[derive(Default)]
struct Closed {
    keys: Vec<u8>,
    values: Vec<u8>,
}

impl Sweeper {
    pub(crate) fn new(object: &Object, engine: Engine, quiesce: Quiesce) -> Result<Sweeper> {
        Ok(Sweeper { groups: Groups::new(object)?, engine, quiesce, partial: Vec::new() })
    }

    /// Groups that came from the kernel so far.
    pub(crate) fn received(&self) -> u64 {
        self.engine.received()
    }

    /// The windows that were seen in part.
    pub(crate) fn into_partial(self) -> Vec<PartialWindow> {
        self.partial
    }

    /// Hands on each window once it has closed.
    pub(crate) fn wait_and_sweep(
        &mut self,
        windows: Windows,
        watch: &mut Watch,
        receiver: &mut dyn Receiver,
    ) -> Result<Ended> {
        let mut end = windows.next_end(clock::monotonic_ns());
        loop {
            let left = end.saturating_add(GRACE_NS).saturating_sub(clock::monotonic_ns());
            if left > 0 {
                if let Some(ended) = watch.wait(Duration::from_nanos(left.cast_unsigned()))? {
                    return Ok(ended);
                }
                continue;
            }
            // Whoever saw a time before `end` began before now.
            self.quiesce.wait()?;
            if self.sweep(windows, end, i64::MAX, receiver)? == Flow::Stop {
                return Ok(Ended::Reader);
            }
            let now = clock::monotonic_ns();
            let soonest = end.saturating_add(SHORTEST_SWEEP_NS).max(now);
            end = windows.next_end(soonest - 1);
            // A signal, or the end of the child, must not wait for windows that close faster than they are read.
            if let Some(ended) = watch.wait(Duration::ZERO)? {
                return Ok(ended);
            }
        }
    }

    /// Hands on the windows that end at or before `end`, in order, and deletes them. Events were seen until `until`.
    pub(crate) fn sweep(
        &mut self,
        windows: Windows,
        end: i64,
        until: i64,
        receiver: &mut dyn Receiver,
    ) -> Result<Flow> {
        let mut closed: BTreeMap<i64, Closed> = BTreeMap::new();
        let (engine, mut sizes) = (&self.engine, (1, 1, 1));
        self.groups.read(&mut |chunk| {
            sizes = (chunk.key_size, chunk.stride, chunk.cpus);
            for (key, values) in chunk.entries() {
                let start = engine.window(key).map_or(0, |(start, _)| start.cast_signed());
                if windows.end(start) <= end {
                    let window = closed.entry(start).or_default();
                    window.keys.extend_from_slice(key);
                    window.values.extend_from_slice(values);
                }
            }
            Ok(())
        })?;
        let (key_size, stride, cpus) = sizes;
        for (start, Closed { keys, values }) in closed {
            if let Some(partial) = windows.partial(start, until) {
                receiver.partial_window(partial);
                self.partial.push(partial);
            }
            self.engine.push_chunk(&Chunk { rest: false, keys: &keys, key_size, values: &values, stride, cpus })?;
            self.engine.end_groups()?;
            if hand_on(&mut self.engine, receiver)? == Flow::Stop {
                return Ok(Flow::Stop);
            }
            self.groups.delete(&keys)?;
        }
        Ok(Flow::Continue)
    }

    /// Hands on all groups as one emission.
    pub(crate) fn all(&mut self, receiver: &mut dyn Receiver) -> Result<()> {
        let engine = &mut self.engine;
        let mut flow = Flow::Continue;
        self.groups.read(&mut |chunk| {
            if flow == Flow::Continue {
                engine.push_chunk(chunk)?;
                flow = hand_on(engine, receiver)?;
            }
            Ok(())
        })?;
        if flow == Flow::Continue {
            self.engine.end_groups()?;
            hand_on(&mut self.engine, receiver)?;
        }
        Ok(())
    }
}

/// Hands on what has become rows.
fn hand_on(engine: &mut Engine, receiver: &mut dyn Receiver) -> Result<Flow> {
    engine.take()?.map_or(Ok(Flow::Continue), |batch| receiver.rows(batch))
}
