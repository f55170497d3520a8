//! Text: NUL-ended bytes in memory.
//!
//! A text read from elsewhere may be longer than its width: it was cut. A comparison that would need the lost part is NULL, and
//! counted. What is read to be compared is read with one byte more than its width, so that what just fits is known to.

use super::choice::{is_choice, kept};
use super::field::Place;
use super::{Counter, Lowerer, key, task::COMM};
use crate::ir::{Access, BinOp, Block, Cond, Value};
use bpfquery_catalog::{self as catalog, Builtin, Column, Pointee, Space, SqlType};
use bpfquery_diag::{Diagnostic, Failure, Result};
use bpfquery_isa::Helper;
use bpfquery_plan::{Datum, Expr, ExprKind};

/// A text in memory.
#[derive(Clone, Copy)]
pub(super) struct Text {
    /// Its first byte.
    pub(super) base: Value,
    /// Bytes that hold it, the NUL among them; where it was cut, the last of them is no NUL.
    pub(super) width: u32,
    /// Whether all bytes behind the NUL are zero, up to a multiple of 8.
    pub(super) padded: bool,
    /// Bytes that the read returned, the NUL among them; `width + 1` where it was cut. `None`: never cut.
    pub(super) length: Option<Value>,
}

/// Where a text comes from.
enum From {
    /// The current thread's name.
    Comm,
    /// Known bytes.
    Constant(Vec<u8>),
    /// A text with zeros behind it, in memory that loads may touch.
    Memory(Value),
    /// An address that a probe read must follow, and whether the text may be longer than its type says.
    Address(Helper, Value, bool),
    /// A buffer of this program that a text was read into before.
    Buffer(Value),
    /// Memory of this program's own with a text that may be longer than what it is to be now.
    Longer(Value),
}

