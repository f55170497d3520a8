//! SQL queries on the running Linux kernel, compiled straight to BPF.
//!
//! The pipeline on one screen is [`pipeline`]; [`explain`] stops it at any stage. The command line is in the binary.

pub mod explain;
mod facts;
pub mod pipeline;

pub use explain::{Stage, explain};
pub use pipeline::{Compiled, Options, Program, Target, compile};
