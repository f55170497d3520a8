//! Arithmetic that is known before it runs, and cheaper forms of the rest.
//!
//! The equations stand beside the rules below. All hold for all 64-bit numbers, wrapping; a rule for pointers is one
//! that also holds when `x` is an address.

use super::cfg::{self, Def, Renames};
use super::facts;
use super::shape::Shape;
use crate::ir::{BinOp, Block, Func, Inst, Op, Type, Value};
use bpfquery_diag::Span;

/// Applies the equations once to each instruction.
pub fn run(func: &mut Func, shape: &mut Shape) -> bool {
    let cfg = shape.cfg(func);
    let mut folder = Folder {
        defs: cfg::definitions(func, cfg),
        constants: facts::constants(func),
        bits: facts::unsigned_bits(func, cfg),
        renames: Renames::new(func),
        made: Vec::new(),
        span: Span::default(),
        func,
    };
    let mut changed = false;
    for &block in cfg.order() {
        changed |= folder.block(block);
    }
    let renames = folder.renames;
    renames.apply(func) || changed
}

/// What an instruction turns out to be.
enum Is {
    Constant(i64),
    Value(Value),
    Op(Op),
}

struct Folder<'a> {
    func: &'a mut Func,
    defs: Vec<Def>,
    constants: Vec<Option<i64>>,
    bits: Vec<u8>,
    renames: Renames,
    /// Constants made for the present instruction.
    made: Vec<Inst>,
    span: Span,
}

