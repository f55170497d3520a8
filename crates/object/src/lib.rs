//! Programs, maps, BTF and line information to ELF bytes.
//!
//! What holds: `run` loads the very bytes that `compile` writes, so everything that a run needs is in them.

mod ambiguous;
mod build;
pub mod elf;
pub mod manifest;

pub use build::{Part, Parts, build, section_name};
pub use manifest::Manifest;
