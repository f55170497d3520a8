//! The command line of the case runner.
#![allow(clippy::print_stdout, reason = "this program's output is its report")]

use bpfquery_testkit::case::read_all;
use bpfquery_testkit::check::{Snapshots, bless};
use bpfquery_testkit::kernel::{self, Settings};
use clap::{Parser, Subcommand};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// Runs the project's cases.
#[derive(Parser)]
#[command(name = "bpfquery-testkit")]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Rewrites the sections that differ, except `rows kernel`.
    Bless {
        /// The directory of cases.
        #[arg(long, default_value = "testdata/cases")]
        cases: PathBuf,
        /// `+SECTION` adds a section; anything else is a case's name or the start of one. All cases without.
        names: Vec<String>,
    },
    /// Compiles every query for the running kernel, loads it, and runs those whose case says what the kernel gives.
    Kernel {
        /// The directory of cases.
        #[arg(long, default_value = "testdata/cases")]
        cases: PathBuf,
        /// The `bpfquery` that runs queries.
        #[arg(long)]
        bin: PathBuf,
        /// The directory of load programs.
        #[arg(long)]
        workloads: PathBuf,
        /// The list of skips that are expected; none are without.
        #[arg(long)]
        skips: Option<PathBuf>,
        /// The list of figures that programs must have; none is asked for without.
        #[arg(long)]
        figures: Option<PathBuf>,
        /// What the report calls this kernel.
        #[arg(long, default_value = "this kernel")]
        name: String,
        /// Cases, by the start of their names; all without.
        names: Vec<String>,
    },
    /// Prints the figures of programs on the running kernel: the list that `kernel` holds them against.
    Figures {
        /// The directory of cases; that of benchmarks stands beside it.
        #[arg(long, default_value = "testdata/cases")]
        cases: PathBuf,
    },
    /// Runs random queries on the running kernel and in the interpreter: a longer search than the one of `kernel`.
    Random {
        /// The first seed.
        first: u64,
        /// How many, for each of the relations that queries are made over.
        count: u64,
    },
    /// Loads queries of random access paths, two dozen each, on the running kernel: a longer search than the one of `kernel`.
    Paths {
        /// The first seed.
        first: u64,
        /// How many queries.
        count: u64,
    },
    /// Compiles every query for the running kernel and loads it.
    Verify {
        /// The directory of cases.
        #[arg(long, default_value = "testdata/cases")]
        cases: PathBuf,
        /// The list of skips that are expected; none are without.
        #[arg(long)]
        skips: Option<PathBuf>,
        /// Cases, by the start of their names; all without.
        names: Vec<String>,
    },
}

fn main() -> ExitCode {
    let result = match Cli::parse().command {
        Command::Bless { cases, names } => bless_all(&cases, &names),
        Command::Kernel { cases, bin, workloads, skips, figures, name, names } => {
            println!("cases on {name}");
            on_kernel(&Settings { cases, bin, workloads, skips, names, load_only: false, figures })
        }
        Command::Figures { cases } => kernel::count_figures(&cases).map(|text| {
            print!("{text}");
            ExitCode::SUCCESS
        }),
        Command::Random { first, count } => kernel::random(first..first + count).map(|()| ExitCode::SUCCESS),
        Command::Paths { first, count } => kernel::access_paths(first..first + count).map(|()| ExitCode::SUCCESS),
        Command::Verify { cases, skips, names } => {
            let none = PathBuf::new();
            on_kernel(&Settings {
                cases,
                bin: none.clone(),
                workloads: none,
                skips,
                names,
                load_only: true,
                figures: None,
            })
        }
    };
    match result {
        Ok(code) => code,
        Err(error) => {
            println!("{error}");
            ExitCode::FAILURE
        }
    }
}

/// Ends with the line that scripts read.
fn on_kernel(settings: &Settings) -> Result<ExitCode, String> {
    let totals = kernel::run(settings, &mut |line| println!("{line}"))?;
    println!("{} passed, {} failed, {} skipped", totals.passed, totals.failed, totals.skipped);
    Ok(if totals.failed == 0 && totals.passed > 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn bless_all(root: &Path, names: &[String]) -> Result<ExitCode, String> {
    let (add, names): (Vec<&String>, Vec<&String>) = names.iter().partition(|name| name.starts_with('+'));
    let add: Vec<String> = add.iter().map(|name| name[1..].to_string()).collect();
    let mut snapshots = Snapshots::new(&root.join("../snapshots"));
    let mut failed = 0;
    for mut case in read_all(root)? {
        if !names.is_empty() && !names.iter().any(|name| case.name.starts_with(name.as_str())) {
            continue;
        }
        match bless(&mut case, &add, &mut snapshots) {
            Ok(true) => {
                std::fs::write(&case.path, case.text()).map_err(|error| format!("{}: {error}", case.path.display()))?;
                println!("blessed {}", case.name);
            }
            Ok(false) => {}
            Err(error) => {
                failed += 1;
                println!("{}: {error}", case.name);
            }
        }
    }
    Ok(if failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
