//! A field inside a struct of the kernel's BTF, as CO-RE finds it again on other kernels.

use crate::nav::Member;
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
    /// Bytes to read there: the field's, or those of the word that holds a bitfield.
    pub size: u32,
    /// For a bitfield: how far its word is shifted left within 64 bits, and then right, there.
    pub shifts: Option<(u32, u32)>,
}

impl FieldPath {
    /// The way to a member, shown as `text`.
    pub fn to(member: &Member, text: impl Into<String>) -> FieldPath {
        FieldPath {
            root: member.base.clone(),
            members: member.path.clone(),
            text: text.into(),
            offset: member.offset,
            size: member.size,
            shifts: member.bits.map(|bits| (bits.left, bits.right)),
        }
    }
}
