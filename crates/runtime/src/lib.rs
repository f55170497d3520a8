//! Load, attach, poll and sweep through libbpf.
//!
//! ```text
//!  object bytes ─[Session::open]→ Session ─[Session::run]→ batches to a Receiver, then a Report
//! ```
//!
//! What must hold:
//! - What is loaded is the object that was given, checked against its own manifest; hostile bytes end in an error.
//! - Rows handed on + rows reported lost = rows that happened: links go first, then what is under way in the kernel ends,
//!   then what is left is read, then the counters.
//! - After any end nothing of ours is left in the kernel: links, programs and maps are held by file descriptors alone.
//! - `unsafe` is here and nowhere else in the project, each block under a SAFETY sentence.
//!
//! Not checked: what a hostile object's programs do beyond what the kernel's verifier allows them.

#![allow(unsafe_code, reason = "libbpf, fork, perf_event_open, membarrier and capset have no safe interface")]

mod session;

mod load;
mod validate;

mod attach;

mod ring;
mod rows;

mod groups;
mod sweep;
mod windows;

mod command;
mod signals;
mod stop;

mod misses;
mod report;

mod analysis;
mod memory;

mod refusal;
mod verifier;

mod doctor;

mod capability;
mod clock;
mod cpu;
mod mapped;
mod messages;
mod process;
mod quiesce;

pub use analysis::{Analysis, MapCost, ProgramCost};
pub use capability::{Capability, missing_capabilities};
pub use command::Command;
pub use doctor::{Finding, State, probe_features, trampolines_work};
pub use mapped::map;
pub use memory::{MapMemory, predict};
pub use process::{check_pid_namespace, process_exists};
pub use report::{Misses, Report, is_of_values, join_facts};
pub use session::{Flow, Options, Receiver, Session};
pub use stop::{Ended, Stop};
pub use windows::PartialWindow;
