//! A field inside a struct of the kernel's BTF, as CO-RE finds it again on other kernels.

use crate::ty::TypeRef;
use serde::{Deserialize, Serialize};

/// The way from a struct to one of its fields, through embedded structs but through no pointer.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct FieldPath {
    /// The struct that the way starts from.
    pub root: TypeRef,
    /// Member indices, one for each struct or union on the way, anonymous ones too.
    pub members: Vec<u32>,
    /// As the user wrote it, for printers: `dentry.d_name.name`.
    pub text: String,
    /// Bytes from the root's start, on the kernel that was compiled for.
    pub offset: u32,
    /// The field's bytes there; for a bitfield, of its declared type.
    pub size: u32,
    /// For a bitfield: bits from the start of the byte at `offset`, and bits wide.
    pub bits: Option<(u32, u32)>,
}
