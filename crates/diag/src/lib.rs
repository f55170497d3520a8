//! What goes wrong, and how it is said.
//!
//! Three failures have three shapes: the query is wrong ([`Diagnostic`]), the kernel cannot ([`Unsupported`]), we are
//! wrong ([`Failure::Bug`]). A fourth, [`Failure::Io`], is the world around us: a file that cannot be written.
//! Nothing here knows SQL or BPF.

mod diagnostic;
mod failure;
mod render;
mod span;
mod suggest;

pub use diagnostic::{Code, Diagnostic};
pub use failure::{Failure, Result, Unsupported};
pub use render::render;
pub use span::Span;
pub use suggest::nearest;
