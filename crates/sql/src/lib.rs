//! SQL text to a bound plan.
//!
//! ```text
//!  text ─[parse]→ Ast ─[bind]→ plan::Query
//! ```
//!
//! No type of sqlparser leaves this crate, and nothing here reads the kernel but through [`bpfquery_catalog::Kernel`].

pub mod ast;
mod bind;
mod number;
mod parse;

pub use ast::Ast;
pub use bind::{BindOptions, bind};
pub use parse::{MAX_TEXT, parse};
