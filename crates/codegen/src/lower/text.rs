//! Text: NUL-ended bytes in memory.
//!
//! A text read from elsewhere may be longer than its width: it was cut. A comparison that would need the lost part is NULL, and
//! counted. What is read to be compared is read with one byte more than its width, so that what just fits is known to.

use super::cond::Ways;
use super::{Counter, Lowerer, key};
use crate::ir::{Access, BinOp, Block, Cond, Value};
use bpfquery_catalog::{self as catalog, Builtin, Column, Pointee, Space, SqlType};
use bpfquery_diag::{Diagnostic, Failure, Result};
use bpfquery_isa::Helper;
use bpfquery_plan::{CompareOp, Datum, Expr, ExprKind};

/// A text in memory.
#[derive(Clone, Copy)]
pub(super) struct Text {
    /// Its first byte.
    pub(super) base: Value,
    /// Bytes that hold it, the NUL among them; where it was cut, the last of them is no NUL.
    pub(super) width: u32,
    /// Whether all bytes behind the NUL are zero, up to a multiple of 8.
    padded: bool,
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
}

impl Lowerer<'_> {
    /// The text somewhere in memory; `padded` asks for zeros behind its NUL.
    pub(super) fn text(&mut self, expr: &Expr, padded: bool, null: Block) -> Result<Text> {
        let width = width(expr)?;
        let key = key(expr);
        if let (Some(base), length, false) = (self.known(&key), self.known(&format!("{key} length")), padded) {
            return Ok(Text { base, width, padded: false, length });
        }
        if is_choice(expr) {
            let base = self.buffer("text", width);
            self.text_into(expr, base, 0, width.next_multiple_of(8), true, null)?;
            return Ok(Text { base, width, padded: true, length: None });
        }
        let text = match self.source(expr, null)? {
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
        match &expr.kind {
            ExprKind::Case { arms, otherwise } => {
                let join = self.build.block();
                for (when, then) in arms {
                    let (hit, miss) = (self.build.block(), self.build.block());
                    self.cond(when, hit, miss, miss)?;
                    self.build.switch_to(hit);
                    self.text_into(then, base, offset, bytes, padded, null)?;
                    self.build.jump(join, &[]);
                    self.build.switch_to(miss);
                }
                self.text_into(otherwise, base, offset, bytes, padded, null)?;
                self.build.jump(join, &[]);
                self.build.switch_to(join);
                return Ok(());
            }
            ExprKind::Coalesce(list) => {
                let join = self.build.block();
                for (i, expr) in list.iter().enumerate() {
                    let next = if i + 1 == list.len() { null } else { self.build.block() };
                    self.text_into(expr, base, offset, bytes, padded, next)?;
                    self.build.jump(join, &[]);
                    self.build.switch_to(next);
                }
                self.build.switch_to(join);
                return Ok(());
            }
            ExprKind::Literal(Datum::Null) => {
                self.scalar(expr, null)?;
                return Ok(());
            }
            // Each of them fits the wider buffer as it is.
            ExprKind::Cast(operand) if is_choice(operand) && width(operand)? <= width(expr)? => {
                return self.text_into(operand, base, offset, bytes, padded, null);
            }
            _ => {}
        }
        let width = width(expr)?.min(bytes);
        let source = match (self.known(&key(expr)), self.source_is_read(expr)?) {
            // It was read before, for a filter: copied from there.
            (Some(from), true) => From::Buffer(from),
            _ => self.source(expr, null)?,
        };
        let target = if offset == 0 { base } else { self.build.bin_imm(BinOp::Add, base, i64::from(offset)) };
        match source {
            From::Comm => self.read_comm(target, bytes.min(16), padded),
            From::Constant(constant) => self.store_bytes(target, 0, bytes, &constant),
            From::Memory(from) => self.copy(target, from, width),
            From::Buffer(from) => {
                if padded {
                    self.zero(target, 0, bytes);
                }
                let size = self.build.iconst(i64::from(width));
                // Its result is of no interest: a program's own memory does not fault.
                self.build.call(Helper::ProbeReadKernelStr, &[target, size, from]);
                if let Some(length) = self.known(&format!("{} length", key(expr))) {
                    self.count_cut(length, width);
                }
            }
            From::Address(helper, address, cuttable) => {
                if padded {
                    self.zero(target, 0, bytes);
                }
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
            ExprKind::Cast(operand) if operand.ty.is_text() => self.source(operand, null),
            ExprKind::Field { base, path } => {
                let user = super::field::space(base) == Space::User;
                let reader = if user { Helper::ProbeReadUserStr } else { Helper::ProbeReadKernelStr };
                let base = self.address(base, null)?;
                self.build.set_span(expr.span);
                let address = self.field_address(base, path);
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

    /// Counts a text that was cut when it was read to be compared, and is now shown.
    fn count_cut(&mut self, length: Value, width: u32) {
        let go_on = self.build.block();
        let cut = self.counted(Counter::TextCut, go_on);
        let full = self.build.iconst(i64::from(width) + 1);
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

    /// `a = b` or `a <> b`.
    pub(super) fn compare_text(&mut self, expr: &Expr, op: CompareOp, a: &Expr, b: &Expr, to: Ways) -> Result<()> {
        let to = match op {
            CompareOp::Eq => to,
            CompareOp::Ne => Ways { yes: to.no, no: to.yes, null: to.null },
            CompareOp::Lt | CompareOp::Le | CompareOp::Gt | CompareOp::Ge => {
                let message = "comparing text by order is not supported yet in the kernel";
                return Err(Diagnostic::new("unsupported", expr.span, message).help("= and <> are").into());
            }
        };
        match (&a.kind, &b.kind) {
            (ExprKind::Literal(Datum::Text(constant)), _) => self.equals_constant(b, constant, false, to),
            (_, ExprKind::Literal(Datum::Text(constant))) => self.equals_constant(a, constant, false, to),
            _ => self.equals_text(a, b, to),
        }
    }

    /// `expr = constant`. With `fold` it is in lower case, and letters match in both.
    pub(super) fn equals_constant(&mut self, expr: &Expr, constant: &[u8], fold: bool, to: Ways) -> Result<()> {
        let text = self.text(expr, false, to.null)?;
        self.build.set_span(expr.span);
        // Text ends at its NUL, so a constant that holds one equals nothing.
        if constant.contains(&0) {
            self.build.jump(to.no, &[]);
            return Ok(());
        }
        if let Some(kept) = constant.get(..text.width as usize - 1).filter(|kept| kept.len() < constant.len()) {
            self.begins_with(text, kept, fold, to.no);
            self.unless_cut(text, to.no, to.null);
            return Ok(());
        }
        let mut bytes = constant.to_vec();
        bytes.push(0);
        if text.padded {
            bytes.resize(bytes.len().next_multiple_of(8).min(text.width.next_multiple_of(8) as usize), 0);
        }
        self.begins_with(text, &bytes, fold, to.no);
        self.build.jump(to.yes, &[]);
        Ok(())
    }

    /// Goes on where the buffer begins with these bytes, of which there are no more than it holds; else to `no`. With `fold`
    /// they are in lower case, and letters match in both.
    pub(super) fn begins_with(&mut self, text: Text, bytes: &[u8], fold: bool, no: Block) {
        let mut at = 0;
        while at < bytes.len() {
            let rest = &bytes[at..];
            let (access, taken) = piece(rest.len(), text.width as usize - at, fold);
            let mut word = [0; 8];
            word[..taken].copy_from_slice(&rest[..taken]);
            let wanted = i64::from_le_bytes(word);
            let found = self.build.load(access, text.base, i16::try_from(at).unwrap_or(i16::MAX));
            let spare = 8 * (access.bytes() as usize - taken);
            let (found, wanted) = match (access, spare) {
                (_, 0) if fold => (self.build.bin_imm(BinOp::Or, found, case_bits(word)), wanted),
                (_, 0) => (found, wanted),
                (Access::U64, _) => (self.build.bin_imm(BinOp::Shl, found, spare as i64), wanted << spare),
                _ => (self.build.bin_imm(BinOp::And, found, (1 << (8 * taken)) - 1), wanted),
            };
            let wanted = self.build.iconst(wanted);
            let next = self.build.block();
            self.build.branch(Cond::Eq, found, wanted, next, no);
            self.build.switch_to(next);
            at += taken;
        }
    }

    /// Ends the block: `null`, counted, if the text was cut, else `then`.
    pub(super) fn unless_cut(&mut self, text: Text, then: Block, null: Block) {
        match text.length {
            None => self.build.jump(then, &[]),
            Some(length) => {
                let unknown = self.counted(Counter::TextUnknown, null);
                let full = self.build.iconst(i64::from(text.width) + 1);
                self.build.branch(Cond::Eq, length, full, unknown, then);
            }
        }
    }

    fn equals_text(&mut self, a: &Expr, b: &Expr, to: Ways) -> Result<()> {
        let left = self.text(a, true, to.null)?;
        let right = self.text(b, true, to.null)?;
        let differ = self.build.block();
        for at in (0..left.width.min(right.width)).step_by(8) {
            let at = i16::try_from(at).unwrap_or(i16::MAX);
            let x = self.build.load(Access::U64, left.base, at);
            let y = self.build.load(Access::U64, right.base, at);
            let next = self.build.block();
            self.build.branch(Cond::Eq, x, y, next, differ);
            self.build.switch_to(next);
        }
        let right_too = self.build.block();
        self.unless_cut(left, right_too, to.null);
        self.build.switch_to(right_too);
        self.unless_cut(right, to.yes, to.null);
        self.build.switch_to(differ);
        // Only the NUL that cut the narrower one may make it differ from the wider one.
        let narrower = if left.width < right.width { left } else { right };
        if left.width == right.width {
            self.build.jump(to.no, &[]);
        } else {
            self.unless_cut(narrower, to.no, to.null);
        }
        Ok(())
    }
}

/// Whether the text is one of several, made where they meet.
fn is_choice(expr: &Expr) -> bool {
    match &expr.kind {
        ExprKind::Case { .. } | ExprKind::Coalesce(_) => true,
        ExprKind::Cast(operand) => expr.ty.is_text() && is_choice(operand),
        _ => false,
    }
}

fn width(expr: &Expr) -> Result<u32> {
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

/// How many of `bytes` bytes are compared at once, and with what load: three or seven by a wider one, whose other bytes are left
/// out, if there are that many. Folding takes a mask, which as an immediate has 32 bits.
fn piece(bytes: usize, room: usize, fold: bool) -> (Access, usize) {
    match bytes {
        8.. if !fold => (Access::U64, 8),
        7 if !fold && room >= 8 => (Access::U64, 7),
        4.. => (Access::U32, 4),
        3 if !fold && room >= 4 => (Access::U32, 3),
        2.. => (Access::U16, 2),
        _ => (Access::U8, 1),
    }
}

/// The bit that tells upper case from lower case, in each byte that is a letter.
fn case_bits(bytes: [u8; 8]) -> i64 {
    i64::from_le_bytes(bytes.map(|byte| if byte.is_ascii_lowercase() { 0x20 } else { 0 }))
}
