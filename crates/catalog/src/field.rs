//! A place in the kernel's types: from a struct to one of its fields, as CO-RE finds it again on other kernels.

use crate::nav::{BitField, Member};
use crate::ty::TypeRef;
use serde::{Deserialize, Serialize};

/// The way from a struct to one of its fields, through embedded structs and arrays but through no pointer. Without members it is
/// the whole of what a pointer points at: a struct, or (without a root) a plain value of `size` bytes.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct FieldPath {
    /// The struct that the way starts from.
    pub root: TypeRef,
    /// Member indices, one for each struct or union on the way, anonymous ones too, and one for each array.
    pub members: Vec<u32>,
    /// As the user wrote it, for printers: `dentry.d_name.name`, `comm[3]`; `[]` stands for an index that the run decides.
    pub text: String,
    /// Bytes from the root's start, on the kernel that was compiled for.
    pub offset: u32,
    /// Bytes to read there: the field's, or those of the word that holds a bitfield.
    pub size: u32,
    /// Present for a bitfield: where it is in the word that is read.
    pub bits: Option<BitField>,
    /// Whether it ends at an array's element, of which CO-RE tells the offset and the size only.
    #[serde(default)]
    pub element: bool,
    /// Which kernels have it.
    #[serde(default)]
    pub presence: Presence,
}

/// Which kernels have a field.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Presence {
    /// All that the program is for: another one refuses it.
    #[default]
    Sure,
    /// The one that was compiled for; on one without it, it is NULL.
    Asked,
    /// Others perhaps, not the one that was compiled for: there it is NULL. Without members it is known by its names, in `text`.
    Missing(Guess),
}

/// What a field probably is that the kernel compiled for does not have.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Guess {
    /// An integer.
    Int {
        /// 1, 2, 4 or 8.
        bytes: u32,
        /// Two's complement.
        signed: bool,
    },
    /// An address.
    Pointer,
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
            bits: member.bits,
            element: false,
            presence: Presence::Sure,
        }
    }

    /// The whole of what a pointer points at: a struct, or a plain value if the root has no id.
    pub fn whole(root: TypeRef, size: u32) -> FieldPath {
        let presence = Presence::Sure;
        FieldPath {
            root,
            members: Vec::new(),
            text: String::new(),
            offset: 0,
            size,
            bits: None,
            element: false,
            presence,
        }
    }

    /// This way and then, inside the struct or array where it ends, another one; `None` where a bitfield's word, which is aligned to
    /// the root, would be larger than 8 bytes.
    pub fn then(self, inner: &FieldPath) -> Option<FieldPath> {
        let bits = match inner.bits {
            None => None,
            Some(bits) => Some(bits.moved(self.offset)?),
        };
        let (offset, size) = match bits {
            None => (self.offset.saturating_add(inner.offset), inner.size),
            Some((load, _)) => (load.offset, load.size),
        };
        let dot = if self.text.is_empty() || inner.text.starts_with('[') { "" } else { "." };
        Some(FieldPath {
            members: self.members.into_iter().chain(inner.members.iter().copied()).collect(),
            text: format!("{}{dot}{}", self.text, inner.text),
            offset,
            size,
            bits: bits.map(|(_, bits)| bits),
            element: inner.element,
            presence: self.presence.max(inner.presence),
            root: self.root,
        })
    }
}
