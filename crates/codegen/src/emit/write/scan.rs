//! The loop of an automaton over a text: one instruction up to here, for nothing outside it may come in between.
//!
//! ```text
//!     r0 = start
//!     r3 = bytes
//! next:
//!     r4 = *(u8 *)(r1 +0)
//!     if r4 == 0 goto end
//!     r4 <<= 4
//!     r4 += r2
//!     r5 = *(u64 *)(r4 +0)        what leads on
//!     r5 &= r0
//!     r5 <<= 1
//!     r4 = *(u64 *)(r4 +8)        what stays
//!     r0 &= r4
//!     r0 |= r5
//!     if r0 == 0 goto end         (where that stops it)
//!     if r0 s< 0 goto end         (where that stops it)
//!     r1 += 1
//!     r3 += -1
//!     if r3 != 0 goto next
//! end:
//! ```
//! The kernel's verifier walks it round by round, so that it knows the place of each byte on the stack (bounded loops, Linux 5.3).

use super::Writer;
use crate::ir::Stop;
use bpfquery_diag::Span;
use bpfquery_isa::{self as isa, AluOp, Cond, Imm64, Insn, Label, Operand, Reg, Size, Width};

pub(super) fn write(writer: &mut Writer<'_>, bytes: i32, start: i64, stop: Stop, span: Span) {
    let (next, end) = (Label(writer.labels), Label(writer.labels + 1));
    writer.labels += 2;
    let [state, text, table, left, at, on] = [Reg::R0, Reg::R1, Reg::R2, Reg::R3, Reg::R4, Reg::R5];
    let goto = |cond, dst, target| Insn::JumpIf { width: Width::W64, cond, dst, src: Operand::Imm(0), target };
    let emit = |writer: &mut Writer<'_>, insn| writer.emit(insn, span, isa::Purpose::Work);
    match i32::try_from(start) {
        Ok(start) => emit(writer, isa::mov64(state, start)),
        Err(_) => emit(writer, Insn::LoadImm64 { dst: state, value: Imm64::Value(start.cast_unsigned()) }),
    }
    emit(writer, isa::mov64(left, bytes));
    writer.program.label(next);
    emit(writer, isa::load(Size::B, at, text, 0));
    emit(writer, goto(Cond::Eq, at, end));
    emit(writer, isa::alu64(AluOp::Lsh, at, 4));
    emit(writer, isa::alu64(AluOp::Add, at, table));
    emit(writer, isa::load(Size::DW, on, at, 0));
    emit(writer, isa::alu64(AluOp::And, on, state));
    emit(writer, isa::alu64(AluOp::Lsh, on, 1));
    emit(writer, isa::load(Size::DW, at, at, 8));
    emit(writer, isa::alu64(AluOp::And, state, at));
    emit(writer, isa::alu64(AluOp::Or, state, on));
    if stop.dead() {
        emit(writer, goto(Cond::Eq, state, end));
    }
    if stop.done() {
        emit(writer, goto(Cond::Slt, state, end));
    }
    emit(writer, isa::alu64(AluOp::Add, text, 1));
    emit(writer, isa::alu64(AluOp::Add, left, -1));
    emit(writer, goto(Cond::Ne, left, next));
    writer.program.label(end);
}