impl Folder<'_> {
    fn block(&mut self, block: Block) -> bool {
        let mut changed = false;
        let mut at = 0;
        while let Some(&inst) = self.func.block(block).insts.get(at) {
            self.span = self.func.inst(inst).span;
            changed |= self.inst(inst);
            for made in self.made.drain(..) {
                self.func.blocks[block.index()].insts.insert(at, made);
                at += 1;
            }
            at += 1;
        }
        changed
    }

    fn inst(&mut self, inst: Inst) -> bool {
        let mut op = self.func.inst(inst).op;
        cfg::map_operands(&mut op, &mut |value| self.renames.get(value));
        let Some(result) = self.func.inst(inst).result else { return false };
        let is = match op {
            Op::Bin(op, a, b) => self.bin(op, a, b),
            Op::Extend { bits, signed, value } => self.extend(bits, signed, value),
            _ => None,
        };
        match is {
            None => return false,
            // Whether anyone uses the old name is seen when the names are put in.
            Some(Is::Value(value)) => {
                self.renames.set(result, value);
                return false;
            }
            Some(Is::Constant(number)) => {
                self.func.insts[inst.index()].op = Op::Const(number);
                self.constants[result.index()] = Some(number);
            }
            Some(Is::Op(op)) => self.func.insts[inst.index()].op = op,
        }
        true
    }

    fn op(&self, value: Value) -> Option<&Op> {
        facts::op_of(self.func, &self.defs, value)
    }

    fn constant(&mut self, number: i64) -> Value {
        let (inst, result) = cfg::new_inst(self.func, Op::Const(number), self.span);
        self.made.push(inst);
        self.defs.push(Def::None);
        self.constants.push(Some(number));
        self.bits.push(64);
        // A constant defines a value.
        result.unwrap_or(Value(u32::MAX))
    }

    fn with(&mut self, op: BinOp, a: Value, number: i64) -> Option<Is> {
        let b = self.constant(number);
        Some(Is::Op(Op::Bin(op, a, b)))
    }

    fn bin(&mut self, op: BinOp, a: Value, b: Value) -> Option<Is> {
        let is_int = self.func.ty(a) == Type::Int;
        match (self.constants[a.index()], self.constants[b.index()]) {
            (Some(x), Some(y)) => Some(Is::Constant(evaluate(op, x, y))),
            // c op x == x op c, if op commutes
            (Some(_), None) if is_commutative(op) => Some(Is::Op(Op::Bin(op, b, a))),
            // 0 / x == 0 % x == 0 << x == 0 >> x == 0
            (Some(0), None) if !matches!(op, BinOp::Sub) => Some(Is::Constant(0)),
            (None, Some(c)) => {
                self.neutral(op, a, c).or_else(|| self.chain(op, a, c)).or_else(|| self.cheaper(op, a, c))
            }
            (None, None) if a == b && is_int => same(op, a),
            _ => None,
        }
    }

    /// Right sides that leave the left one as it is, or swallow it.
    fn neutral(&self, op: BinOp, a: Value, c: i64) -> Option<Is> {
        let bits = u32::from(self.bits[a.index()]);
        let all = if bits >= 64 { -1 } else { ((1_u64 << bits) - 1) as i64 };
        match (op, c) {
            // x + 0 == x - 0 == x | 0 == x ^ 0 == x
            (BinOp::Add | BinOp::Sub | BinOp::Or | BinOp::Xor, 0) => Some(Is::Value(a)),
            // x << 0 == x >> 0 == x
            (BinOp::Shl | BinOp::Lshr | BinOp::Ashr, _) if c & 63 == 0 => Some(Is::Value(a)),
            // x * 1 == x / 1 == x; x % 0 == x
            (BinOp::Mul | BinOp::UDiv, 1) | (BinOp::UMod, 0) => Some(Is::Value(a)),
            // x & m == x, if m has every bit that x may have
            (BinOp::And, _) if c & all == all => Some(Is::Value(a)),
            // x & m == 0, if m has no bit that x may have
            (BinOp::And, _) if c & all == 0 => Some(Is::Constant(0)),
            // x >> n == 0, if x has at most n bits
            (BinOp::Lshr, _) if bits <= (c & 63) as u32 => Some(Is::Constant(0)),
            // x * 0 == x / 0 == x % 1 == 0
            (BinOp::Mul | BinOp::UDiv, 0) | (BinOp::UMod, 1) => Some(Is::Constant(0)),
            // x | -1 == -1
            (BinOp::Or, -1) => Some(Is::Constant(-1)),
            _ => None,
        }
    }

    /// Two constants in a row.
    fn chain(&mut self, op: BinOp, a: Value, c: i64) -> Option<Is> {
        if let (BinOp::And, &Op::Extend { bits, value: x, .. }) = (op, self.op(a)?) {
            // ext n x & c == x & c, if c has no bit above n bits
            return if extended(bits, false, c) == c { self.with(BinOp::And, x, c) } else { None };
        }
        let &Op::Bin(inner, x, by) = self.op(a)? else { return None };
        let d = self.constants[by.index()]?;
        match (inner, op) {
            // (x + d) + c == x + (d + c); with - as + of the negative
            (BinOp::Add, BinOp::Add) => self.with(BinOp::Add, x, d.wrapping_add(c)),
            (BinOp::Add, BinOp::Sub) => self.with(BinOp::Add, x, d.wrapping_sub(c)),
            // (x & d) & c == x & (d & c), and so for | and ^
            (BinOp::And, BinOp::And) | (BinOp::Or, BinOp::Or) | (BinOp::Xor, BinOp::Xor) => {
                self.with(op, x, evaluate(op, d, c))
            }
            // (x * d) * c == x * (d * c)
            (BinOp::Mul, BinOp::Mul) => self.with(BinOp::Mul, x, d.wrapping_mul(c)),
            // (x << n) << m == x << (n + m), or 0; and so for >>
            (BinOp::Shl, BinOp::Shl) | (BinOp::Lshr, BinOp::Lshr) => match (d & 63) + (c & 63) {
                by @ 0..64 => self.with(op, x, by),
                _ => Some(Is::Constant(0)),
            },
            // (x << n) >> n is the low 64 - n bits of x, zero- or sign-extended
            (BinOp::Shl, BinOp::Lshr | BinOp::Ashr) if d & 63 == c & 63 && matches!(c & 63, 32 | 48 | 56) => {
                let (bits, signed) = ((64 - (c & 63)) as u8, op == BinOp::Ashr);
                Some(Is::Op(Op::Extend { bits, signed, value: x }))
            }
            _ => None,
        }
    }

    /// The same by a cheaper instruction.
    fn cheaper(&mut self, op: BinOp, a: Value, c: i64) -> Option<Is> {
        let power = (c as u64).is_power_of_two();
        let log = i64::from(c.trailing_zeros());
        match op {
            // x - c == x + -c, so that sums have one form
            BinOp::Sub => self.with(BinOp::Add, a, c.wrapping_neg()),
            // x * 2^n == x << n
            BinOp::Mul if power => self.with(BinOp::Shl, a, log),
            // x / 2^n == x >> n
            BinOp::UDiv if power => self.with(BinOp::Lshr, a, log),
            // x % 2^n == x & (2^n - 1)
            BinOp::UMod if power => self.with(BinOp::And, a, c.wrapping_sub(1)),
            // x & 0xffffffff is the low half: the mask does not fit an immediate
            BinOp::And if c == 0xffff_ffff => Some(Is::Op(Op::Extend { bits: 32, signed: false, value: a })),
            // x s>> n == x >> n, if the sign bit is clear
            BinOp::Ashr if self.bits[a.index()] < 64 => Some(Is::Op(Op::Bin(BinOp::Lshr, a, self.constant(c)))),
            _ => None,
        }
    }

    fn extend(&mut self, bits: u8, signed: bool, value: Value) -> Option<Is> {
        if let Some(number) = self.constants[value.index()] {
            return Some(Is::Constant(extended(bits, signed, number)));
        }
        match *self.op(value)? {
            Op::Extend { bits: inner, signed: inner_signed, value: x } => {
                if bits <= inner {
                    // ext n (ext m x) == ext n x, if n <= m
                    return Some(Is::Op(Op::Extend { bits, signed, value: x }));
                }
                // sext n (sext m x) == sext m x, if n >= m; zext is `extend`'s business
                (signed && inner_signed).then_some(Is::Value(value))
            }
            // zext n (x & m) == x & (m without what is above n bits)
            Op::Bin(BinOp::And, x, mask) if !signed => {
                let mask = self.constants[mask.index()]?;
                let kept = extended(bits, false, mask);
                // Worth it only where the new mask fits an immediate.
                if i32::try_from(kept).is_ok() { self.with(BinOp::And, x, kept) } else { None }
            }
            _ => None,
        }
    }
}

