//! Relational algebra, its rules, and the split between kernel and user space.
//!
//! ```text
//!  Plan ─[optimise]→ Plan ─[split]→ Split { kernel: Vec<Fragment>, user: UserPlan } ─[cheapest_hook]→ Split
//! ```
//!
//! Nothing here knows a register, an instruction, or Arrow. Functions and aggregates are a file each.

pub mod aggregates;
mod cheapest_hook;
mod datum;
pub mod eval;
mod expr;
pub mod functions;
mod layout;
pub mod like;
mod nulls;
mod optimise;
mod plan;
mod print;
mod rules;
mod seen;
mod split;
mod split_query;
mod store;
#[cfg(test)]
mod testing;
pub mod typing;
mod validate;

pub use cheapest_hook::cheapest_hook;
pub use datum::Datum;
pub use expr::{ArithOp, CompareOp, Expr, ExprKind, Like, ParamId, Subscript, UnaryOp};
pub use layout::{BUCKETS, Field, Layout, Stored};
pub use nulls::column_nullable;
pub use optimise::{Applied, optimise};
pub use plan::{AggregateCall, AggregateFn, ColumnId, Item, Param, Plan, Query, ReadAt, SortKey};
pub use print::{ident, interval};
pub use rules::known_fields::known_fields;
pub use seen::{Seen, mark};
pub use split::{
    Fragment, HELD_NOTHING, HELD_REJECTED, HELD_ROW, HeldStore, Matched, Output, OutputColumn, Slot, SlotOp, Source,
    Split, Step, UserPlan, Window,
};
pub use split_query::{MAX_GROUPS, chosen_store, split, split_with, task_storage};
pub use store::{Axis, Store};
