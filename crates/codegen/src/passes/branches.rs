//! Branches whose way is known.
//!
//! - `br c, d, yes, no` with constants is `jump`, the way that `c cond d` says; so is `x cond x`.
//! - `br a, b, t(x), t(x)` is `jump t(x)`.
//! - `br c cond x` is `br x cond' c`, so that constants stand on the right.
//! - `br (x + c) == d` is `br x == d - c`, and so for `!=`; `br (x ^ y) == 0` and `br (x - y) == 0` are `br x == y`.
//! - A branch that an earlier one on every way to it has decided is `jump`: the same comparison, or one with a
//!   constant that the range left by the earlier ones decides (`ranges`).

use super::cfg::{self, Def};
use super::facts;
use super::ranges::Ranges;
use super::shape::Shape;
use crate::ir::{BinOp, Block, Cfg, Cond, Func, Op, Terminator, Type, Value};

/// Decides branches.
pub fn run(func: &mut Func, shape: &mut Shape) -> bool {
    let cfg = shape.cfg(func);
    let mut changed = false;
    let (defs, constants) = (cfg::definitions(func, cfg), facts::constants(func));
    for &block in cfg.order() {
        changed |= canonical(func, block, &defs, &constants);
    }
    let constants = facts::constants(func);
    let known = Known { constants: &constants, bits: facts::unsigned_bits(func, cfg) };
    let mut earlier = Vec::new();
    let mut new = Vec::new();
    for &block in cfg.order() {
        let Terminator::Branch { cond, a, b, then, otherwise } = &func.block(block).terminator else { continue };
        let holds = if then == otherwise {
            Some(true)
        } else {
            find_earlier(func, cfg, block, &mut earlier);
            known.decide(&earlier, *cond, *a, *b)
        };
        let way = match holds {
            Some(true) => then.clone(),
            Some(false) => otherwise.clone(),
            None => continue,
        };
        new.push((block, Terminator::Jump(way.0, way.1)));
    }
    if !new.is_empty() {
        shape.changed();
        changed = true;
    }
    for (block, terminator) in new {
        func.blocks[block.index()].terminator = terminator;
    }
    shape.remove_unreachable(func) || changed
}

/// A comparison that holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Fact {
    pub(super) cond: Cond,
    pub(super) a: Value,
    pub(super) b: Value,
}

/// How many blocks back a branch is remembered: a test is repeated near its first place, and compiling stays linear.
const FAR: usize = 64;

/// What the branches on every way to the block have decided.
fn find_earlier(func: &Func, cfg: &Cfg, block: Block, facts: &mut Vec<Fact>) {
    facts.clear();
    let mut at = block;
    for _ in 0..FAR {
        let Some(parent) = cfg.immediate_dominator(at) else { break };
        // Only where the dominator goes straight here, and nobody else does, is its decision known.
        if cfg.predecessors(at) == [parent]
            && let Terminator::Branch { cond, a, b, then, otherwise } = &func.block(parent).terminator
            && then.0 != otherwise.0
        {
            let cond = if then.0 == at { *cond } else { negate(*cond) };
            facts.push(Fact { cond, a: *a, b: *b });
        }
        at = parent;
    }
}

struct Known<'a> {
    constants: &'a [Option<i64>],
    bits: Vec<u8>,
}

impl Known<'_> {
    fn decide(&self, earlier: &[Fact], cond: Cond, a: Value, b: Value) -> Option<bool> {
        if a == b {
            return Some(matches!(cond, Cond::Eq | Cond::Ule | Cond::Uge | Cond::Sle | Cond::Sge));
        }
        let range = |value: Value| self.range(earlier, value);
        if let Some(number) = self.constants[b.index()] {
            return range(a).decide(cond, number);
        }
        let same = |fact: &Fact| {
            let turned = Fact { cond: swap(fact.cond), a: fact.b, b: fact.a };
            [*fact, turned]
                .into_iter()
                .find(|fact| fact.a == a && fact.b == b)
                .and_then(|fact| implied(fact.cond, cond))
        };
        earlier.iter().find_map(same)
    }

    /// What the value may be here.
    fn range(&self, earlier: &[Fact], value: Value) -> Ranges {
        let mut ranges = match self.constants[value.index()] {
            Some(number) => Ranges::of(number),
            None => Ranges::of_bits(self.bits[value.index()]),
        };
        // The first in time last: holes at the ends of a range are cut off once the range is there.
        for fact in earlier.iter().rev().chain(earlier) {
            if let (true, Some(number)) = (fact.a == value, self.constants[fact.b.index()]) {
                ranges.narrow(fact.cond, number);
            }
        }
        ranges
    }
}