/// Both sides are one value.
fn same(op: BinOp, a: Value) -> Option<Is> {
    match op {
        // x - x == x ^ x == 0
        BinOp::Sub | BinOp::Xor => Some(Is::Constant(0)),
        // x & x == x | x == x
        BinOp::And | BinOp::Or => Some(Is::Value(a)),
        BinOp::Add | BinOp::Mul | BinOp::UDiv | BinOp::UMod | BinOp::Shl | BinOp::Lshr | BinOp::Ashr => None,
    }
}

fn is_commutative(op: BinOp) -> bool {
    matches!(op, BinOp::Add | BinOp::Mul | BinOp::And | BinOp::Or | BinOp::Xor)
}

/// `a op b`, as BPF computes it.
pub fn evaluate(op: BinOp, a: i64, b: i64) -> i64 {
    let (x, y) = (a as u64, b as u64);
    let by = (y & 63) as u32;
    let number = match op {
        BinOp::Add => x.wrapping_add(y),
        BinOp::Sub => x.wrapping_sub(y),
        BinOp::Mul => x.wrapping_mul(y),
        BinOp::UDiv => x.checked_div(y).unwrap_or(0),
        BinOp::UMod => x.checked_rem(y).unwrap_or(x),
        BinOp::And => x & y,
        BinOp::Or => x | y,
        BinOp::Xor => x ^ y,
        BinOp::Shl => x << by,
        BinOp::Lshr => x >> by,
        BinOp::Ashr => (a >> by) as u64,
    };
    number as i64
}

/// The low `bits` (1 to 64) of a number, extended.
pub fn extended(bits: u8, signed: bool, number: i64) -> i64 {
    let by = 64 - u32::from(bits);
    if signed { number << by >> by } else { ((number << by) as u64 >> by) as i64 }
}
