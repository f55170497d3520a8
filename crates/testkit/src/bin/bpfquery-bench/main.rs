//! `make bench`: queries beside the same programs in C and in bpftrace; writes the page of benchmarks.
//!
//! What must hold: one tracer is attached at a time, forms take turns, medians of at least five rounds are told with the least
//! and the greatest; what cannot be measured is a line that says why. Only loads that are started here are timed. Programs
//! without a filter see other processes' calls, too, and only read them.
//!
//! Not checked: that the machine is quiet. Ratios stand it better than times do.
#![allow(clippy::print_stdout, reason = "this program's output is its report")]

mod workload;

mod made;

mod kernel;
mod tracer;

mod events;
mod figures;

mod page;

use clap::{Parser, Subcommand};
use events::Lab;
use made::Made;
use std::path::PathBuf;
use std::process::ExitCode;

/// Measures bpfquery beside C and bpftrace.
#[derive(Parser)]
#[command(name = "bpfquery-bench")]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// What events cost; prints the table.
    Events {
        /// The `bpfquery` to measure.
        #[arg(long)]
        bin: PathBuf,
        /// The directory of load programs.
        #[arg(long)]
        workloads: PathBuf,
        /// The directory of queries and C programs.
        #[arg(long, default_value = "testdata/bench")]
        bench: PathBuf,
        /// Where the C programs are compiled to.
        #[arg(long)]
        scratch: PathBuf,
        /// A bpftool that prints types.
        #[arg(long, default_value = "bpftool")]
        bpftool: PathBuf,
        /// How often each form is measured.
        #[arg(long, default_value_t = 7)]
        rounds: usize,
        /// Workloads, by the start of their names; all without.
        names: Vec<String>,
    },
    /// Says that it is there, and waits for the end of whoever started it.
    #[command(hide = true)]
    Hold,
}

fn main() -> ExitCode {
    let result = match Cli::parse().command {
        Command::Events { bin, workloads, bench, scratch, bpftool, rounds, names } => {
            Made::new(&bench, &scratch, &bpftool)
                .and_then(|made| events_table(&Lab { bin, workloads, made, rounds }, &names))
        }
        Command::Hold => {
            hold();
            Ok(())
        }
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Prints a line for each workload as soon as it is measured.
fn events_table(lab: &Lab, names: &[String]) -> Result<(), String> {
    print!("{}", page::EVENTS_HEAD);
    let wanted = |name: &str| names.is_empty() || names.iter().any(|start| name.starts_with(start.as_str()));
    for workload in workload::read_all(&lab.made.from)?.iter().filter(|workload| wanted(&workload.name)) {
        let costs = events::measure(lab, workload).map_err(|error| format!("{}: {error}", workload.name))?;
        print!("{}", page::events(workload, &costs));
    }
    Ok(())
}

/// As the child of bpftrace, which starts it after attaching.
fn hold() {
    eprintln!("attached");
    let parent = nix::unistd::getppid();
    while nix::unistd::getppid() == parent {
        std::thread::sleep(std::time::Duration::from_millis(100));
    }
}
