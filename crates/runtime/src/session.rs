//! A query on the running kernel, from its object to its loss report.
//!
//! What must hold, in this order at the end: what the links missed is read, links go, programs under way end, what is left is
//! handed on, the counters are read, programs and maps go.

use crate::analysis::{self, Analysis};
use crate::attach::{attach, run_once};
use crate::load::{self, Loaded};
use crate::quiesce::Quiesce;
use crate::report::{Report, counters};
use crate::rows::Rows;
use crate::stop::{Ended, Stop, Watch};
use crate::sweep::Sweeper;
use crate::windows::Windows;
use crate::{PartialWindow, capability, clock, messages, misses};
use arrow_array::RecordBatch;
use bpfquery_catalog::{Hook, Identity, Kernel};
use bpfquery_diag::Result;
use bpfquery_exec::Engine;
use bpfquery_object::Manifest;
use bpfquery_plan::{Datum, Source};
use libbpf_rs::{Link, Object};
use std::os::fd::OwnedFd;
use std::time::Duration;

/// How an object is to be run.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// The values of the manifest's parameters, in its order.
    pub params: Vec<Datum>,
    /// Groups that a hash holds, if it is to be another number than the object's.
    pub max_groups: Option<u32>,
    /// Whether runs of programs are timed, and the use of maps is looked at in the end.
    pub analyze: bool,
    /// Whether everything that libbpf says goes to stderr.
    pub verbose: bool,
    /// Whether the object was compiled just now, by what this kernel says of itself: then nothing of that is asked again.
    pub compiled_here: bool,
    /// Whether this thread gives up its capabilities but CAP_BPF once everything is attached and the command has started, which
    /// keeps its own.
    pub drop_privileges: bool,
}

/// Whether more is wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Flow {
    /// Go on.
    Continue,
    /// Nobody reads any more.
    Stop,
}

/// Takes a query's results.
pub trait Receiver {
    /// Takes a batch: some rows of a stream, the groups of one window, or some groups of the whole run.
    fn rows(&mut self, batch: RecordBatch) -> Result<Flow>;
    /// Hears that events are seen and signals end the query; the command starts after this.
    fn live(&mut self) {}
    /// Hears that the window whose groups come next was seen in part only.
    fn partial_window(&mut self, window: PartialWindow) {
        let _ = window;
    }
}

impl<F: FnMut(RecordBatch) -> Result<Flow>> Receiver for F {
    fn rows(&mut self, batch: RecordBatch) -> Result<Flow> {
        self(batch)
    }
}

/// An object that is loaded and attached. Dropped, it leaves nothing in the kernel.
pub struct Session {
    // Fields are dropped in this order: what is attached goes first.
    links: Vec<Link>,
    object: Object,
    manifest: Manifest,
    engine: Engine,
    identity: Identity,
    quiesce: Quiesce,
    wall_offset: i64,
    live: i64,
    /// Open while programs are timed.
    timing: Option<OwnedFd>,
    drop_privileges: bool,
}

impl Session {
    /// Checks the object against its manifest and the kernel, loads and attaches it.
    ///
    /// # Errors
    /// [`bpfquery_diag::Failure::Io`] for what is no object of ours or is damaged; `Kernel` for what this kernel or these
    /// privileges cannot do; `Bug` for what the verifier refuses. Nothing of it is left in the kernel.
    pub fn open(object: &[u8], kernel: &dyn Kernel, options: &Options) -> Result<Session> {
        Session::open_as(object, load::manifest(object)?, kernel, options)
    }

    /// The same where the manifest was read already: what [`Session::manifest_of`] says of this very object.
    ///
    /// # Errors
    /// As [`Session::open`].
    pub fn open_as(object: &[u8], manifest: Manifest, kernel: &dyn Kernel, options: &Options) -> Result<Session> {
        messages::listen(options.verbose);
        load::check(&manifest, kernel, options.compiled_here)?;
        let Loaded { object, wall_offset } = load::load(object, &manifest, options, kernel)?;
        let timing = options.analyze.then(analysis::time_programs).transpose()?;
        let links = attach(&object, &manifest, kernel)?;
        let live = clock::monotonic_ns();
        let engine = Engine::new(manifest.user.clone(), options.params.clone(), wall_offset);
        let identity = kernel.identity().clone();
        let quiesce = Quiesce::of(&manifest, &identity);
        let drop_privileges = options.drop_privileges;
        Ok(Session { links, object, manifest, engine, identity, quiesce, wall_offset, live, timing, drop_privileges })
    }

    /// What the object says of itself: its parameters, among others, before there is a session.
    ///
    /// # Errors
    /// What is no object of ours, or is damaged.
    pub fn manifest_of(object: &[u8]) -> Result<Manifest> {
        load::manifest(object)
    }

