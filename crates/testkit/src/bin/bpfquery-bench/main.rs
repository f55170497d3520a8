//! `make bench`: queries beside the same programs in C and in bpftrace; writes the page of benchmarks.
//!
//! What must hold: one tracer is attached at a time, forms take turns, medians of at least five rounds are told with what lies
//! around them; what cannot be measured is a line that says why. Only loads that are started here are timed. Programs without
//! a filter see other processes' calls, too, and only read them.
//!
//! Not checked: that the machine is quiet. Ratios stand it better than times do.
#![allow(clippy::print_stdout, reason = "this program's output is its report")]
#![allow(clippy::print_stderr, reason = "and what it does meanwhile goes beside it")]

mod workload;

mod made;

mod kernel;
mod tracer;

mod load;

mod events;
mod start;
mod stream;

mod figures;
mod page;

use clap::{Args, Parser, Subcommand};
use events::Lab;
use made::Made;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// Measures bpfquery beside C and bpftrace.
#[derive(Parser)]
#[command(name = "bpfquery-bench")]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Args)]
struct Setting {
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
}

#[derive(Subcommand)]
enum Command {
    /// What events cost.
    Events {
        #[command(flatten)]
        setting: Setting,
        /// Workloads, by the start of their names; all without.
        names: Vec<String>,
    },
    /// How long it takes until events are counted, and to end.
    Start {
        #[command(flatten)]
        setting: Setting,
    },
    /// How many rows a second are read without loss.
    Stream {
        #[command(flatten)]
        setting: Setting,
    },
    /// Says that it is there, and waits for the end of whoever started it.
    #[command(hide = true)]
    Hold,
}

fn main() -> ExitCode {
    let result = match Cli::parse().command {
        Command::Events { setting, names } => setting.lab().and_then(|lab| events(&lab, &names)),
        Command::Start { setting } => setting.lab().and_then(|lab| starts(&lab)),
        Command::Stream { setting } => setting.lab().and_then(|lab| Ok(page::streams(&stream::measure(&lab)?))),
        Command::Hold => {
            hold();
            Ok(String::new())
        }
    };
    match result {
        Ok(text) => {
            print!("{text}");
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

impl Setting {
    fn lab(self) -> Result<Lab, String> {
        let made = Made::new(&self.bench, &self.scratch, &self.bpftool)?;
        Ok(Lab { bin: self.bin, workloads: self.workloads, made, rounds: self.rounds })
    }
}

fn events(lab: &Lab, names: &[String]) -> Result<String, String> {
    let wanted = |name: &str| names.is_empty() || names.iter().any(|start| name.starts_with(start.as_str()));
    let mut measured = Vec::new();
    for workload in workload::read_all(&lab.made.from)?.into_iter().filter(|workload| wanted(&workload.name)) {
        eprintln!("{}", workload.name);
        let costs = events::measure(lab, &workload).map_err(|error| format!("{}: {error}", workload.name))?;
        measured.push((workload, costs));
    }
    Ok(page::events(&measured, lab.rounds))
}

fn starts(lab: &Lab) -> Result<String, String> {
    let starts = start::measure(lab)?;
    let size = |path: &Path| std::fs::metadata(path).map(|file| file.len()).map_err(|error| error.to_string());
    Ok(page::starts(&starts, lab.rounds, size(&lab.bin)?))
}

/// As the child of bpftrace, which starts it after attaching.
fn hold() {
    eprintln!("attached");
    let parent = nix::unistd::getppid();
    while nix::unistd::getppid() == parent {
        std::thread::sleep(std::time::Duration::from_millis(100));
    }
}