/// What one comparison of two values says of another comparison of the same two.
fn implied(fact: Cond, asked: Cond) -> Option<bool> {
    use Cond::{Eq, Ne, Sge, Sgt, Sle, Slt, Uge, Ugt, Ule, Ult};
    if fact == asked {
        return Some(true);
    }
    if fact == negate(asked) {
        return Some(false);
    }
    match (fact, asked) {
        (Eq, Ule | Uge | Sle | Sge) => Some(true),
        (Eq, Ult | Ugt | Slt | Sgt) => Some(false),
        (Ult | Ugt | Slt | Sgt, Ne) | (Ult, Ule) | (Ugt, Uge) | (Slt, Sle) | (Sgt, Sge) => Some(true),
        (Ult | Ugt | Slt | Sgt, Eq) | (Ult, Ugt) | (Ugt, Ult) | (Slt, Sgt) | (Sgt, Slt) => Some(false),
        _ => None,
    }
}

/// The comparison that holds where this one does not.
pub fn negate(cond: Cond) -> Cond {
    match cond {
        Cond::Eq => Cond::Ne,
        Cond::Ne => Cond::Eq,
        Cond::Ult => Cond::Uge,
        Cond::Uge => Cond::Ult,
        Cond::Ule => Cond::Ugt,
        Cond::Ugt => Cond::Ule,
        Cond::Slt => Cond::Sge,
        Cond::Sge => Cond::Slt,
        Cond::Sle => Cond::Sgt,
        Cond::Sgt => Cond::Sle,
    }
}

/// The comparison that says the same of exchanged sides.
pub fn swap(cond: Cond) -> Cond {
    match cond {
        Cond::Eq | Cond::Ne => cond,
        Cond::Ult => Cond::Ugt,
        Cond::Ugt => Cond::Ult,
        Cond::Ule => Cond::Uge,
        Cond::Uge => Cond::Ule,
        Cond::Slt => Cond::Sgt,
        Cond::Sgt => Cond::Slt,
        Cond::Sle => Cond::Sge,
        Cond::Sge => Cond::Sle,
    }
}

/// Brings a block's branch into the usual form.
fn canonical(func: &mut Func, block: Block, defs: &[Def], constants: &[Option<i64>]) -> bool {
    let span = func.block(block).span;
    let Terminator::Branch { cond, a, b, .. } = func.block(block).terminator else { return false };
    let (new, extra) = match (constants[a.index()], constants[b.index()]) {
        (Some(_), None) => ((swap(cond), b, a), None),
        (None, Some(number)) if matches!(cond, Cond::Eq | Cond::Ne) => {
            match plain(func, defs, constants, a, number) {
                Some((x, Side::Number(number))) => {
                    let (inst, value) = cfg::new_inst(func, Op::Const(number), span);
                    // A constant defines a value.
                    ((cond, x, value.unwrap_or(b)), Some(inst))
                }
                Some((x, Side::Value(y))) => ((cond, x, y), None),
                None => return false,
            }
        }
        _ => return false,
    };
    func.blocks[block.index()].insts.extend(extra);
    if let Terminator::Branch { cond, a, b, .. } = &mut func.blocks[block.index()].terminator {
        (*cond, *a, *b) = new;
    }
    true
}

enum Side {
    Number(i64),
    Value(Value),
}

/// `a == number`, without `a`'s own arithmetic.
fn plain(func: &Func, defs: &[Def], constants: &[Option<i64>], a: Value, number: i64) -> Option<(Value, Side)> {
    let &Op::Bin(op, x, y) = facts::op_of(func, defs, a)? else { return None };
    if func.ty(x) != Type::Int || func.ty(y) != Type::Int {
        return None;
    }
    match (op, constants[y.index()]) {
        (BinOp::Add, Some(by)) => Some((x, Side::Number(number.wrapping_sub(by)))),
        (BinOp::Xor, Some(by)) => Some((x, Side::Number(number ^ by))),
        (BinOp::Xor | BinOp::Sub, None) if number == 0 => Some((x, Side::Value(y))),
        _ => None,
    }
}
