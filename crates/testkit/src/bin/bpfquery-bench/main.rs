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
mod keys;
mod start;
mod stream;

mod compile;
mod instructions;

mod figures;
mod golden;
mod page;
mod programs;

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
    /// How many instructions the programs have, and what for.
    Instructions {
        #[command(flatten)]
        setting: Setting,
    },
    /// How many rows a second are read without loss.
    Stream {
        #[command(flatten)]
        setting: Setting,
    },
    /// How long a million groups take to be read.
    Keys {
        #[command(flatten)]
        setting: Setting,
    },
    /// How long compiling takes.
    Compile {
        /// The directory of cases.
        #[arg(long, default_value = "testdata/cases")]
        cases: PathBuf,
    },
    /// All of it: the page of benchmarks.
    Page {
        #[command(flatten)]
        setting: Setting,
        /// What is said first: the machine, in a line.
        #[arg(long)]
        machine: String,
        /// Sections that others have measured, in Markdown.
        #[arg(long)]
        part: Vec<PathBuf>,
        /// The directory of cases.
        #[arg(long, default_value = "testdata/cases")]
        cases: PathBuf,
        /// The directory of figures of programs.
        #[arg(long, default_value = "testdata/figures")]
        figures: PathBuf,
    },
    /// Says that it is there, and waits for the end of whoever started it.
    #[command(hide = true)]
    Hold,
}

fn main() -> ExitCode {
    let result = match Cli::parse().command {
        Command::Events { setting, names } => setting.lab().and_then(|lab| Ok(events(&lab, &names)?.join("\n"))),
        Command::Start { setting } => setting.lab().and_then(|lab| starts(&lab)),
        Command::Instructions { setting } => setting.lab().and_then(|lab| programs_of(&lab)),
        Command::Stream { setting } => setting.lab().and_then(|lab| Ok(page::streams(&stream::measure(&lab)?))),
        Command::Keys { setting } => setting.lab().and_then(|lab| Ok(page::keys(&keys::measure(&lab)?))),
        Command::Compile { cases } => compile::measure(&cases).map(|times| page::compile_times(&times)),
        Command::Page { setting, machine, part, cases, figures } => {
            setting.lab().and_then(|lab| whole(&lab, &machine, &part, &cases, &figures))
        }
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

/// What events cost, the programs, and why targets are missed.
fn events(lab: &Lab, names: &[String]) -> Result<[String; 3], String> {
    let wanted = |name: &str| names.is_empty() || names.iter().any(|start| name.starts_with(start.as_str()));
    let (mut measured, mut programs) = (Vec::new(), Vec::new());
    for workload in workload::read_all(&lab.made.from)?.into_iter().filter(|workload| wanted(&workload.name)) {
        eprintln!("{}", workload.name);
        let named = |error| format!("{}: {error}", workload.name);
        programs.push((workload.clone(), instructions::programs(lab, &workload).map_err(named)?));
        let costs = events::measure(lab, &workload).map_err(named)?;
        measured.push((workload, costs));
    }
    let why = |name: &str| beside(lab, name, "why");
    Ok([page::events(&measured, lab.rounds), instructions(lab, &programs), page::reasons(&measured, &programs, why)])
}

/// The programs alone, for which nothing is measured.
fn programs_of(lab: &Lab) -> Result<String, String> {
    let mut programs = Vec::new();
    for workload in workload::read_all(&lab.made.from)? {
        let made = instructions::programs(lab, &workload).map_err(|error| format!("{}: {error}", workload.name))?;
        programs.push((workload, made));
    }
    Ok(instructions(lab, &programs))
}

fn instructions(lab: &Lab, programs: &[(workload::Workload, instructions::Programs)]) -> String {
    programs::section(programs, |name| beside(lab, name, "slots"))
}

/// What is written down beside the SQL.
fn beside(lab: &Lab, name: &str, what: &str) -> Option<String> {
    std::fs::read_to_string(lab.made.from.join(format!("{name}.{what}.md"))).ok()
}

/// The page: sections with an empty line between.
fn whole(lab: &Lab, machine: &str, parts: &[PathBuf], cases: &Path, figures: &Path) -> Result<String, String> {
    let head = format!("# Benchmarks\n\nWritten by `make bench`: run it to have your machine's.\n{machine}\n");
    let [events, instructions, reasons] = events(lab, &[])?;
    let mut sections = vec![head, events, starts(lab)?, page::streams(&stream::measure(lab)?)];
    sections.push(page::keys(&keys::measure(lab)?));
    sections.push(page::compile_times(&compile::measure(cases)?));
    sections.push(instructions);
    for part in parts {
        sections.push(std::fs::read_to_string(part).map_err(|error| format!("{}: {error}", part.display()))?);
    }
    sections.push(golden::section(figures)?);
    sections.push(reasons);
    let sections: Vec<&str> = sections.iter().map(|section| section.trim_end()).filter(|s| !s.is_empty()).collect();
    Ok(sections.join("\n\n") + "\n")
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