    /// What the object says of itself.
    pub fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    /// Hands on results until something ends the query, and takes everything down.
    ///
    /// # Errors
    /// The receiver's, and the system's. Nothing is left in the kernel then, either.
    pub fn run(mut self, stop: Stop, receiver: &mut dyn Receiver) -> Result<Report> {
        let mut watch = Watch::new(stop)?;
        // A command that is no process yet has what this thread has when it starts.
        let keeps = watch.starts_a_process();
        if self.drop_privileges && !keeps {
            capability::drop_all_but_bpf();
        }
        receiver.live();
        watch.go()?;
        if self.drop_privileges && keeps {
            capability::drop_all_but_bpf();
        }
        let engine = std::mem::replace(&mut self.engine, Engine::new(self.manifest.user.clone(), Vec::new(), 0));
        match &self.manifest.user.source {
            Source::Listing { .. } => {
                Err(bpfquery_diag::Failure::bug("session", "what is known of the kernel needs no object"))
            }
            Source::Rows { .. } => self.run_rows(engine, &mut watch, receiver),
            Source::Groups { window, .. } => {
                let size_ns = window.map(|window| window.size_ns);
                self.run_groups(engine, size_ns, &mut watch, receiver)
            }
        }
    }

    fn run_rows(mut self, engine: Engine, watch: &mut Watch, receiver: &mut dyn Receiver) -> Result<Report> {
        let mut rows = Rows::new(&self.object, engine)?;
        let ended = match self.once()? {
            Some(ended) => ended,
            None => rows.stream(watch, receiver)?,
        };
        watch.finish(ended);
        let missed = self.detach()?;
        let analysis = self.analysis()?;
        if !matches!(ended, Ended::Limit | Ended::Reader) {
            rows.drain(receiver)?;
        }
        self.report(ended, rows.received(), missed, (Vec::new(), analysis))
    }

    fn run_groups(
        mut self,
        engine: Engine,
        size_ns: Option<u64>,
        watch: &mut Watch,
        receiver: &mut dyn Receiver,
    ) -> Result<Report> {
        let windows = size_ns.map(|size_ns| Windows { size_ns, wall_offset: self.wall_offset, live: self.live });
        let mut sweeper = Sweeper::new(&self.object, engine, self.quiesce)?;
        let ended = match (self.once()?, windows) {
            (Some(ended), _) => ended,
            (None, Some(windows)) => sweeper.wait_and_sweep(windows, watch, receiver)?,
            (None, None) => wait(watch)?,
        };
        watch.finish(ended);
        let until = clock::monotonic_ns();
        let missed = self.detach()?;
        let analysis = self.analysis()?;
        if ended != Ended::Reader {
            match windows {
                Some(windows) => sweeper.sweep(windows, i64::MAX, until, receiver).map(|_| ())?,
                None => sweeper.all(receiver)?,
            }
        }
        self.report(ended, sweeper.received(), missed, (sweeper.into_partial(), analysis))
    }

    /// Runs programs that have no events of their own, if that is what this query is.
    fn once(&self) -> Result<Option<Ended>> {
        let once = |program: &&bpfquery_object::manifest::Program| program.hook == Hook::Once;
        for program in self.manifest.programs.iter().filter(once) {
            run_once(&self.object, &program.name)?;
        }
        Ok(self.links.is_empty().then_some(Ended::Complete))
    }

    /// Drops the links and waits until no program is under way; what kprobes missed.
    fn detach(&mut self) -> Result<u64> {
        let missed = misses::of_links(&self.links);
        if !self.links.is_empty() {
            self.links.clear();
            self.quiesce.wait()?;
        }
        Ok(missed)
    }

    /// What the run has cost, before what is left in the maps is taken out.
    fn analysis(&self) -> Result<Option<Analysis>> {
        self.timing.is_some().then(|| analysis::of(&self.object, &self.manifest)).transpose()
    }

    fn report(
        &self,
        ended: Ended,
        received: u64,
        missed: u64,
        (partial_windows, analysis): (Vec<PartialWindow>, Option<Analysis>),
    ) -> Result<Report> {
        Ok(Report {
            ended,
            received,
            counters: counters(&self.object, &self.manifest)?,
            misses: misses::all(&self.object, &self.manifest, &self.identity, missed),
            partial_windows,
            analysis,
        })
    }
}

/// Waits for the end; there is nothing to show before.
fn wait(watch: &mut Watch) -> Result<Ended> {
    loop {
        if let Some(ended) = watch.wait(Duration::from_secs(60))? {
            return Ok(ended);
        }
    }
}
