//! Probes as relations: columns, SQL types, access paths; the kernel's description as a value.
//!
//! Pure: nothing here reads `/sys`, `/proc`, the environment or the clock. The kernel comes in through [`Kernel`].

mod field;
mod kernel;
mod relation;
mod ty;

pub use field::FieldPath;
pub use kernel::{Feature, Identity, Kernel};
pub use relation::{Access, Builtin, Check, Column, Hook, Relation};
pub use ty::{DEFAULT_TEXT, EnumType, Pointee, Space, SqlType, TypeRef};
