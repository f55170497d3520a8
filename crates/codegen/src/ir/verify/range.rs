//! Between which bounds each integer lies, as the kernel's verifier would find them.
//!
//! Bounds are unsigned. A value has those of the instruction that defines it, and in a block also what the branches on the way
//! there have asked. Never sharper than the kernel (`adjust_scalar_min_max_vals` and `reg_set_min_max`,
//! kernel/bpf/verifier.c 5.10): a quotient or a remainder has no bounds there, so it has none here.

use crate::interp::holds;
use crate::ir::{BinOp, Block, Cfg, Cond, CoreWhat, Func, Op, Terminator, Value};

/// At least, at most.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Range {
    pub(super) min: u64,
    pub(super) max: u64,
}

const FULL: Range = Range { min: 0, max: u64::MAX };
const POSITIVE: u64 = i64::MAX.cast_unsigned();

/// The bounds of all integers.
#[derive(Debug)]
pub(super) struct Ranges {
    known: Vec<Option<Range>>,
    /// For each value, the ways that ask for more than that it is not something, from above.
    asked: Vec<Vec<(Block, Block)>>,
    /// For each block, whether a way leads there that the kernel's verifier walks: of bounds and a known number it knows which is
    /// taken (is_branch_taken).
    reached: Vec<bool>,
}

impl Range {
    /// The number, if there is only one.
    pub(super) fn exact(self) -> Option<i64> {
        (self.min == self.max).then_some(self.min.cast_signed())
    }

    fn at_most(max: u64) -> Range {
        Range { min: 0, max }
    }

    fn join(self, other: Range) -> Range {
        Range { min: self.min.min(other.min), max: self.max.max(other.max) }
    }

    // What is empty is a path that is never taken; keep it valid.
    fn meet(self, other: Range) -> Range {
        let (min, max) = (self.min.max(other.min), self.max.min(other.max));
        if min <= max { Range { min, max } } else { self }
    }
}

impl Ranges {
    /// Walks the function once; it has no cycle.
    pub(super) fn new(func: &Func, cfg: &Cfg) -> Ranges {
        let (known, reached) = (vec![None; func.values.len()], vec![false; func.blocks.len()]);
        let mut ranges = Ranges { known, asked: asked(func, cfg), reached };
        for (at, &block) in cfg.order().iter().enumerate() {
            ranges.reached[block.index()] |= at == 0;
            if !ranges.is_reached(block) {
                continue;
            }
            for &inst in &func.block(block).insts {
                let data = func.inst(inst);
                if let Some(result) = data.result {
                    let range = ranges.result(func, cfg, block, &data.op);
                    ranges.known[result.index()] = Some(range);
                }
            }
            ranges.pass_on(func, cfg, block);
        }
        ranges
    }

    /// The value's bounds in this block.
    pub(super) fn of(&self, func: &Func, cfg: &Cfg, block: Block, value: Value) -> Range {
        let passed = self.asked[value.index()].iter().filter(|(_, to)| cfg.dominates(*to, block));
        passed.fold(self.plain(value), |range, (from, to)| {
            let first = func.block(*from).terminator.targets().next().is_some_and(|(first, _)| first == *to);
            self.asked(func, *from, first, value, range)
        })
    }

    /// Whether the block is ever entered, as far as bounds and constants tell.
    pub(super) fn is_reached(&self, block: Block) -> bool {
        self.reached[block.index()]
    }

    fn plain(&self, value: Value) -> Range {
        self.known[value.index()].unwrap_or(FULL)
    }

    fn pass_on(&mut self, func: &Func, cfg: &Cfg, block: Block) {
        let terminator = &func.block(block).terminator;
        let only = self.taken(func, cfg, block);
        for (i, (to, args)) in terminator.targets().enumerate() {
            if only.is_some_and(|first| first != (i == 0)) {
                continue;
            }
            self.reached[to.index()] = true;
            let skip = usize::from(matches!(terminator, Terminator::BranchNull { .. }) && i == 1);
            for (&param, &arg) in func.block(to).params.iter().skip(skip).zip(args) {
                let here = self.of(func, cfg, block, arg);
                let range = self.asked(func, block, i == 0, arg, here);
                let known = &mut self.known[param.index()];
                *known = Some(known.map_or(range, |known| known.join(range)));
            }
        }
    }

