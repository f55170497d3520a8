//! Text forms: expressions as SQL, plans as trees, the split as two halves.
//!
//! What must hold: the same value prints the same text, always, and two different plans of one query print differently where it
//! matters (columns, literals, types of casts). Not promised: that the text of an expression parses back; `bucket(x)` does not.

mod expr;
mod plan;
mod split;

pub use expr::{ident, interval};

/// Items side by side.
fn list<T>(items: &[T], text: impl Fn(&T) -> String) -> String {
    items.iter().map(text).collect::<Vec<_>>().join(", ")
}
