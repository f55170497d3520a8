//! The cases on the running kernel: every query is compiled for it and loaded; those with a workload are run and their
//! rows compared.
//!
//! What must hold: a skip is by a probed feature or by a probe that this kernel has not, and stands in the checked-in list; a
//! query leaves nothing in the kernel; a run loses nothing, unless its case says so. Only processes started here are traced.

mod access;
mod differential;
mod features;
mod figures;
mod leaks;
mod libbpf;
mod load;
mod process;
mod run;
mod skips;
mod workload;

use crate::case::{Case, read_all};
use bpfquery_host::Live;
use features::Features;
use skips::Skips;
use std::path::{Path, PathBuf};

/// What a run is told.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The directory of cases.
    pub cases: PathBuf,
    /// The `bpfquery` that runs them.
    pub bin: PathBuf,
    /// The directory of load programs.
    pub workloads: PathBuf,
    /// The list of expected skips; none is expected without.
    pub skips: Option<PathBuf>,
    /// Cases whose names start with one of these; all without.
    pub names: Vec<String>,
    /// Whether queries are only loaded.
    pub load_only: bool,
    /// The list of figures that programs must have; none is held against it without.
    pub figures: Option<PathBuf>,
}

/// How a test ended.
pub(crate) enum Verdict {
    Passed,
    Failed(String),
    /// Why it cannot run here.
    Skipped(Skip),
}

/// Why a test cannot run here, as the list of skips says it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Skip {
    /// A feature that this kernel has not, and what it said.
    Feature(String, String),
    /// A probe that this kernel has not, and what was said.
    Absent(String),
}

/// What came of it all.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Totals {
    /// Tests that passed.
    pub passed: u32,
    /// Tests that failed.
    pub failed: u32,
    /// Tests that could not run, as was expected.
    pub skipped: u32,
}

/// Runs the cases, telling `say` line by line.
///
/// # Errors
/// Cases or a list of skips that cannot be read.
pub fn run(settings: &Settings, say: &mut dyn FnMut(&str)) -> Result<Totals, String> {
    let kernel = Live::new();
    let features = Features::probe();
    libbpf::listen();
    let mut skips = Skips::read(settings.skips.as_deref())?;
    let mut totals = Totals::default();
    if !settings.load_only {
        use_up_pids();
    }
    features.lines().iter().for_each(|line| say(line));
    for case in read_all(&settings.cases)?.iter().filter(|case| is_chosen(settings, case)) {
        let load = load::load(case, &kernel, &features);
        let runs = matches!(load, Verdict::Passed) && !settings.load_only && run::is_runnable(case);
        tell(&format!("load {}", case.name), &case.name, load, &mut skips, &mut totals, say);
        if runs {
            let verdict = run::run(case, &kernel, &features, settings);
            tell(&format!("run {}", case.name), &case.name, verdict, &mut skips, &mut totals, say);
        }
    }
    if let Some(path) = &settings.figures {
        let verdict = hold_figures(path, &settings.cases, &kernel, &features);
        tell("figures of programs", "figures", verdict, &mut skips, &mut totals, say);
    }
    if settings.names.is_empty() {
        let verdict = differential::run(&kernel, differential::SEEDS);
        tell("random queries", "random queries", verdict, &mut skips, &mut totals, say);
        let verdict = access::run(&kernel, access::SEEDS);
        tell("random access paths", "random access paths", verdict, &mut skips, &mut totals, say);
        for unmet in skips.unmet(&features) {
            totals.failed += 1;
            say(&format!("FAILED the list of skips: {unmet}"));
        }
    }
    Ok(totals)
}

/// Some queries ask for processes above 2000, which a machine that has just started has none of: a thread takes a number, too.
fn use_up_pids() {
    let last = || nix::unistd::gettid().as_raw();
    while std::thread::spawn(last).join().is_ok_and(|tid| tid < 3000) {}
}

/// Holds the programs' figures against the list.
fn hold_figures(path: &Path, cases: &Path, kernel: &Live, features: &Features) -> Verdict {
    let read = || -> Result<Vec<String>, String> {
        let text = std::fs::read_to_string(path).map_err(|error| format!("{}: {error}", path.display()))?;
        let expected = figures::List::parse(&text).map_err(|error| format!("{}: {error}", path.display()))?;
        Ok(figures::List::count(cases, kernel, features)?.differences(&expected))
    };
    match read() {
        Ok(wrong) if wrong.is_empty() => Verdict::Passed,
        Ok(wrong) => Verdict::Failed(format!(
            "{}\nif the new figures are right: make bless-figures writes {}",
            wrong.join("\n"),
            path.display()
        )),
        Err(why) => Verdict::Failed(why),
    }
}

/// The figures of the programs on the running kernel, as the list that is checked in.
///
/// # Errors
/// A query that the kernel refuses.
pub fn count_figures(cases: &Path) -> Result<String, String> {
    // Probing listens to libbpf, too: whoever begins last hears it.
    let features = Features::probe();
    libbpf::listen();
    Ok(figures::List::count(cases, &Live::new(), &features)?.to_string())
}

/// Runs random queries of these seeds on the running kernel; why they disagree, if they do.
///
/// # Errors
/// The first query that gives other rows than the interpreter.
pub fn random(seeds: std::ops::Range<u64>) -> Result<(), String> {
    libbpf::listen();
    match differential::run(&Live::new(), seeds) {
        Verdict::Passed => Ok(()),
        Verdict::Failed(why) => Err(why),
        Verdict::Skipped(skip) => Err(skip.to_string()),
    }
}

/// Loads random access paths of these seeds on the running kernel.
///
/// # Errors
/// The paths that are refused.
pub fn access_paths(seeds: std::ops::Range<u64>) -> Result<(), String> {
    libbpf::listen();
    match access::run(&Live::new(), seeds) {
        Verdict::Passed => Ok(()),
        Verdict::Failed(why) => Err(why),
        Verdict::Skipped(skip) => Err(skip.to_string()),
    }
}

fn is_chosen(settings: &Settings, case: &Case) -> bool {
    let named = |name: &String| case.name.starts_with(name.as_str());
    case.section("error").is_none() && (settings.names.is_empty() || settings.names.iter().any(named))
}

fn tell(test: &str, case: &str, verdict: Verdict, skips: &mut Skips, totals: &mut Totals, say: &mut dyn FnMut(&str)) {
    match verdict {
        Verdict::Passed => {
            totals.passed += 1;
            say(&format!("ok      {test}"));
        }
        Verdict::Failed(why) => {
            totals.failed += 1;
            say(&format!("FAILED  {test}\n{}", why.trim_end()));
        }
        Verdict::Skipped(skip) if skips.expects(case, &skip) => {
            totals.skipped += 1;
            say(&format!("skipped {test}: {skip}"));
        }
        Verdict::Skipped(skip) => {
            totals.failed += 1;
            say(&format!("FAILED  {test}: a skip that the list does not have: {skip}"));
        }
    }
}

impl std::fmt::Display for Skip {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Skip::Feature(name, said) if said.is_empty() => write!(f, "no {name}"),
            Skip::Feature(name, said) => write!(f, "no {name}: {said}"),
            Skip::Absent(said) => f.write_str(said),
        }
    }
}
