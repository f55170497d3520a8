//! Probes as relations: columns, SQL types, access paths; the kernel's description as a value.
//!
//! Pure: nothing here reads `/sys`, `/proc`, the environment or the clock. The kernel comes in through [`Kernel`].
//! Names and texts of kernels are hostile until shown otherwise: they may be wrong, but never make this panic.

mod kernel;
mod name;
mod relation;
mod ty;

mod check;
mod columns;
mod convert;
mod describe;
mod discover;
mod field;
mod format;
mod glob;
mod listing;
pub mod nav;
mod probe;
mod snapshot;
mod stand_in;

pub use check::{checks, verify_check};
pub use columns::Miss;
pub use convert::{Object, Pointers, VMLINUX, c_type};
pub use describe::{Described, Description, Listed, describe, list};
pub use discover::{ColumnFacts, Met, TypeFacts, Types, discover, may_fit};
pub use field::{FieldPath, Guess, Presence};
pub use format::{FormatField, Layout, event_id, parse_format};
pub use glob::glob;
pub use kernel::{Feature, Identity, Kernel};
pub use listing::Listing;
pub use name::{Argument, Literal, Part, RelationName, parse_duration};
pub use probe::syscall::{Syscall, SyscallColumn, syscall};
pub use probe::{Need, obstacle, relation, relation_for, require, required_features};
pub use relation::{Absent, Access, Builtin, Check, Column, Hook, Origin, Relation};
pub use snapshot::{Selection, Snapshot, Subset, subset};
pub use stand_in::{Scope, interrupts_nothing, stand_in};
pub use ty::{DEFAULT_TEXT, EnumType, Pointee, Space, SqlType, TypeRef};
