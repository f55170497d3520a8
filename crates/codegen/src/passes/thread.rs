//! Ways that pass a block only to be sent on.
//!
//! - `jump b(x)` with `b(p): jump t(y)` is `jump t(y)` with `x` for `p`.
//! - `jump b(c)` with `b(p): br p cond d, t, u` and constants `c`, `d` is the jump to `t` or `u` that `c cond d` says.
//!
//! Condition: `b` holds nothing but constants, and what it defines is used by its own terminator only, so that nothing
//! behind it misses it. The edge on which `br.null` passes an address stays.

use super::cfg;
use super::facts;
use super::shape::Shape;
use crate::ir::{Block, Cfg, Cond, Func, Inst, Op, Terminator, Value};

/// Sends ways on.
pub fn run(func: &mut Func, shape: &mut Shape) -> bool {
    let mut changed = false;
    // A round may make the blocks before a way passable; there are no more rounds than blocks.
    for _ in 0..func.blocks.len() {
        let cfg = shape.cfg(func);
        let passable = passable(func, cfg);
        let constants = facts::constants(func);
        let mut any = false;
        for &block in cfg.order() {
            for side in 0..func.block(block).terminator.targets().count() {
                while send_on(func, block, side, &passable, &constants) {
                    any = true;
                }
            }
        }
        if !any {
            break;
        }
        shape.changed();
        changed = true;
    }
    shape.remove_unreachable(func) || changed
}

/// Blocks of constants, of which nobody else uses anything.
fn passable(func: &Func, cfg: &Cfg) -> Vec<bool> {
    let mut passable = vec![false; func.blocks.len()];
    // What others use: all uses, less those of the terminators of blocks of constants.
    let mut others = cfg::use_counts(func, cfg);
    let is_constant = |inst: &Inst| matches!(func.inst(*inst).op, Op::Const(_));
    for &block in cfg.order().iter().skip(1) {
        let data = func.block(block);
        if !data.insts.iter().all(is_constant) {
            continue;
        }
        cfg::terminator_operands(&data.terminator, &mut |value| others[value.index()] -= 1);
        let results = data.insts.iter().filter_map(|&inst| func.inst(inst).result);
        passable[block.index()] = data.params.iter().copied().chain(results).all(|value| others[value.index()] == 0);
        cfg::terminator_operands(&data.terminator, &mut |value| others[value.index()] += 1);
    }
    passable
}

fn send_on(func: &mut Func, from: Block, side: usize, passable: &[bool], constants: &[Option<i64>]) -> bool {
    let terminator = &func.block(from).terminator;
    if cfg::implicit_params(terminator, side) > 0 {
        return false;
    }
    let Some((via, args)) = terminator.targets().nth(side) else { return false };
    if !passable[via.index()] || via == from {
        return false;
    }
    let args = args.to_vec();
    let number = |value: Value| {
        let at = func.block(via).params.iter().position(|param| *param == value);
        constants.get(at.map_or(value, |at| args[at]).index()).copied().flatten()
    };
    let (next, passed) = match &func.block(via).terminator {
        Terminator::Jump(next, passed) => (*next, passed.clone()),
        Terminator::Branch { cond, a, b, then, otherwise } => match (number(*a), number(*b)) {
            (Some(a), Some(b)) if holds(*cond, a, b) => then.clone(),
            (Some(_), Some(_)) => otherwise.clone(),
            _ => return false,
        },
        Terminator::BranchNull { .. } | Terminator::Return(_) | Terminator::None => return false,
    };
    let passed = passed.into_iter().map(|value| carry(func, from, via, &args, value)).collect();
    if let Some((target, args)) = func.blocks[from.index()].terminator.targets_mut().nth(side) {
        (*target, *args) = (next, passed);
    }
    true
}

/// The value in `from` that `value` of `via` is: an argument, a constant made anew, or itself.
fn carry(func: &mut Func, from: Block, via: Block, args: &[Value], value: Value) -> Value {
    if let Some(at) = func.block(via).params.iter().position(|param| *param == value) {
        return args[at];
    }
    let own = func.block(via).insts.iter().find(|inst| func.inst(**inst).result == Some(value)).copied();
    let Some(inst) = own else { return value };
    let data = *func.inst(inst);
    let (copy, result) = cfg::new_inst(func, data.op, data.span);
    func.blocks[from.index()].insts.push(copy);
    result.unwrap_or(value)
}

fn holds(cond: Cond, a: i64, b: i64) -> bool {
    super::ranges::Ranges::of(a).decide(cond, b) == Some(true)
}
