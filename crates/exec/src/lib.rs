//! Raw records and map entries become Arrow record batches.
//!
//! Pure: bytes in, batches out; where the bytes come from (the kernel, the interpreter, a recording) is not known here.
//!
//! What must hold:
//! - Every record that is pushed is either in a batch, or left out by a step of the plan (HAVING, OFFSET, LIMIT); nothing else
//!   drops one.
//! - Timestamps come in as CLOCK_MONOTONIC and go out as wall time, through the one offset that the engine was made with.

mod engine;

mod columns;
mod decode;
mod numbers;
mod run;
mod texts;

mod direct;
mod groups;
mod merge;

mod gather;
mod listing;
mod steps;

mod schema;

pub use engine::Engine;
pub use groups::{Chunk, Entry};
pub use listing::answer;
pub use run::Run;
pub use schema::{KIND, arrow_schema, bucket_range};
