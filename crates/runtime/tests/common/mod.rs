//! Queries on the running kernel, compiled as the façade does, and a workload of the test's own to trace.
//!
//! Needs root, and fails without.

#![allow(dead_code, unsafe_code, reason = "each test uses a part of it; the workload is made of system calls")]

use bpfquery_catalog::Kernel;
use bpfquery_codegen::lower::{Facts, Unit, lower};
use bpfquery_codegen::{emit, passes};
use bpfquery_diag::{Result, render};
use bpfquery_host::Live;
use bpfquery_plan::{Expr, ExprKind, Output, optimise, split_with};
use bpfquery_runtime::{Flow, Options, PartialWindow, Receiver, Report, Session, Stop};
use libbpf_rs::query::ProgInfoIter;
use std::collections::BTreeSet;
use std::sync::mpsc::{Receiver as Channel, Sender, channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

pub(crate) mod made;
pub(crate) mod printed;

/// The object of a query, for this kernel.
pub(crate) fn compile(sql: &str) -> Vec<u8> {
    compile_as("bpfquery", sql)
}

/// The same with a name for its program, by which it is found among the kernel's programs.
pub(crate) fn compile_as(name: &str, sql: &str) -> Vec<u8> {
    object(name, sql, None).unwrap_or_else(|failure| panic!("{sql}: {}", render(&failure, sql)))
}

/// The same with room for so many groups.
pub(crate) fn compile_for(sql: &str, max_groups: u32) -> Vec<u8> {
    object("bpfquery", sql, Some(max_groups)).unwrap_or_else(|failure| panic!("{sql}: {}", render(&failure, sql)))
}

fn object(name: &str, sql: &str, max_groups: Option<u32>) -> Result<Vec<u8>> {
    let kernel = Live::new();
    let bound = bpfquery_sql::bind(&bpfquery_sql::parse(sql)?, &kernel, &bpfquery_sql::BindOptions { pid: None })?;
    let split = split_with(&optimise(bound)?.0, max_groups)?;
    let fragment = &split.kernel[0];
    let unit = Unit { name: name.to_string(), fragment, facts: Facts::default() };
    let lowered = lower(&[unit], &split.params)?.remove(0);
    let mut func = lowered.func.clone();
    passes::run(&mut func)?;
    let code = emit::generate(&func, emit::Target { isa_v4: false })?;
    let mut used = BTreeSet::new();
    let mut note = |expr: &Expr| {
        expr.walk(&mut |part| {
            if let ExprKind::Column(id) = &part.kind {
                used.insert(id.0 as usize);
            }
        });
    };
    fragment.filter.iter().for_each(&mut note);
    if let Output::Rows { values, .. } = &fragment.output {
        values.iter().for_each(&mut note);
    }
    bpfquery_object::build(&bpfquery_object::Parts {
        sql,
        split: &split,
        programs: vec![bpfquery_object::Part { lowered: &lowered, code: &code }],
        checks: bpfquery_catalog::checks(&fragment.relation, &used),
        target: "portable".into(),
        kernel: &kernel,
    })
}

/// Loads and attaches.
pub(crate) fn open(object: &[u8]) -> Session {
    open_with(object, &Options::default())
}

pub(crate) fn open_with(object: &[u8], options: &Options) -> Session {
    let opened = Session::open(object, &Live::new(), options);
    opened.unwrap_or_else(|failure| panic!("is this root? {}", render(&failure, "")))
}

/// What a run gave: rows as text, batch by batch.
#[derive(Default)]
pub(crate) struct Seen {
    pub(crate) batches: Vec<Vec<String>>,
    pub(crate) partial: Vec<PartialWindow>,
    /// Stop after so many batches.
    pub(crate) enough: Option<usize>,
    /// Once live and signals are taken over, say this, and what this thread may do by then.
    pub(crate) told: Option<String>,
    /// Then write into a pipe that nobody reads.
    pub(crate) stuck: bool,
}

impl Seen {
    pub(crate) fn rows(&self) -> Vec<String> {
        self.batches.concat()
    }
}

impl Receiver for Seen {
    fn rows(&mut self, batch: arrow_array::RecordBatch) -> Result<Flow> {
        self.batches.push(printed::rows(&batch));
        let enough = self.enough.is_some_and(|enough| self.batches.len() >= enough);
        Ok(if enough { Flow::Stop } else { Flow::Continue })
    }

    fn live(&mut self) {
        if let Some(told) = &self.told {
            let status = std::fs::read_to_string("/proc/thread-self/status").unwrap_or_default();
            let allowed = status.lines().find_map(|line| line.strip_prefix("CapEff:")).unwrap_or_default();
            eprintln!("{told}; CapEff: {}", allowed.trim());
        }
        if self.stuck {
            let (_reader, writer) = std::io::pipe().unwrap();
            let mut writer = std::io::BufWriter::new(writer);
            std::io::copy(&mut std::io::repeat(0), &mut writer).unwrap();
        }
    }

    fn partial_window(&mut self, window: PartialWindow) {
        self.partial.push(window);
    }
}

pub(crate) fn run(session: Session, stop: Stop, seen: &mut Seen) -> Report {
    session.run(stop, seen).unwrap_or_else(|failure| panic!("{}", render(&failure, "")))
}

/// A program's name that no other process's has; a name has 15 bytes at the most (BPF_OBJ_NAME_LEN, include/uapi/linux/bpf.h).
pub(crate) fn own(what: &str) -> String {
    name(what, std::process::id())
}

/// The name that this process would use.
pub(crate) fn name(what: &str, pid: u32) -> String {
    format!("{what}_{pid:x}")
}

/// The programs of this name in the kernel.
pub(crate) fn loaded(name: &str) -> Vec<u32> {
    ProgInfoIter::default().filter(|info| info.name.to_string_lossy() == name).map(|info| info.id).collect()
}

/// The kernel frees a program some time after the last reference to it is gone.
pub(crate) fn gone(name: &str) {
    let deadline = Instant::now() + Duration::from_secs(10);
    while !loaded(name).is_empty() {
        assert!(Instant::now() < deadline, "{name} is still loaded");
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// That nothing was lost, as far as this kernel can tell.
pub(crate) fn assert_whole(report: &Report) {
    let counted = (Live::new().identity().version) >= (6, 7, 0);
    let unknown = matches!(report.misses, bpfquery_runtime::Misses::Unknown(_));
    assert!(report.is_lossless() || (!counted && unknown && report.lost() == 0), "{report}");
}

/// A thread that calls `dup` with bad descriptors, on its own and when told; queries are filtered to its id.
pub(crate) struct Worker {
    pub(crate) tid: i32,
    go: Sender<Vec<i32>>,
    done: Channel<()>,
    thread: Option<JoinHandle<()>>,
}

impl Worker {
    pub(crate) fn start() -> Worker {
        let (go, work) = channel::<Vec<i32>>();
        let (tell, done) = channel();
        let (tell_tid, tid) = channel();
        let thread = std::thread::spawn(move || {
            // SAFETY: takes nothing.
            tell_tid.send(unsafe { libc::gettid() }).unwrap();
            for numbers in work {
                for number in numbers {
                    // SAFETY: a descriptor that is not open is refused.
                    unsafe { libc::dup(number) };
                }
                tell.send(()).unwrap();
            }
        });
        Worker { tid: tid.recv().unwrap(), go, done, thread: Some(thread) }
    }

    /// Keeps to this CPU.
    pub(crate) fn on_cpu(self, cpu: usize) -> Worker {
        // SAFETY: a set of CPUs is plain bits.
        unsafe {
            let mut set: libc::cpu_set_t = std::mem::zeroed();
            libc::CPU_SET(cpu, &mut set);
            assert_eq!(libc::sched_setaffinity(self.tid, size_of_val(&set), &raw const set), 0, "CPU {cpu}");
        }
        self
    }

    /// `dup` of each number, which must be no open descriptor; returns when they are done.
    pub(crate) fn dup(&self, numbers: impl IntoIterator<Item = i32>) {
        self.begin(numbers);
        self.wait();
    }

    pub(crate) fn begin(&self, numbers: impl IntoIterator<Item = i32>) {
        self.go.send(numbers.into_iter().collect()).unwrap();
    }

    pub(crate) fn wait(&self) {
        self.done.recv().unwrap();
    }
}
