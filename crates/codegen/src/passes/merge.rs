//! Straight lines become one block.
//!
//! - `a: …; jump b(x)` and `b(p): …` with no other way to `b` is `a: …; …` with `x` for `p`.
//! - Blocks that nothing reaches are emptied.

use super::cfg::{self, Renames};
use crate::ir::{Block, Func, Terminator, reverse_postorder};

/// Joins blocks.
pub fn run(func: &mut Func) -> bool {
    let mut changed = cfg::remove_unreachable(func);
    let order = reverse_postorder(func);
    let mut preds: Vec<usize> = cfg::predecessors(func, &order).iter().map(Vec::len).collect();
    let mut renames = Renames::new(func);
    for block in order {
        // What was joined to an earlier block is empty now.
        while let Terminator::Jump(next, args) = &func.block(block).terminator {
            let (next, args) = (*next, args.clone());
            if preds[next.index()] != 1 || next == block {
                break;
            }
            let params = std::mem::take(&mut func.blocks[next.index()].params);
            for (param, arg) in params.into_iter().zip(args) {
                renames.set(param, arg);
            }
            join(func, block, next);
            preds[next.index()] = 0;
            changed = true;
        }
    }
    renames.apply(func);
    changed
}

fn join(func: &mut Func, block: Block, next: Block) {
    let behind = &mut func.blocks[next.index()];
    let insts = std::mem::take(&mut behind.insts);
    let terminator = std::mem::replace(&mut behind.terminator, Terminator::None);
    let span = behind.span;
    behind.cold = false;
    let data = &mut func.blocks[block.index()];
    data.insts.extend(insts);
    data.terminator = terminator;
    data.span = span;
}
