//! Kernel fragments of a plan become BPF instructions.
//!
//! ```text
//!  plan::Fragment ─[lower]→ ir::Func ─[passes]→ ir::Func ─[regalloc, emit]→ isa::Program + maps
//! ```
//!
//! `lower` is the only module that sees a plan. Below it, nothing knows a column, a row or SQL; above it, nothing
//! knows a register.

pub mod ir;

pub mod interp;

pub mod lower;

pub mod passes;

pub mod emit;

pub mod regalloc;

mod hash;

pub use emit::{Target, compile};
