//! What is known of a value's bits: how many low bits may be set.
//!
//! What holds: `value < 2^bits` as unsigned, for each value at each run. There are two answers: what is true, and what
//! the kernel's verifier knows, too (from 5.10 on). A mask that says what is true already may still be the one that
//! shows the verifier that an access is in bounds. Not tracked: lower bounds, sign, and what
//! a branch says of a value behind it.

use super::cfg::{Def, definitions, implicit_params};
use crate::ir::{BinOp, Block, Func, Inst, Op, Type, Value, reverse_postorder};
use bpfquery_isa::Helper;

/// For each value, how many low bits may be set (0 to 64), as far as the kernel's verifier knows.
pub fn unsigned_bits(func: &Func) -> Vec<u8> {
    bits(func, false)
}

/// For each value, how many low bits may be set (0 to 64).
pub fn true_bits(func: &Func) -> Vec<u8> {
    bits(func, true)
}

fn bits(func: &Func, all: bool) -> Vec<u8> {
    let order = reverse_postorder(func);
    let mut bits = vec![64; func.values.len()];
    let constants = constants(func);
    let mut incoming = Incoming::new(func, &order);
    for &block in &order {
        for (at, param) in func.block(block).params.iter().enumerate() {
            bits[param.index()] = incoming.bits(block, at);
        }
        for &inst in &func.block(block).insts {
            if let Some(result) = func.inst(inst).result {
                bits[result.index()] = of_inst(func, inst, &bits, &constants, all);
            }
        }
        incoming.visit(func, block, &bits);
    }
    bits
}

/// The most bits that any way brings to each parameter, as far as the ways are visited.
struct Incoming {
    most: Vec<Vec<u8>>,
    open: Vec<u32>,
}

impl Incoming {
    fn new(func: &Func, order: &[Block]) -> Incoming {
        let most = func.blocks.iter().map(|block| vec![0; block.params.len()]).collect();
        let mut open = vec![0; func.blocks.len()];
        for &block in order {
            for (target, _) in func.block(block).terminator.targets() {
                open[target.index()] += 1;
            }
        }
        // The context pointer comes from outside.
        open[0] += 1;
        Incoming { most, open }
    }

    fn bits(&self, block: Block, at: usize) -> u8 {
        if self.open[block.index()] == 0 { self.most[block.index()][at] } else { 64 }
    }

    fn visit(&mut self, func: &Func, block: Block, bits: &[u8]) {
        let terminator = &func.block(block).terminator;
        for (side, (target, args)) in terminator.targets().enumerate() {
            self.open[target.index()] -= 1;
            let implicit = implicit_params(terminator, side);
            let most = &mut self.most[target.index()];
            most.iter_mut().take(implicit).for_each(|bits| *bits = 64);
            for (slot, arg) in most.iter_mut().skip(implicit).zip(args) {
                *slot = (*slot).max(bits[arg.index()]);
            }
        }
    }
}

fn of_inst(func: &Func, inst: Inst, bits: &[u8], constants: &[Option<i64>], all: bool) -> u8 {
    let data = func.inst(inst);
    if data.result.is_some_and(|result| func.ty(result) != Type::Int) {
        return 64;
    }
    let of = |value: Value| bits[value.index()];
    match &data.op {
        Op::Const(value) => width(*value as u64),
        Op::Load { access, .. } => (access.bytes() * 8) as u8,
        Op::Extend { bits, signed: false, value } => (*bits).min(of(*value)),
        // A number whose sign bit is clear stays what it is.
        Op::Extend { bits, signed: true, value } => {
            if of(*value) < *bits {
                of(*value)
            } else {
                64
            }
        }
        Op::Bin(op, a, b) => of_bin(*op, of(*a), of(*b), constants[b.index()], all),
        // Offsets, sizes and shifts of fields; existence.
        Op::Core(_) => 32,
        // The kernel's functions return u32 (kernel/bpf/helpers.c, 6.18).
        Op::Call { helper: Helper::GetSmpProcessorId | Helper::GetPrandomU32, .. } if all => 32,
        Op::Call { .. } | Op::SlotAddr(_) | Op::MapAddr(_) | Op::GlobalAddr(_) => 64,
        Op::Store { .. } | Op::AtomicAdd { .. } | Op::Scan(_) => 64,
    }
}

fn of_bin(op: BinOp, a: u8, b: u8, constant: Option<i64>, all: bool) -> u8 {
    match op {
        BinOp::Add => (a.max(b) + 1).min(64),
        // scalar_min_max_mul gives up above 32 bits, division gives up altogether (kernel/bpf/verifier.c, 5.10).
        BinOp::Mul if all || (a <= 32 && b <= 32) => (a + b).min(64),
        BinOp::UDiv | BinOp::UMod if !all => 64,
        BinOp::And => a.min(b),
        BinOp::Or | BinOp::Xor => a.max(b),
        BinOp::UDiv => a,
        // `a % 0` is `a`.
        BinOp::UMod => match constant {
            Some(by) if by > 0 => width(by as u64 - 1).min(a),
            _ => a,
        },
        BinOp::Lshr => a.saturating_sub(constant.map_or(0, |by| (by & 63) as u8)),
        BinOp::Shl => constant.map_or(64, |by| (a + (by & 63) as u8).min(64)),
        BinOp::Ashr if a < 64 => a.saturating_sub(constant.map_or(0, |by| (by & 63) as u8)),
        BinOp::Mul | BinOp::Ashr | BinOp::Sub => 64,
    }
}

fn width(value: u64) -> u8 {
    (64 - value.leading_zeros()) as u8
}

/// The constant that each value is, if it is one.
pub fn constants(func: &Func) -> Vec<Option<i64>> {
    let mut constants = vec![None; func.values.len()];
    for data in &func.insts {
        if let (Op::Const(value), Some(result)) = (&data.op, data.result) {
            constants[result.index()] = Some(*value);
        }
    }
    constants
}

/// The operation that defines a value, if an instruction does.
pub fn op_of<'a>(func: &'a Func, defs: &[Def], value: Value) -> Option<&'a Op> {
    match defs[value.index()] {
        Def::Inst(_, inst) => Some(&func.inst(inst).op),
        Def::Param(..) | Def::None => None,
    }
}

/// Definitions of the values that the entry reaches.
pub fn defs_of(func: &Func) -> Vec<Def> {
    definitions(func, &reverse_postorder(func))
}