impl Lowerer<'_> {
    /// The text, which is not one of several, somewhere in memory; `padded` asks for zeros behind its NUL.
    pub(super) fn text(&mut self, expr: &Expr, padded: bool, null: Block) -> Result<Text> {
        let width = kept(expr)?;
        let key = key(expr);
        if let (Some(base), length, false) = (self.known(&key), self.known(&format!("{key} length")), padded) {
            return Ok(Text { base, width, padded: false, length });
        }
        let text = match self.source(expr, null)? {
            From::Buffer(from) if padded => {
                let base = self.buffer("text", width);
                self.copy_text(base, from, width, true);
                Text { base, width, padded, length: None }
            }
            From::Longer(from) => {
                let base = self.buffer("text", width + 1);
                let length = self.copy_text(base, from, width + 1, padded);
                Text { base, width, padded, length: Some(length) }
            }
            From::Memory(base) => Text { base, width, padded: true, length: None },
            From::Buffer(base) => Text { base, width, padded: false, length: None },
            From::Comm => {
                let base = self.buffer("comm", width);
                self.read_comm(base, width, padded);
                Text { base, width, padded, length: None }
            }
            From::Constant(bytes) => {
                let base = self.buffer("constant", width);
                self.store_bytes(base, 0, width.next_multiple_of(8), &bytes);
                Text { base, width, padded: true, length: None }
            }
            From::Address(helper, address, cuttable) => {
                let bytes = width + u32::from(cuttable);
                let base = self.buffer("text", bytes);
                if padded {
                    self.zero(base, 0, bytes.next_multiple_of(8));
                }
                let size = self.build.iconst(i64::from(bytes));
                let length = self.build.call(helper, &[base, size, address]);
                self.check_fault(length, null);
                Text { base, width, padded, length: cuttable.then_some(length) }
            }
        };
        self.remember(key.clone(), text.base);
        if let Some(length) = text.length {
            self.remember(format!("{key} length"), length);
        }
        Ok(text)
    }

    /// Writes the text to `base + offset`, where `bytes` (a multiple of 8) are its own; `padded` asks for zeros behind its NUL.
    pub(super) fn text_into(
        &mut self,
        expr: &Expr,
        base: Value,
        offset: u32,
        bytes: u32,
        padded: bool,
        null: Block,
    ) -> Result<()> {
        if is_choice(expr) {
            let join = self.build.block();
            self.each_text(expr, null, &mut |this, text, missing| {
                this.text_into(text, base, offset, bytes, padded, missing)?;
                this.build.jump(join, &[]);
                Ok(())
            })?;
            self.build.switch_to(join);
            return Ok(());
        }
        if let ExprKind::Literal(Datum::Null) = &expr.kind {
            self.scalar(expr, null)?;
            return Ok(());
        }
        let width = kept(expr)?.min(bytes);
        let source = match (self.known(&key(expr)), self.source_is_read(expr)?) {
            // It was read before, for a filter: copied from there.
            (Some(from), true) => From::Buffer(from),
            _ => self.source(expr, null)?,
        };
        let target = if offset == 0 { base } else { self.build.bin_imm(BinOp::Add, base, i64::from(offset)) };
        match source {
            From::Comm => {
                let own = bytes.min(COMM);
                self.read_comm(target, own, padded);
                self.pad_behind(target, own, bytes, padded);
            }
            From::Constant(constant) => self.store_bytes(target, 0, bytes, &constant),
            From::Memory(from) => {
                let own = width.next_multiple_of(8);
                self.copy(target, from, own);
                self.pad_behind(target, own, bytes, padded);
            }
            From::Buffer(from) => {
                self.pad(target, bytes, padded);
                self.copy_text(target, from, width, false);
                if let Some(length) = self.known(&format!("{} length", key(expr))) {
                    self.count_cut(length, width + 1);
                }
            }
            From::Longer(from) => {
                self.pad(target, bytes, padded);
                let length = self.copy_text(target, from, width, false);
                self.count_cut(length, width);
            }
            From::Address(helper, address, cuttable) => {
                self.pad(target, bytes, padded);
                let size = self.build.iconst(i64::from(width));
                let length = self.build.call(helper, &[target, size, address]);
                if cuttable {
                    self.check_text(length, width, null);
                } else {
                    self.check_fault(length, null);
                }
            }
        }
        Ok(())
    }

    /// Whether getting this text is a probe read, which is not made twice.
    fn source_is_read(&self, expr: &Expr) -> Result<bool> {
        Ok(match &expr.kind {
            ExprKind::Column(id) => {
                let access = &self.column(*id)?.access;
                use catalog::Access::{Context, DataLocation, Member};
                matches!(access, Context { .. } | DataLocation { .. } | Member { .. })
            }
            ExprKind::Field { .. } | ExprKind::ReadText(_) => true,
            _ => false,
        })
    }

    /// The value of `expr` is text: where is it?
    fn source(&mut self, expr: &Expr, null: Block) -> Result<From> {
        self.build.set_span(expr.span);
        match &expr.kind {
            ExprKind::Literal(Datum::Text(bytes)) => Ok(From::Constant(bytes.clone())),
            ExprKind::Column(id) => {
                let column = self.column(*id)?;
                self.text_column(column, null)
            }
            ExprKind::Param(id) => Ok(From::Memory(self.param_address(*id)?.0)),
            ExprKind::Cast(operand) if operand.ty.is_text() && kept(operand)? > width(expr)? => {
                self.shortened(operand, width(expr)?, null)
            }
            ExprKind::Cast(operand) if operand.ty.is_text() => self.source(operand, null),
            ExprKind::Field { base, path, at } => {
                let user = super::field::space(base) == Space::User;
                let reader = if user { Helper::ProbeReadUserStr } else { Helper::ProbeReadKernelStr };
                let address = self.located(expr, &Place { base, path, at }, null)?;
                Ok(From::Address(reader, address, false))
            }
            ExprKind::ReadText(pointer) => {
                let address = self.address(pointer, null)?;
                self.build.set_span(expr.span);
                Ok(From::Address(reader(&pointer.ty), address, true))
            }
            _ => {
                let message = format!("making text of type {} is not supported yet in the kernel", expr.ty);
                Err(Diagnostic::new("unsupported", expr.span, message).into())
            }
        }
    }

    /// A text that is given less room than it has: read from where it is as far as that goes.
    fn shortened(&mut self, operand: &Expr, width: u32, null: Block) -> Result<From> {
        let base = match self.source(operand, null)? {
            From::Address(helper, address, _) => return Ok(From::Address(helper, address, true)),
            From::Constant(bytes) if bytes.len() < width as usize => return Ok(From::Constant(bytes)),
            From::Constant(bytes) => {
                // What is behind the first byte that is lost is of no matter.
                let room = (width + 2).next_multiple_of(8);
                let base = self.buffer("constant", room);
                self.store_bytes(base, 0, room, &bytes);
                base
            }
            From::Comm => {
                let base = self.buffer("comm", COMM);
                self.read_comm(base, COMM, false);
                base
            }
            From::Memory(base) | From::Buffer(base) | From::Longer(base) => base,
        };
        Ok(From::Longer(base))
    }

    fn text_column(&mut self, column: &Column, null: Block) -> Result<From> {
        match &column.access {
            catalog::Access::Builtin(Builtin::Comm) => Ok(From::Comm),
            catalog::Access::Builtin(Builtin::Probe) => {
                Ok(From::Constant(self.fragment.relation.name.clone().into_bytes()))
            }
            catalog::Access::Context { offset, .. } => {
                let address = self.build.bin_imm(BinOp::Add, self.context, i64::from(*offset));
                Ok(From::Address(Helper::ProbeReadKernelStr, address, false))
            }
            catalog::Access::Held { padded, .. } => {
                let (base, offset) = self.held_place(column, null)?;
                let address = self.build.bin_imm(BinOp::Add, base, i64::from(offset));
                Ok(if *padded { From::Memory(address) } else { From::Buffer(address) })
            }
            catalog::Access::DataLocation { offset } => {
                let offset = i16::try_from(*offset).map_err(|e| Failure::bug("lower", e.to_string()))?;
                let location = self.build.load(Access::U32, self.context, offset);
                let at = self.build.bin_imm(BinOp::And, location, 0xffff);
                let address = self.build.bin(BinOp::Add, self.context, at);
                Ok(From::Address(Helper::ProbeReadKernelStr, address, true))
            }
            catalog::Access::Member { offset, path } => {
                let address = self.member_address(*offset, path)?;
                Ok(From::Address(Helper::ProbeReadKernelStr, address, false))
            }
            catalog::Access::Builtin(_) => Err(Failure::bug("lower", format!("{} as text", column.name))),
            catalog::Access::Listed { .. } | catalog::Access::Unreachable => Err(super::column::unreachable(column)),
        }
    }

    /// Goes on where the text is whole, by one test: a read returns at most the width, or an error, which is a large number
    /// without its sign. What may have been cut is counted; a fault is counted and goes to `null`.
    fn check_text(&mut self, length: Value, width: u32, null: Block) {
        let (go_on, other) = (self.build.block(), self.build.cold_block());
        let whole = self.build.iconst(i64::from(width) - 1);
        self.build.branch(Cond::Ugt, length, whole, other, go_on);
        self.build.switch_to(other);
        let fault = self.counted(Counter::ReadFaults, null);
        let cut = self.counted(Counter::TextCut, go_on);
        let zero = self.build.iconst(0);
        self.build.branch(Cond::Slt, length, zero, fault, cut);
        self.build.switch_to(go_on);
    }

    /// A text of the program's own memory, which does not fault: bytes with its NUL.
    fn copy_text(&mut self, target: Value, from: Value, bytes: u32, padded: bool) -> Value {
        self.pad(target, bytes.next_multiple_of(8), padded);
        let size = self.build.iconst(i64::from(bytes));
        self.build.call(Helper::ProbeReadKernelStr, &[target, size, from])
    }

    fn pad(&mut self, target: Value, bytes: u32, padded: bool) {
        self.pad_behind(target, 0, bytes, padded);
    }

    fn pad_behind(&mut self, target: Value, own: u32, bytes: u32, padded: bool) {
        if padded && own < bytes {
            self.zero(target, own, bytes - own);
        }
    }

    /// Counts a text that is shown, if it has so many bytes with its NUL as one that was cut.
    fn count_cut(&mut self, length: Value, full: u32) {
        let go_on = self.build.block();
        let cut = self.counted(Counter::TextCut, go_on);
        let full = self.build.iconst(i64::from(full));
        self.build.branch(Cond::Eq, length, full, cut, go_on);
        self.build.switch_to(go_on);
    }

    /// Zeros at `base + offset`, 8 bytes at a time.
    pub(super) fn zero(&mut self, base: Value, offset: u32, bytes: u32) {
        let zero = self.build.iconst(0);
        for at in (offset..offset + bytes).step_by(8) {
            self.build.store(Access::U64, base, i16::try_from(at).unwrap_or(i16::MAX), zero);
        }
    }

    fn store_bytes(&mut self, base: Value, offset: u32, room: u32, text: &[u8]) {
        let mut bytes = text.get(..text.len().min(room as usize - 1)).unwrap_or(text).to_vec();
        bytes.resize(room as usize, 0);
        for (i, word) in bytes.chunks_exact(8).enumerate() {
            let word = self.build.iconst(i64::from_le_bytes(word.try_into().unwrap_or_default()));
            let at = i16::try_from(offset as usize + 8 * i).unwrap_or(i16::MAX);
            self.build.store(Access::U64, base, at, word);
        }
    }

    fn copy(&mut self, target: Value, from: Value, bytes: u32) {
        for at in (0..bytes).step_by(8) {
            let at = i16::try_from(at).unwrap_or(i16::MAX);
            let word = self.build.load(Access::U64, from, at);
            self.build.store(Access::U64, target, at, word);
        }
    }
}

/// Bytes of the type, a NUL among them.
pub(super) fn width(expr: &Expr) -> Result<u32> {
    match &expr.ty {
        SqlType::Text { width } => Ok(*width),
        other => Err(Failure::bug("lower", format!("{other} as text"))),
    }
}

/// The helper that reads text through this pointer. Where the type does not tell, the address does: x86-64 keeps user and kernel
/// addresses apart, which bpf_probe_read_str relies on (bpf_probe_read_compat_str, kernel/trace/bpf_trace.c, Linux 6.12).
fn reader(pointer: &SqlType) -> Helper {
    match pointer {
        SqlType::Pointer { space: Space::User, .. } => Helper::ProbeReadUserStr,
        SqlType::Pointer {
            space: Space::Kernel,
            to: Pointee::Char | Pointee::Value(_) | Pointee::Opaque | Pointee::Struct(_),
        } => Helper::ProbeReadKernelStr,
        _ => Helper::ProbeReadStr,
    }
}
