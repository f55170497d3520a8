//! What must hold for a function. Passes and lowering are wrong where it does not; a query never is.
//!
//! Tables
//! - slots are multiples of 8 bytes and together at most 512;
//! - map names are C identifiers of at most 15 bytes; key size, value size and entries fit the kind of map;
//! - initial bytes of `.rodata` variables are as long as the variable; variables of a section do not overlap.
//!
//! Blocks
//! - the entry has one parameter, the context; nothing goes to the entry;
//! - every named block, value, instruction, slot, map, variable and relocation exists;
//! - an instruction stands in one block, once; a reachable block has a terminator;
//! - a block that nothing reaches is removed: no parameters, no instructions, no terminator;
//! - no path comes to a block twice.
//!
//! SSA
//! - a value is defined once, and its definition dominates its uses;
//! - arguments are as many as the target's parameters and of their types; `br.null` itself passes the first one.
//!
//! Types
//! - an instruction that has a value defines one of the type that follows from it, a store defines none;
//! - a pointer takes part in `add` and `sub` as the left side only, and a map in neither;
//! - a maybe-null pointer is used by `br.null` only;
//! - loads and stores go through non-null pointers, comparisons and results are integers;
//! - pointers are stored to the stack only, whole; atomic additions go to map values and `.bss`;
//! - nothing is stored to the context or `.rodata`;
//! - a helper gets as many arguments as it takes, of the right kinds: see [`helper`].
//!
//! Memory
//! - an access is inside its slot, map value, context, record or variable; where its offset is computed, the bounds that follow
//!   from the instructions and branches before it keep it there;
//! - a load from the context goes through the pointer as it came (check_ctx_reg, kernel/bpf/verifier.c 5.10; a moved one may be
//!   an address for a probe read), a load or store of the stack has a known offset (else since 5.12);
//! - a scan may look at all of its bytes, one at the least, and at all of its table, which is in `.rodata`;
//! - sizes that helpers get are positive and bounded;
//! - stack accesses are aligned to their size (the kernel insists, `check_ptr_alignment`, kernel/bpf/verifier.c 6.18),
//!   context accesses too, and to 8 bytes where only words are allowed; atomic additions to 8;
//! - every byte of a slot that is loaded was written on every path; where a helper takes it as key or data, by something
//!   that writes the same bytes each time (a string read does not: what is behind the NUL is left).
//!
//! Records
//! - a reserved record is tested before anything else, and submitted or discarded exactly once on every path where it
//!   is not null; after that, and after the end of such a path, nothing uses it.
//!
//! Not checked
//! - that a probe read of our own memory finds written bytes;
//! - that a record or a map value is written as a whole before it is submitted or stored;
//! - lifetimes of map values after a delete;
//! - how many instructions the kernel's verifier will walk.

mod blocks;
mod helper;
mod memory;
mod place;
mod range;
mod records;
mod ssa;
mod table;
mod types;

use super::{Block, Cfg, Func, GlobalId, Inst, MapId, SlotId, Value};
use std::fmt;

/// What is wrong with a function, and where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VerifyError {
    /// Where.
    pub at: At,
    /// The line of text that stands there; empty where none does.
    pub context: String,
    /// What.
    pub message: String,
}

/// A place in a function.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum At {
    /// The function as a whole.
    Func,
    /// A slot.
    Slot(SlotId),
    /// A map.
    Map(MapId),
    /// A variable.
    Global(GlobalId),
    /// A block or its parameters.
    Block(Block),
    /// An instruction in a block.
    Inst(Block, Inst),
    /// A block's terminator.
    Terminator(Block),
}

impl fmt::Display for At {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            At::Func => write!(f, "function"),
            At::Slot(slot) => write!(f, "{slot}"),
            At::Map(map) => write!(f, "{map}"),
            At::Global(global) => write!(f, "{global}"),
            At::Block(block) | At::Inst(block, _) | At::Terminator(block) => write!(f, "{block}"),
        }
    }
}

impl fmt::Display for VerifyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.context.is_empty() {
            return write!(f, "{}: {}", self.at, self.message);
        }
        write!(f, "{}: `{}`: {}", self.at, self.context, self.message)
    }
}

impl std::error::Error for VerifyError {}

/// Checks all that is listed above.
///
/// # Errors
///
/// The first thing that does not hold.
pub fn verify(func: &Func) -> Result<(), VerifyError> {
    table::check(func)?;
    blocks::check(func)?;
    let cfg = Cfg::new(func);
    blocks::check_graph(func, &cfg)?;
    ssa::check(func, &cfg)?;
    types::check(func, &cfg)?;
    let places = place::places(func, &cfg);
    memory::check(func, &cfg, &places)?;
    records::check(func, &cfg, &places)
}

type Checked = Result<(), VerifyError>;

/// An error there.
fn fail(func: &Func, at: At, message: impl Into<String>) -> VerifyError {
    let context = match at {
        At::Inst(_, inst) => func.inst_text(inst),
        At::Terminator(block) => func.block(block).terminator.to_string(),
        At::Func | At::Slot(_) | At::Map(_) | At::Global(_) | At::Block(_) => String::new(),
    };
    VerifyError { at, context, message: message.into() }
}

/// Where a value is used, in the order of a block.
fn uses(func: &Func, block: Block) -> impl Iterator<Item = (At, Value)> {
    let data = func.block(block);
    let of = move |inst| func.inst(inst).op.operands().map(move |value| (At::Inst(block, inst), value));
    let last = data.terminator.operands().map(move |value| (At::Terminator(block), value));
    data.insts.iter().copied().flat_map(of).chain(last)
}
