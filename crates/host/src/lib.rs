//! The running kernel as the compiler sees it, and snapshots of it.
//!
//! What must hold: nothing is read before it is asked for, and each thing at most once; a refusal says what is missing
//! and how to get it. Together with `bpfquery-runtime` this is the only crate that looks at `/sys` and `/proc`.
//! Not checked: whether the kernel changes while we look (a module that is unloaded in between reads as absent).

mod features;
mod live;
mod symbols;
mod tracefs;

pub use live::{Lent, Live};
