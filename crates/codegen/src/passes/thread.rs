//! Ways that pass a block only to be sent on.
//!
//! - `jump b(x)` with `b(p): jump t(y)` is `jump t(y)` with `x` for `p`.
//! - `jump b(c)` with `b(p): br p cond d, t, u` and constants `c`, `d` is the jump to `t` or `u` that `c cond d` says.
//!
//! Condition: `b` holds nothing but constants, and what it defines is used by its own terminator only, so that nothing
//! behind it misses it. The edge on which `br.null` passes an address stays.

use super::cfg;
use super::facts;
use crate::ir::{Block, Cond, Func, Op, Terminator, Value, reverse_postorder};

/// Sends ways on.
pub fn run(func: &mut Func) -> bool {
    let mut changed = false;
    // A round may make the blocks before a way passable; there are no more rounds than blocks.
    for _ in 0..func.blocks.len() {
        let passable = passable(func);
        let constants = facts::constants(func);
        let mut any = false;
        for block in reverse_postorder(func) {
            for side in 0..func.block(block).terminator.targets().count() {
                while send_on(func, block, side, &passable, &constants) {
                    any = true;
                }
            }
        }
        if !any {
            break;
        }
        changed = true;
    }
    cfg::remove_unreachable(func) || changed
}

/// Blocks of constants, of which nobody else uses anything.
fn passable(func: &Func) -> Vec<bool> {
    let order = reverse_postorder(func);
    let uses = cfg::use_counts(func, &order);
    let mut passable = vec![false; func.blocks.len()];
    for block in order {
        let data = func.block(block);
        let constant = data.insts.iter().all(|&inst| matches!(func.inst(inst).op, Op::Const(_)));
        let results = data.insts.iter().filter_map(|&inst| func.inst(inst).result);
        let defined: Vec<Value> = data.params.iter().copied().chain(results).collect();
        let mut own = vec![0; defined.len()];
        cfg::terminator_operands(&data.terminator, &mut |value| {
            defined.iter().position(|defined| *defined == value).into_iter().for_each(|at| own[at] += 1);
        });
        let alone = defined.iter().zip(own).all(|(value, own)| uses[value.index()] == own);
        passable[block.index()] = constant && alone && block != Block(0);
    }
    passable
}

fn send_on(func: &mut Func, from: Block, side: usize, passable: &[bool], constants: &[Option<i64>]) -> bool {
    let terminator = &func.block(from).terminator;
    if cfg::implicit_params(terminator, side) > 0 {
        return false;
    }
    let Some((via, args)) = terminator.targets().nth(side) else { return false };
    let (via, args) = (via, args.to_vec());
    if !passable[via.index()] || via == from {
        return false;
    }
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
