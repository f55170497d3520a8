//! Block parameters that are no choice.
//!
//! - A parameter that every way fills with `x` is `x`.
//! - A parameter that every way fills with the constant `c` is the constant `c`.
//! - A parameter that nobody uses goes, with its arguments. The pointer that `br.null` passes stays.

use super::cfg::{self, Renames};
use super::facts;
use super::shape::Shape;
use crate::ir::{Block, Cfg, Func, Op, Terminator, Value};

/// Cleans up parameters.
pub fn run(func: &mut Func, shape: &mut Shape) -> bool {
    let cfg = shape.cfg(func);
    let mut changed = name_after_argument(func, cfg);
    changed |= remove_unused(func, cfg);
    changed
}

/// What each way passes for the parameter of `block` at `index`; `None` where a terminator fills it itself.
fn passed(func: &Func, cfg: &Cfg, block: Block, index: usize, args: &mut Vec<Value>) -> Option<()> {
    args.clear();
    for &pred in cfg.predecessors(block) {
        let terminator = &func.block(pred).terminator;
        // A block that goes here both ways is one of two predecessors; its arguments are then seen twice.
        for (side, (_, passed)) in terminator.targets().enumerate().filter(|(_, (target, _))| *target == block) {
            let explicit = index.checked_sub(cfg::implicit_params(terminator, side))?;
            args.push(*passed.get(explicit)?);
        }
    }
    Some(())
}

fn name_after_argument(func: &mut Func, cfg: &Cfg) -> bool {
    let constants = facts::constants(func);
    let mut renames = Renames::new(func);
    let mut args = Vec::new();
    for block in func.block_ids().skip(1) {
        let mut made = Vec::new();
        for index in 0..func.block(block).params.len() {
            if passed(func, cfg, block, index, &mut args).is_none() || args.is_empty() {
                continue;
            }
            let param = func.block(block).params[index];
            args.iter_mut().for_each(|arg| *arg = renames.get(*arg));
            if args.iter().all(|arg| *arg == args[0]) {
                renames.set(param, args[0]);
            } else if let Some(number) = same_constant(&args, &constants) {
                let (inst, value) = cfg::new_inst(func, Op::Const(number), func.block(block).span);
                made.push(inst);
                // A constant defines a value.
                value.into_iter().for_each(|value| renames.set(param, value));
            }
        }
        made.into_iter().for_each(|inst| func.blocks[block.index()].insts.insert(0, inst));
    }
    renames.apply(func)
}

fn same_constant(args: &[Value], constants: &[Option<i64>]) -> Option<i64> {
    let number = |arg: &Value| constants.get(arg.index()).copied().flatten();
    let first = number(args.first()?)?;
    args.iter().all(|arg| number(arg) == Some(first)).then_some(first)
}

fn remove_unused(func: &mut Func, cfg: &Cfg) -> bool {
    let mut used: Vec<bool> = cfg::use_counts(func, cfg).into_iter().map(|uses| uses > 0).collect();
    keep_implicit(func, &mut used);
    let is_used = |param: &Value| used[param.index()];
    if func.blocks.iter().all(|block| block.params.iter().all(is_used)) {
        return false;
    }
    for &block in cfg.order() {
        remove_arguments(func, block, &used);
    }
    func.blocks.iter_mut().for_each(|block| block.params.retain(is_used));
    true
}

/// The entry's context and what `br.null` passes.
fn keep_implicit(func: &Func, used: &mut [bool]) {
    func.blocks[0].params.iter().for_each(|param| used[param.index()] = true);
    for block in &func.blocks {
        for (side, (target, _)) in block.terminator.targets().enumerate() {
            let implicit = cfg::implicit_params(&block.terminator, side);
            func.block(target).params.iter().take(implicit).for_each(|param| used[param.index()] = true);
        }
    }
}

/// Passes no more what goes to parameters that are not used.
fn remove_arguments(func: &mut Func, block: Block, used: &[bool]) {
    let mut terminator = std::mem::replace(&mut func.blocks[block.index()].terminator, Terminator::None);
    let is_null_test = matches!(terminator, Terminator::BranchNull { .. });
    for (side, (target, args)) in terminator.targets_mut().enumerate() {
        let implicit = usize::from(is_null_test && side == 1);
        let mut params = func.block(*target).params.iter().skip(implicit);
        args.retain(|_| params.next().is_none_or(|param| used[param.index()]));
    }
    func.blocks[block.index()].terminator = terminator;
}
