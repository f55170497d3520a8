//! Block parameters that are no choice.
//!
//! - A parameter that every way fills with `x` is `x`.
//! - A parameter that every way fills with the constant `c` is the constant `c`.
//! - A parameter that nobody uses goes, with its arguments. The pointer that `br.null` passes stays.

use super::cfg::{self, Renames};
use super::facts;
use crate::ir::{Block, Func, Op, Value, reverse_postorder};

/// Cleans up parameters.
pub fn run(func: &mut Func) -> bool {
    let mut changed = name_after_argument(func);
    changed |= remove_unused(func);
    changed
}

/// For each block, what its ways pass; a parameter that a terminator fills itself has `None`.
fn arguments(func: &Func) -> Vec<Vec<Vec<Option<Value>>>> {
    let mut all = vec![Vec::new(); func.blocks.len()];
    for block in reverse_postorder(func) {
        let terminator = &func.block(block).terminator;
        for (side, (target, args)) in terminator.targets().enumerate() {
            let implicit = vec![None; cfg::implicit_params(terminator, side)];
            all[target.index()].push(implicit.into_iter().chain(args.iter().copied().map(Some)).collect());
        }
    }
    all
}

fn name_after_argument(func: &mut Func) -> bool {
    let constants = facts::constants(func);
    let mut renames = Renames::new(func);
    for (at, ways) in arguments(func).into_iter().enumerate().skip(1) {
        for (index, param) in func.blocks[at].params.clone().into_iter().enumerate() {
            let passed: Option<Vec<Value>> = ways.iter().map(|way| way.get(index).copied().flatten()).collect();
            let Some(passed) = passed.filter(|passed| !passed.is_empty()) else { continue };
            let args: Vec<Value> = passed.into_iter().map(|arg| renames.get(arg)).collect();
            if args.iter().all(|arg| *arg == args[0]) {
                renames.set(param, args[0]);
            } else if let Some(number) = same_constant(&args, &constants) {
                let span = func.blocks[at].span;
                let (inst, value) = cfg::new_inst(func, Op::Const(number), span);
                func.blocks[at].insts.insert(0, inst);
                // A constant defines a value.
                value.into_iter().for_each(|value| renames.set(param, value));
            }
        }
    }
    renames.apply(func)
}

fn same_constant(args: &[Value], constants: &[Option<i64>]) -> Option<i64> {
    let number = |arg: &Value| constants.get(arg.index()).copied().flatten();
    let first = number(args.first()?)?;
    args.iter().all(|arg| number(arg) == Some(first)).then_some(first)
}

fn remove_unused(func: &mut Func) -> bool {
    let order = reverse_postorder(func);
    let uses = cfg::use_counts(func, &order);
    let mut kept: Vec<Vec<bool>> = Vec::new();
    for block in &func.blocks {
        kept.push(block.params.iter().map(|param| uses[param.index()] > 0).collect());
    }
    keep_implicit(func, &mut kept);
    let changed = kept.iter().flatten().any(|kept| !kept);
    if changed {
        for (block, kept) in func.blocks.iter_mut().zip(&kept) {
            retain(&mut block.params, kept);
        }
        for block in order {
            remove_arguments(func, block, &kept);
        }
    }
    changed
}

/// The entry's context and what `br.null` passes.
fn keep_implicit(func: &Func, kept: &mut [Vec<bool>]) {
    kept[0].iter_mut().for_each(|kept| *kept = true);
    for block in &func.blocks {
        for (side, (target, _)) in block.terminator.targets().enumerate() {
            let implicit = cfg::implicit_params(&block.terminator, side);
            kept[target.index()].iter_mut().take(implicit).for_each(|kept| *kept = true);
        }
    }
}

fn remove_arguments(func: &mut Func, block: Block, kept: &[Vec<bool>]) {
    let terminator = &mut func.blocks[block.index()].terminator;
    let implicit: Vec<usize> = (0..2).map(|side| cfg::implicit_params(terminator, side)).collect();
    for ((target, args), implicit) in terminator.targets_mut().zip(implicit) {
        retain(args, &kept[target.index()][implicit..]);
    }
}

fn retain(values: &mut Vec<Value>, kept: &[bool]) {
    let mut kept = kept.iter();
    values.retain(|_| kept.next().copied().unwrap_or(true));
}