    // Whether the branch goes the first way or the second, if it always goes one: of what is compared with a known number.
    fn taken(&self, func: &Func, cfg: &Cfg, block: Block) -> Option<bool> {
        let Terminator::Branch { cond, a, b, .. } = &func.block(block).terminator else { return None };
        let number = self.of(func, cfg, block, *b).exact()?.cast_unsigned();
        decided(*cond, self.of(func, cfg, block, *a), number)
    }

    // What the branch at the end of `from` says of the value on the way where it holds, or where it does not.
    fn asked(&self, func: &Func, from: Block, holds: bool, value: Value, range: Range) -> Range {
        let Terminator::Branch { cond, a, b, .. } = &func.block(from).terminator else { return range };
        if *a != value && *b != value {
            return range;
        }
        let cond = if holds { *cond } else { negated(*cond) };
        let (cond, other) = if *a == value { (cond, *b) } else { (swapped(cond), *a) };
        compared(cond, range, self.plain(other))
    }

    fn result(&self, func: &Func, cfg: &Cfg, block: Block, op: &Op) -> Range {
        let of = |value: &Value| self.of(func, cfg, block, *value);
        match op {
            Op::Const(value) => Range { min: value.cast_unsigned(), max: value.cast_unsigned() },
            Op::Bin(op, a, b) => binary(*op, of(a), of(b)),
            Op::Extend { bits, signed, value } => extended(*bits, *signed, of(value)),
            Op::Load { access, .. } => Range::at_most(u64::MAX >> (64 - access.bytes() * 8)),
            // The loader writes a constant, and refuses nothing; where a field has grown beyond its buffer the kernel's verifier
            // refuses the program, so that the value compiled for is the one to check.
            Op::Core(core) if func.core(*core).what == CoreWhat::ByteSize => {
                let local = u64::from(func.core(*core).local);
                Range { min: local, max: local }
            }
            Op::Core(_) | Op::Call { .. } | Op::Scan(_) => FULL,
            Op::SlotAddr(_) | Op::MapAddr(_) | Op::GlobalAddr(_) | Op::Store { .. } | Op::AtomicAdd { .. } => FULL,
        }
    }
}

/// For each value, the ways that alone lead to their block, from a branch that compares it.
fn asked(func: &Func, cfg: &Cfg) -> Vec<Vec<(Block, Block)>> {
    let mut asked = vec![Vec::new(); func.values.len()];
    for &to in cfg.order() {
        let [from] = cfg.predecessors(to) else { continue };
        let Terminator::Branch { cond, a, b, then, .. } = &func.block(*from).terminator else { continue };
        let holds = if then.0 == to { *cond } else { negated(*cond) };
        if holds != Cond::Ne {
            asked[a.index()].push((*from, to));
            if a != b {
                asked[b.index()].push((*from, to));
            }
        }
    }
    asked
}

fn binary(op: BinOp, a: Range, b: Range) -> Range {
    match op {
        BinOp::Add => within(a.min.checked_add(b.min), a.max.checked_add(b.max)),
        BinOp::Sub => within(a.min.checked_sub(b.max), a.max.checked_sub(b.min)),
        BinOp::Mul => within(a.min.checked_mul(b.min), a.max.checked_mul(b.max)),
        BinOp::And => Range::at_most(a.max.min(b.max)),
        BinOp::Or | BinOp::Xor => Range::at_most(all_ones(a.max | b.max)),
        BinOp::Shl => within(shifted(a.min, b.min), shifted(a.max, b.max)),
        BinOp::Lshr => logical_right(a, b),
        BinOp::Ashr if a.max <= POSITIVE => logical_right(a, b),
        BinOp::UDiv | BinOp::UMod | BinOp::Ashr => FULL,
    }
}

