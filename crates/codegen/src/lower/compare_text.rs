//! Texts compared, byte by byte.
//!
//! The first byte that differs decides; a NUL, where a text ends, is less than any other. Bytes are loaded as words, of which the lowest
//! byte comes first. What was kept of a text that was cut decides as far as it goes; what needs more is NULL, and counted.

use super::choice::kept;
use super::cond::Ways;
use super::text::Text;
use super::{Counter, Lowerer};
use crate::ir::{Access, BinOp, Block, Cond, Type, Value};
use bpfquery_diag::Result;
use bpfquery_plan::{CompareOp, Datum, Expr, ExprKind, eval};

/// Where a comparison goes.
#[derive(Clone, Copy)]
struct Order {
    less: Block,
    same: Block,
    more: Block,
    null: Block,
}

impl Order {
    fn of(op: CompareOp, to: Ways) -> Order {
        use std::cmp::Ordering;
        let way = |ordering| if op.holds(ordering) { to.yes } else { to.no };
        let [less, same, more] = [Ordering::Less, Ordering::Equal, Ordering::Greater].map(way);
        Order { less, same, more, null: to.null }
    }

    /// Where the comparison goes that has the same texts the other way round.
    fn mirrored(self) -> Order {
        Order { less: self.more, more: self.less, ..self }
    }

    /// Where it is of no matter which text is less: the way of those that differ.
    fn differ(self) -> Option<Block> {
        (self.less == self.more).then_some(self.less)
    }
}

