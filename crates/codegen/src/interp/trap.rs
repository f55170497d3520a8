//! Why a program had to be stopped.

use crate::ir::{Block, Func, Inst};
use std::fmt;

/// A program did what the verifiers forbid.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Trap {
    /// The block that ran.
    pub block: Block,
    /// The instruction's text, or the terminator's.
    pub context: String,
    /// What it did.
    pub fault: Fault,
}

/// What the verifiers forbid.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fault {
    /// An address in the zero page was followed.
    Null,
    /// These bytes are no memory of the program's.
    OutOfBounds {
        /// The first byte.
        address: u64,
        /// How many.
        bytes: u64,
    },
    /// These bytes may only be read.
    ReadOnly {
        /// The first byte.
        address: u64,
    },
    /// More than [`super::MOST_STEPS`] instructions.
    Steps,
    /// A value is used that nothing has defined.
    Undefined,
    /// A block has no terminator.
    Unterminated,
    /// A helper's arguments are not what it takes.
    Arguments(String),
    /// The program ended with a record that it neither submitted nor discarded.
    Record,
    /// The function's maps or variables are not those of the world.
    World(String),
}

impl Trap {
    pub(super) fn new(func: &Func, block: Block, inst: Option<Inst>, fault: Fault) -> Trap {
        let end = || func.blocks.get(block.index()).map_or(String::new(), |data| data.terminator.to_string());
        Trap { block, context: inst.map_or_else(end, |inst| func.inst_text(inst)), fault }
    }
}

impl fmt::Display for Trap {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: `{}`: {}", self.block, self.context, self.fault)
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Fault::Null => write!(f, "a null pointer is followed"),
            Fault::OutOfBounds { address, bytes } => write!(f, "{bytes} bytes at {address:#x} are not the program's"),
            Fault::ReadOnly { address } => write!(f, "{address:#x} is read-only"),
            Fault::Steps => write!(f, "more than {} instructions", super::MOST_STEPS),
            Fault::Undefined => write!(f, "a value is not defined"),
            Fault::Unterminated => write!(f, "the block does not end"),
            Fault::Arguments(what) | Fault::World(what) => write!(f, "{what}"),
            Fault::Record => write!(f, "a record was neither submitted nor discarded"),
        }
    }
}

impl std::error::Error for Trap {}
