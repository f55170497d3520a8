//! The case runner: what the project's `.case` files say, against what the pipeline, the interpreter and kernels do.
//!
//! ```text
//!  file ─[case]→ Case ─[check]→ sections compared, on the interpreter
//!                     └[kernel]→ loaded and run on the running kernel
//! ```

pub mod access;
pub mod case;
pub mod check;
pub mod compare;
pub mod differential;
pub mod generate;
pub mod input;
pub mod interp;
pub mod kernel;

mod hit;
mod memory;
mod rows;
