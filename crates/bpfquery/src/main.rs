//! The command line of `bpfquery`.
//!
//! What must hold: rows and what was asked for go to stdout, everything else to stderr; each shape of failure has its exit
//! code; a panic is told as the bug that it is. What the commands do is elsewhere: [`cli`] reads arguments and hands on.

mod cli;

use std::process::ExitCode;

fn main() -> ExitCode {
    cli::run()
}