impl Lowerer<'_> {
    /// `a op b`, each of the texts that either may be with each of the other's.
    pub(super) fn compare_text(&mut self, expr: &Expr, op: CompareOp, a: &Expr, b: &Expr, to: Ways) -> Result<()> {
        let order = Order::of(op, to);
        self.each_text(a, to.null, &mut |this, a, no_a| {
            this.each_text(b, to.null, &mut |this, b, no_b| {
                this.build.set_span(expr.span);
                match (constant(a), constant(b)) {
                    (Some(_), Some(_)) => {
                        this.compare_constants(ExprKind::Compare(op, a.clone().into(), b.clone().into()), to)
                    }
                    (Some(text), None) => this.order_constant(b, text, false, order.mirrored(), no_b),
                    (None, Some(text)) => this.order_constant(a, text, false, order, no_a),
                    (None, None) => this.order_texts((a, no_a), (b, no_b), order),
                }
            })
        })
    }

    /// A condition of constants alone, which stand in CASE or COALESCE: the evaluator says what it is.
    pub(super) fn compare_constants(&mut self, kind: ExprKind, to: Ways) -> Result<()> {
        let condition = Expr::new(kind, bpfquery_catalog::SqlType::Bool, self.fragment.span);
        match eval::eval(&condition, &[], &[])? {
            Datum::Bool(true) => self.build.jump(to.yes, &[]),
            Datum::Bool(false) => self.build.jump(to.no, &[]),
            _ => {
                self.count(Counter::TextUnknown);
                self.build.jump(to.null, &[]);
            }
        }
        Ok(())
    }

    /// `expr = constant`; `missing` is where `expr` is NULL. With `fold` the constant is in lower case, and letters match in both.
    pub(super) fn equals_folded(
        &mut self,
        expr: &Expr,
        constant: &[u8],
        fold: bool,
        missing: Block,
        to: Ways,
    ) -> Result<()> {
        self.order_constant(expr, constant, fold, Order::of(CompareOp::Eq, to), missing)
    }

    fn order_constant(&mut self, expr: &Expr, constant: &[u8], fold: bool, order: Order, missing: Block) -> Result<()> {
        let span = self.build.span();
        let text = self.text(expr, false, missing)?;
        self.build.set_span(span);
        // Text ends at its NUL, so a constant that holds one equals nothing, and is more than what it equals so far.
        let (constant, order) = match constant.iter().position(|byte| *byte == 0) {
            Some(_) if order.differ().is_some() => {
                self.build.jump(order.less, &[]);
                return Ok(());
            }
            Some(end) => (&constant[..end], Order { same: order.less, ..order }),
            None => (constant, order),
        };
        if let Some(kept) = constant.get(..text.width as usize - 1).filter(|kept| kept.len() < constant.len()) {
            self.begins(text, kept, fold, order);
            self.unless_cut(text, order.less, order.null);
            return Ok(());
        }
        let mut bytes = constant.to_vec();
        bytes.push(0);
        if text.padded {
            bytes.resize(bytes.len().next_multiple_of(8).min(text.width.next_multiple_of(8) as usize), 0);
        }
        self.begins(text, &bytes, fold, order);
        self.build.jump(order.same, &[]);
        Ok(())
    }

    /// Goes on where the buffer begins with these bytes, of which there are no more than it holds; else to `no`. With `fold`
    /// they are in lower case, and letters match in both.
    pub(super) fn begins_with(&mut self, text: Text, bytes: &[u8], fold: bool, no: Block) {
        self.begins(text, bytes, fold, Order { less: no, same: no, more: no, null: no });
    }

    /// Goes on where the buffer begins with these bytes.
    fn begins(&mut self, text: Text, bytes: &[u8], fold: bool, order: Order) {
        let mut decide = None;
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
            self.same_words(found, wanted, order, &mut decide);
            at += taken;
        }
    }

    /// Goes on where two words are the same; where they are not, the first byte that differs says which text is less.
    fn same_words(&mut self, x: Value, y: Value, order: Order, decide: &mut Option<Block>) {
        let next = self.build.block();
        match order.differ() {
            Some(differ) => self.build.branch(Cond::Eq, x, y, next, differ),
            None => {
                let decide = *decide.get_or_insert_with(|| self.deciding(order));
                self.build.branch_with(Cond::Eq, x, y, (next, &[]), (decide, &[x, y]));
            }
        }
        self.build.switch_to(next);
    }

    /// A block to which two different words come.
    fn deciding(&mut self, order: Order) -> Block {
        let here = self.build.current();
        let block = self.build.block();
        let (x, y) = (self.build.param(block, Type::Int), self.build.param(block, Type::Int));
        self.build.switch_to(block);
        // d ^ (d - 1) has all bits up to the lowest one of d, and so the lowest of each byte up to the first that differs.
        let differing = self.build.bin(BinOp::Xor, x, y);
        let less_one = self.build.bin_imm(BinOp::Add, differing, -1);
        let upto = self.build.bin(BinOp::Xor, differing, less_one);
        let ones = self.build.bin_imm(BinOp::And, upto, 0x0101_0101_0101_0101);
        let bytes = self.build.bin_imm(BinOp::Mul, ones, 0xff);
        let x = self.build.bin(BinOp::And, x, bytes);
        let y = self.build.bin(BinOp::And, y, bytes);
        self.build.branch(Cond::Ult, x, y, order.less, order.more);
        self.build.switch_to(here);
        block
    }

    /// Ends the block: `null`, counted, if the text was cut, else `then`.
    pub(super) fn unless_cut(&mut self, text: Text, then: Block, null: Block) {
        let unknown = if text.length.is_some() { self.counted(Counter::TextUnknown, null) } else { null };
        self.if_cut(text, unknown, then);
    }

    /// Ends the block: `cut` if the text was cut, else `whole`.
    fn if_cut(&mut self, text: Text, cut: Block, whole: Block) {
        match text.length {
            None => self.build.jump(whole, &[]),
            Some(length) => {
                let full = self.build.iconst(i64::from(text.width) + 1);
                self.build.branch(Cond::Eq, length, full, cut, whole);
            }
        }
    }

    fn order_texts(&mut self, (a, no_a): (&Expr, Block), (b, no_b): (&Expr, Block), order: Order) -> Result<()> {
        let span = self.build.span();
        let left = self.text(a, true, no_a)?;
        let right = self.text(b, true, no_b)?;
        self.build.set_span(span);
        let (left_key, right_key) = ((kept(a)?, left.length.is_some()), (kept(b)?, right.length.is_some()));
        // The narrower one, of two of a width the one that is never cut.
        if left_key <= right_key {
            self.order_narrow(left, right, order);
        } else {
            self.order_narrow(right, left, order.mirrored());
        }
        Ok(())
    }

    /// Compares a text with one that is at least as wide; both have zeros behind their NUL.
    fn order_narrow(&mut self, narrow: Text, wide: Text, order: Order) {
        let mut decide = None;
        // Where the narrow one may be cut, its last byte is no part of what was kept.
        let bytes = if narrow.length.is_some() { narrow.width - 1 } else { narrow.width.next_multiple_of(8) };
        for at in (0..bytes).step_by(8) {
            let offset = i16::try_from(at).unwrap_or(i16::MAX);
            let mut x = self.build.load(Access::U64, narrow.base, offset);
            let mut y = self.build.load(Access::U64, wide.base, offset);
            if bytes - at < 8 {
                let spare = 8 * i64::from(8 - (bytes - at));
                (x, y) = (self.build.bin_imm(BinOp::Shl, x, spare), self.build.bin_imm(BinOp::Shl, y, spare));
            }
            self.same_words(x, y, order, &mut decide);
        }
        if narrow.length.is_none() {
            return self.build.jump(order.same, &[]);
        }
        let (ended, goes_on) = (self.build.block(), self.build.block());
        let next = self.build.load(Access::U8, wide.base, i16::try_from(narrow.width - 1).unwrap_or(i16::MAX));
        let zero = self.build.iconst(0);
        self.build.branch(Cond::Eq, next, zero, ended, goes_on);
        self.build.switch_to(ended);
        self.if_cut(narrow, order.more, order.same);
        self.build.switch_to(goes_on);
        self.unless_cut(narrow, order.less, order.null);
    }
}

/// The text that is known now; nothing of it was cut.
pub(super) fn constant(expr: &Expr) -> Option<&[u8]> {
    match &expr.kind {
        ExprKind::Literal(Datum::Text(bytes)) => Some(bytes),
        _ => None,
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