// The larger bound wraps first.
fn within(min: Option<u64>, max: Option<u64>) -> Range {
    min.zip(max).map_or(FULL, |(min, max)| Range { min, max })
}

fn all_ones(value: u64) -> u64 {
    u64::MAX.checked_shr(value.leading_zeros()).unwrap_or(0)
}

fn shifted(value: u64, by: u64) -> Option<u64> {
    let factor = u32::try_from(by).ok().and_then(|by| 1u64.checked_shl(by))?;
    value.checked_mul(factor)
}

fn logical_right(a: Range, b: Range) -> Range {
    if b.max > 63 { Range::at_most(a.max) } else { Range { min: a.min >> b.max, max: a.max >> b.min } }
}

fn extended(bits: u8, signed: bool, range: Range) -> Range {
    let most = u64::MAX >> (64 - u32::from(bits).clamp(1, 64));
    match signed {
        false if range.max <= most => range,
        false => Range::at_most(most),
        true if range.max <= most >> 1 => range,
        true => FULL,
    }
}

// Where `range cond other` holds. Signed comparisons say something where no sign is in doubt.
fn compared(cond: Cond, range: Range, other: Range) -> Range {
    let positive = other.max <= POSITIVE;
    let both = positive && range.max <= POSITIVE;
    let up_to = |max: u64| range.meet(Range::at_most(max));
    match cond {
        Cond::Eq => range.meet(other),
        Cond::Ne => range,
        Cond::Ult => up_to(other.max.saturating_sub(1)),
        Cond::Ule => up_to(other.max),
        Cond::Ugt => range.meet(Range { min: other.min.saturating_add(1), max: u64::MAX }),
        Cond::Uge => range.meet(Range { min: other.min, max: u64::MAX }),
        Cond::Slt if both => up_to(other.max.saturating_sub(1)),
        Cond::Sle if both => up_to(other.max),
        Cond::Sgt if positive => range.meet(Range { min: other.min + 1, max: POSITIVE }),
        Cond::Sge if positive => range.meet(Range { min: other.min, max: POSITIVE }),
        Cond::Slt | Cond::Sle | Cond::Sgt | Cond::Sge => range,
    }
}

// Whether `range cond number` holds for all numbers of the range, or for none (is_branch64_taken, kernel/bpf/verifier.c 5.10).
fn decided(cond: Cond, range: Range, number: u64) -> Option<bool> {
    let one_sign = range.max <= POSITIVE || range.min > POSITIVE;
    let ordered = match cond {
        Cond::Eq | Cond::Ne => range.exact().is_some(),
        Cond::Ult | Cond::Ule | Cond::Ugt | Cond::Uge => true,
        Cond::Slt | Cond::Sle | Cond::Sgt | Cond::Sge => one_sign,
    };
    let ends = [range.min, range.max].map(|end| holds(cond, end, number));
    (ordered && ends[0] == ends[1]).then_some(ends[0])
}

fn negated(cond: Cond) -> Cond {
    match cond {
        Cond::Eq => Cond::Ne,
        Cond::Ne => Cond::Eq,
        Cond::Ult => Cond::Uge,
        Cond::Ule => Cond::Ugt,
        Cond::Ugt => Cond::Ule,
        Cond::Uge => Cond::Ult,
        Cond::Slt => Cond::Sge,
        Cond::Sle => Cond::Sgt,
        Cond::Sgt => Cond::Sle,
        Cond::Sge => Cond::Slt,
    }
}

fn swapped(cond: Cond) -> Cond {
    match cond {
        Cond::Eq => Cond::Eq,
        Cond::Ne => Cond::Ne,
        Cond::Ult => Cond::Ugt,
        Cond::Ule => Cond::Uge,
        Cond::Ugt => Cond::Ult,
        Cond::Uge => Cond::Ule,
        Cond::Slt => Cond::Sgt,
        Cond::Sle => Cond::Sge,
        Cond::Sgt => Cond::Slt,
        Cond::Sge => Cond::Sle,
    }
}
