//! What is known of a value's bits: how many low bits may be set.
//!
//! What holds: `value < 2^bits` as unsigned, for each value at each run. There are two answers: what is true, and what
//! the kernel's verifier knows, too (from 5.10 on). A mask that says what is true already may still be the one that
//! shows the verifier that an access is in bounds. Not tracked: lower bounds, sign, and what
//! a branch says of a value behind it.

use super::cfg::{Def, implicit_params};
use crate::ir::{BinOp, Block, Cfg, Func, Inst, Op, Type, Value};
use bpfquery_isa::Helper;

/// For each value, how many low bits may be set (0 to 64), as far as the kernel's verifier knows.
pub fn unsigned_bits(func: &Func, cfg: &Cfg) -> Vec<u8> {
    bits(func, cfg, false)
}

/// For each value, how many low bits may be set (0 to 64).
pub fn true_bits(func: &Func, cfg: &Cfg) -> Vec<u8> {
    bits(func, cfg, true)
}

fn bits(func: &Func, cfg: &Cfg, all: bool) -> Vec<u8> {
    let mut bits = vec![64; func.values.len()];
    let constants = constants(func);
    // Of each parameter, the most that the ways visited so far bring it. The context pointer comes from outside.
    for &block in cfg.order().iter().skip(1) {
        func.block(block).params.iter().for_each(|param| bits[param.index()] = 0);
    }
    let mut visited = vec![0; func.blocks.len()];
    for &block in cfg.order() {
        if visited[block.index()] < cfg.predecessors(block).len() {
            // What comes around a loop is not known yet.
            func.block(block).params.iter().for_each(|param| bits[param.index()] = 64);
        }
        for &inst in &func.block(block).insts {
            if let Some(result) = func.inst(inst).result {
                bits[result.index()] = of_inst(func, inst, &bits, &constants, all);
            }
        }
        pass_on(func, block, &mut bits, &mut visited);
    }
    bits
}

fn pass_on(func: &Func, block: Block, bits: &mut [u8], visited: &mut [usize]) {
    let terminator = &func.block(block).terminator;
    for (side, (target, args)) in terminator.targets().enumerate() {
        visited[target.index()] += 1;
        let (own, passed) = func.block(target).params.split_at(implicit_params(terminator, side));
        own.iter().for_each(|param| bits[param.index()] = 64);
        for (param, arg) in passed.iter().zip(args) {
            bits[param.index()] = bits[param.index()].max(bits[arg.index()]);
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
