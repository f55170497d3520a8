//! A chain of comparisons of one value with constants becomes a search.
//!
//! - `if x = c1 goto a1; if x = c2 goto a2; …; goto d` is `if x < c goto l else r`, where `l` and `r` are the same for the
//!   constants below `c` and for the others, down to a few that are tried one by one.
//!
//! Condition: there are many constants, and what stands between the comparisons is only made for them. Of equal constants the
//! first counts. The program gets a little longer; of n arms an event passes as many comparisons as n has bits.

use super::cfg;
use super::facts;
use crate::ir::{Block, BlockData, Cond, Func, Op, Terminator, Value, reverse_postorder};

/// So many constants are worth a search: fewer are tried about as fast one by one.
const LEAST: usize = 8;
/// So many constants are tried one by one.
const FEW: usize = 4;

/// Makes searches.
pub fn run(func: &mut Func) -> bool {
    let order = reverse_postorder(func);
    let ways: Vec<usize> = cfg::predecessors(func, &order).iter().map(Vec::len).collect();
    let constants = facts::constants(func);
    let mut inside = vec![false; func.blocks.len()];
    let mut changed = false;
    for head in order {
        if inside[head.index()] {
            continue;
        }
        let Some(chain) = Chain::at(func, head, &ways, &constants) else { continue };
        chain.blocks.iter().for_each(|block| inside[block.index()] = true);
        if chain.arms.len() >= LEAST {
            chain.rewrite(func);
            changed = true;
        }
    }
    if changed {
        cfg::remove_unreachable(func);
    }
    changed
}

/// Where a comparison goes.
type Way = (Block, Vec<Value>);

struct Chain {
    head: Block,
    /// The blocks of the comparisons behind the first.
    blocks: Vec<Block>,
    subject: Value,
    /// The constants, as numbers and as values, and where they go.
    arms: Vec<(i64, Value, Way)>,
    otherwise: Way,
}

impl Chain {
    /// The longest chain that begins at the end of `head`.
    fn at(func: &Func, head: Block, ways: &[usize], constants: &[Option<i64>]) -> Option<Chain> {
        let (subject, arm, otherwise) = comparison(func, head, constants)?;
        let mut chain = Chain { head, blocks: Vec::new(), subject, arms: vec![arm], otherwise };
        loop {
            let next = chain.otherwise.0;
            let data = func.block(next);
            let constant = data.insts.iter().all(|&inst| matches!(func.inst(inst).op, Op::Const(_)));
            if ways[next.index()] != 1 || !constant || !data.params.is_empty() {
                return Some(chain);
            }
            match comparison(func, next, constants) {
                Some((subject, arm, otherwise)) if subject == chain.subject => {
                    chain.arms.push(arm);
                    chain.otherwise = otherwise;
                    chain.blocks.push(next);
                }
                _ => return Some(chain),
            }
        }
    }

    fn rewrite(mut self, func: &mut Func) {
        for block in &self.blocks {
            let made = std::mem::take(&mut func.blocks[block.index()].insts);
            func.blocks[self.head.index()].insts.extend(made);
        }
        // Stable: of equal ones the first stays the first.
        self.arms.sort_by_key(|arm| arm.0);
        self.arms.dedup_by_key(|arm| arm.0);
        let arms = std::mem::take(&mut self.arms);
        self.blocks.reverse();
        self.search(func, self.head, &arms);
    }

    /// Ends `block` by going where the value says.
    fn search(&mut self, func: &mut Func, block: Block, arms: &[(i64, Value, Way)]) {
        let (left, right) = arms.split_at(arms.len() / 2);
        match (left, right) {
            (_, [(_, pivot, _), ..]) if arms.len() > FEW => {
                let (below, above) = (self.block(func, block), self.block(func, block));
                let (then, otherwise) = ((below, Vec::new()), (above, Vec::new()));
                let cond = Cond::Slt;
                func.blocks[block.index()].terminator =
                    Terminator::Branch { cond, a: self.subject, b: *pivot, then, otherwise };
                self.search(func, below, left);
                self.search(func, above, right);
            }
            _ => self.try_all(func, block, arms),
        }
    }

    fn try_all(&mut self, func: &mut Func, block: Block, arms: &[(i64, Value, Way)]) {
        let mut at = block;
        for (i, (_, constant, then)) in arms.iter().enumerate() {
            let last = i + 1 == arms.len();
            let otherwise = if last { self.otherwise.clone() } else { (self.block(func, block), Vec::new()) };
            let next = otherwise.0;
            let (cond, a, b) = (Cond::Eq, self.subject, *constant);
            func.blocks[at.index()].terminator = Terminator::Branch { cond, a, b, then: then.clone(), otherwise };
            at = next;
        }
    }

    /// An empty block, as warm as this one.
    fn block(&mut self, func: &mut Func, like: Block) -> Block {
        let BlockData { span, cold, .. } = *func.block(like);
        let fresh = Block(func.blocks.len() as u32);
        let block = self.blocks.pop().unwrap_or(fresh);
        if block == fresh {
            let terminator = Terminator::None;
            func.blocks.push(BlockData { params: Vec::new(), insts: Vec::new(), terminator, span, cold });
        }
        block
    }
}

/// The comparison with a constant that ends the block: the value, the constant and where it goes, and where else.
fn comparison(func: &Func, block: Block, constants: &[Option<i64>]) -> Option<(Value, (i64, Value, Way), Way)> {
    let Terminator::Branch { cond, a, b, then, otherwise } = &func.block(block).terminator else { return None };
    let number = constants[b.index()]?;
    let (then, otherwise) = match cond {
        Cond::Eq => (then, otherwise),
        Cond::Ne => (otherwise, then),
        _ => return None,
    };
    Some((*a, (number, *b, then.clone()), otherwise.clone()))
}
