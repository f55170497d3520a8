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

//!
//! ```text
//! func q context 64 {
//!   slot s0 "key" 8
//!   map m0 "groups": percpu_hash 8 -> 16, 10240
//! b0(v0: ctx):
//!   v1 = load.u64 v0, 32
//!   v2 = const 3
//!   br.ne v1, v2, b1(v1), b2
//! ```
//!
//! [`parse`] reads what `Display` prints, [`verify`] says what must hold, [`crate::interp`] runs it.

mod args;
mod build;
mod cfg;
mod dominance;
mod entity;
mod func;
mod names;
mod op;
mod parse;
mod print;
mod verify;

pub use args::Args;
pub use build::Builder;
pub use cfg::Cfg;
pub use entity::{Block, CoreId, GlobalId, Inst, MapId, SlotId, Value};
pub use func::{
    BlockData, Context, CoreReloc, CoreWhat, Func, Global, GlobalData, Guess, InstData, MapData, MapKind, SlotData,
    ValueData,
};
pub use op::{Access, BinOp, Cond, Op, PtrKind, Scan, Stop, Terminator, Type};
pub use parse::{ParseError, parse};
pub use print::WithSql;
pub use verify::{At, VerifyError, verify};
