//! Live checks: the command line and its objects on the running kernel, held against loads that know what they did and
//! against programs that are not ours (bpftool, bpftrace, strace, llvm-objdump).
//!
//! What must hold:
//! - Every query looks at processes of these checks alone, but those of `written`, which run as written, on test machines.
//! - One line is printed for each check, with the figures seen, and a last one with the sums.
//! - Nothing stays: not in the kernel, not in the file system, no process.
//!
//! Not checked: what the `.case` files check, which is rows.
#![allow(clippy::print_stdout, reason = "this program's output is its report")]

mod lab;

mod left;
mod load;
mod query;

mod ends;
mod exact;
mod files;
mod keys;
mod listing;
mod object;
mod stream;
mod written;

use clap::Parser;
use lab::{Lab, Outcome};
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::atomic::Ordering;
use std::time::Instant;

/// Runs the live checks.
#[derive(Parser)]
#[command(name = "bpfquery-live")]
pub(crate) struct Cli {
    /// The bpfquery to check.
    #[arg(long)]
    bin: PathBuf,
    /// The directory of the load programs.
    #[arg(long)]
    workloads: PathBuf,
    /// The directory of the pinned kernels, which objects are compiled for.
    #[arg(long, default_value = "testdata/snapshots")]
    snapshots: PathBuf,
    /// A directory of objects that other machines compiled: rows `filename` of what the process `:pid` opens.
    #[arg(long)]
    objects: Option<PathBuf>,
    /// bpftool 7.5 or newer.
    #[arg(long, default_value = "bpftool")]
    bpftool: PathBuf,
    /// Calls that each process of a load makes.
    #[arg(long, default_value_t = 200_000)]
    calls: u64,
    /// The starts of names of checks; all without.
    names: Vec<String>,
}

/// How often a check is made that fails while the kernel misses events.
const ATTEMPTS: usize = 3;

fn until_nothing_is_missed(name: &str, check: impl Fn() -> lab::Verdict) -> lab::Verdict {
    for _ in 1..ATTEMPTS {
        query::MISSED.store(false, Ordering::Relaxed);
        match check() {
            Err(error) if query::MISSED.load(Ordering::Relaxed) => {
                println!("again   {name}: the kernel missed events: {error}");
            }
            verdict => return verdict,
        }
    }
    check()
}

fn main() -> ExitCode {
    let cli = Cli::parse();
    let lab = match Lab::new(&cli) {
        Ok(lab) => lab,
        Err(error) => {
            println!("{error}");
            return ExitCode::FAILURE;
        }
    };
    let all = [
        object::CHECKS,
        exact::CHECKS,
        keys::CHECKS,
        stream::CHECKS,
        ends::CHECKS,
        files::CHECKS,
        written::CHECKS,
        listing::CHECKS,
    ]
    .concat();
    let wanted = |name: &str| cli.names.is_empty() || cli.names.iter().any(|start| name.starts_with(start.as_str()));
    let (mut passed, mut failed, mut skipped) = (0, 0, 0);
    for (name, check) in all.into_iter().filter(|(name, _)| wanted(name)) {
        let began = Instant::now();
        let verdict = until_nothing_is_missed(name, || check(&lab));
        let seconds = began.elapsed().as_secs_f64();
        match verdict {
            Ok(Outcome::Passed(figures)) => {
                passed += 1;
                println!("ok      {name} ({seconds:.1} s): {figures}");
            }
            Ok(Outcome::Skipped(why)) => {
                skipped += 1;
                println!("skipped {name}: {why}");
            }
            Err(error) => {
                failed += 1;
                println!("FAILED  {name} ({seconds:.1} s): {error}");
            }
        }
    }
    println!("{passed} passed, {failed} failed, {skipped} skipped");
    if failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
