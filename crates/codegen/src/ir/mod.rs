//! The typed SSA form between plans and instructions.
//!
//! A function is a list of blocks; a block has parameters (instead of phis), instructions, and one terminator. Every
//! value is defined once, by a block parameter or an instruction, and its definition dominates each use.
//!
//! There are two types. A [`Type::Int`] is 64 bits; what is narrower is kept extended (loads and calls extend, [`Op::Extend`]
//! narrows). A [`Type::Ptr`] says what it points into, and whether it may be null; a maybe-null pointer can only be tested
//! by [`Terminator::BranchNull`], whose other side defines the non-null value as a block parameter.
//!
//! BPF has no instruction that makes a truth value: conditions are branches, and a boolean in a register is a block
//! parameter that receives 0 or 1.

mod build;
mod entity;
mod func;
mod op;

pub use build::Builder;
pub use entity::{Block, CoreId, GlobalId, Inst, MapId, SlotId, Value};
pub use func::{BlockData, Context, CoreReloc, CoreWhat, Func, Global, GlobalData, InstData, MapData, MapKind, SlotData, ValueData};
pub use op::{Access, BinOp, Cond, Op, PtrKind, Terminator, Type};
