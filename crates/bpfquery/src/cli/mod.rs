//! From arguments to commands, and from what becomes of them to an exit code.

mod args;
mod input;
mod output;
mod params;
mod timings;

mod analyze;
mod compile;
mod describe;
mod doctor;
mod explain;
mod list;
mod listing;
mod query;
mod snapshot;

use args::{Cli, Command};
use bpfquery_diag::Failure;
use clap::{CommandFactory, Parser};
use std::io;
use std::process::ExitCode;

/// Why a command ends before its end.
pub(crate) enum Stop {
    /// It failed; the query that spans point into, where there is one.
    Failed(Failure, String),
    /// `--strict`, and something was lost.
    Lost,
    /// Nobody reads stdout any more.
    Closed,
}

/// The exit code of `--strict` when something was lost.
const LOST: u8 = 4;

/// What every command returns.
pub(crate) type Result<T = ()> = std::result::Result<T, Stop>;

impl From<Failure> for Stop {
    /// A failure that points into no query.
    fn from(failure: Failure) -> Stop {
        Stop::Failed(failure, String::new())
    }
}

impl Stop {
    /// The same where spans point into this query.
    pub(crate) fn within(self, sql: &str) -> Stop {
        match self {
            Stop::Failed(failure, _) => Stop::Failed(failure, sql.to_string()),
            other => other,
        }
    }

    /// An error of writing to stdout.
    pub(crate) fn stdout(error: &io::Error) -> Stop {
        match error.kind() {
            io::ErrorKind::BrokenPipe => Stop::Closed,
            _ => Failure::io("write to stdout", error).into(),
        }
    }
}

/// Runs the command line of this process.
pub(crate) fn run() -> ExitCode {
    output::tell_panics();
    match command(Cli::parse().command) {
        Ok(()) | Err(Stop::Closed) => ExitCode::SUCCESS,
        Err(Stop::Lost) => ExitCode::from(LOST),
        Err(Stop::Failed(failure, sql)) => {
            output::failure(&failure, &sql);
            ExitCode::from(failure.exit_code())
        }
    }
}

fn command(command: Command) -> Result {
    match command {
        Command::Run(args) => query::run(&args.0),
        Command::Compile(args) => compile::run(&args.0),
        Command::Explain(args) => explain::run(&args.0),
        Command::Snapshot(args) => snapshot::run(&args.0),
        Command::List(args) => list::run(&args.0),
        Command::Describe(args) => describe::run(&args.0),
        Command::Doctor => doctor::run(),
        Command::Completions { shell } => completions(shell),
    }
}

fn completions(shell: clap_complete::Shell) -> Result {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Cli::command(), "bpfquery", &mut script);
    output::stdout(&script)
}
