//! BPF instructions as types: build, encode, decode, print; helper ids.
//!
//! What holds:
//! - An [`Insn`] that [`Insn::check`] accepts has exactly one encoding, and `decode` gives it back.
//! - Jumps name a [`Label`]; there is no numeric offset before [`assemble`], and none that needs patching after it.
//! - Same [`Program`], same bytes.
//!
//! Not checked here: what the kernel's verifier checks (types in registers, bounds, termination), and whether the
//! target kernel knows an instruction or helper; [`Insn::since`] and [`Helper::since`] say which does.
//!
//! Encodings follow the kernel's `Documentation/bpf/standardization/instruction-set.rst` (6.18).

mod reg;

mod op;

mod helper;

mod insn;

mod build;

mod program;

mod encode;

mod assemble;

mod decode;

mod display;

pub use assemble::{AsmError, Assembled, Reloc, RelocKind, assemble};
pub use build::*;
pub use decode::{DecodeError, decode, decode_with};
pub use display::{InsnDisplay, ProgramDisplay};
pub use helper::Helper;
pub use insn::{CoreRef, Imm64, Insn, Invalid, Label, MapRef, Operand, Since, Slot};
pub use op::{AluOp, AtomicOp, Cond, Extend, Swap, SwapBits};
pub use program::{Item, Line, Program, Purpose, Span};
pub use reg::{Narrow, Reg, Size, Width};
