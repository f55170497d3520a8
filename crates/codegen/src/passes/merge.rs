//! Straight lines become one block.
//!
//! - `a: …; jump b(x)` and `b(p): …` with no other way to `b` is `a: …; …` with `x` for `p`.
//! - Blocks that nothing reaches are emptied.

use super::cfg::Renames;
use super::shape::Shape;
use crate::ir::{Block, Func, Terminator};

/// Joins blocks.
pub fn run(func: &mut Func, shape: &mut Shape) -> bool {
    let removed = shape.remove_unreachable(func);
    let cfg = shape.cfg(func);
    let mut joined = vec![false; func.blocks.len()];
    let mut renames = Renames::new(func);
    let mut changed = false;
    for &block in cfg.order() {
        // What was joined to an earlier block is empty now.
        while let Terminator::Jump(next, args) = &func.block(block).terminator {
            let next = *next;
            if cfg.predecessors(next).len() != 1 || joined[next.index()] || next == block {
                break;
            }
            for (&param, &arg) in func.block(next).params.iter().zip(args) {
                renames.set(param, arg);
            }
            join(func, block, next);
            joined[next.index()] = true;
            changed = true;
        }
    }
    if changed {
        shape.changed();
    }
    renames.apply(func);
    changed || removed
}

fn join(func: &mut Func, block: Block, next: Block) {
    let behind = &mut func.blocks[next.index()];
    let insts = std::mem::take(&mut behind.insts);
    let terminator = std::mem::replace(&mut behind.terminator, Terminator::None);
    let span = behind.span;
    behind.params.clear();
    behind.cold = false;
    let data = &mut func.blocks[block.index()];
    data.insts.extend(insts);
    data.terminator = terminator;
    data.span = span;
}
