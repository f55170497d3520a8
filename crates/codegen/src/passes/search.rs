//! A chain of comparisons of one value with constants becomes a search.
//!
//! - `if x = c1 goto a1; if x = c2 goto a2; …; goto d` is `if x < c goto l else r`, where `l` and `r` are the same for the
//!   constants below `c` and for the others, down to a few that are tried one by one.
//! - `if x = c goto a; if x = c + 1 goto a; …; if x = d goto a` is `if x < d + 1 goto a` where x is at least c, behind a test of that
//!   where it is not known; and no test at all where x is c to d anyway.
//!
//! Condition: there are many constants, and what stands between the comparisons is only made for them. Of equal constants the
//! first counts. Of n runs of constants that go the same way an event passes as many comparisons as n has bits.

use super::cfg;
use super::facts;
use super::shape::Shape;
use crate::ir::{Block, BlockData, Cfg, Cond, Func, Op, Terminator, Value};

/// So many constants are worth a search: fewer are tried about as fast one by one.
const LEAST: usize = 8;
/// So many constants are tried one by one.
const FEW: usize = 4;

/// Makes searches.
pub fn run(func: &mut Func, shape: &mut Shape) -> bool {
    let cfg = shape.cfg(func);
    let constants = facts::constants(func);
    let mut inside = vec![false; func.blocks.len()];
    let mut changed = false;
    for &head in cfg.order() {
        if inside[head.index()] {
            continue;
        }
        let Some(chain) = Chain::at(func, cfg, head, &constants) else { continue };
        chain.blocks.iter().for_each(|block| inside[block.index()] = true);
        if chain.arms.len() >= LEAST {
            chain.rewrite(func);
            changed = true;
        }
    }
    if changed {
        shape.changed();
        shape.remove_unreachable(func);
    }
    changed
}

/// Where a comparison goes.
type Way = (Block, Vec<Value>);

/// Constants without a hole that go the same way.
struct Run {
    low: i64,
    high: i64,
    /// The lowest as a value.
    first: Value,
    /// The number behind the highest; the lowest itself if there is only one.
    behind: Value,
    way: Way,
}

/// The runs of the arms, which are in order; constants that this needs are made in `head`.
fn runs(func: &mut Func, head: Block, arms: Vec<(i64, Value, Way)>) -> Vec<Run> {
    let mut runs: Vec<Run> = Vec::new();
    for (number, value, way) in arms {
        match runs.last_mut() {
            // The number behind the last of all would be none.
            Some(run) if run.high + 1 == number && number < i64::MAX && run.way == way => run.high = number,
            _ => runs.push(Run { low: number, high: number, first: value, behind: value, way }),
        }
    }
    for run in runs.iter_mut().filter(|run| run.low < run.high) {
        let span = func.block(head).span;
        let (inst, behind) = cfg::new_inst(func, Op::Const(run.high + 1), span);
        func.blocks[head.index()].insts.push(inst);
        run.behind = behind.unwrap_or(run.first);
    }
    runs
}

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
    fn at(func: &Func, cfg: &Cfg, head: Block, constants: &[Option<i64>]) -> Option<Chain> {
        let (subject, arm, otherwise) = comparison(func, head, constants)?;
        let mut chain = Chain { head, blocks: Vec::new(), subject, arms: vec![arm], otherwise };
        loop {
            let next = chain.otherwise.0;
            let data = func.block(next);
            let constant = data.insts.iter().all(|&inst| matches!(func.inst(inst).op, Op::Const(_)));
            if cfg.predecessors(next).len() != 1 || !constant || !data.params.is_empty() {
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
        let runs = runs(func, self.head, std::mem::take(&mut self.arms));
        self.blocks.reverse();
        self.search(func, self.head, &runs, (i64::MIN, i64::MAX));
    }

    /// Ends `block` by going where the value says, of which it is known to be within `bounds`.
    fn search(&mut self, func: &mut Func, block: Block, runs: &[Run], bounds: (i64, i64)) {
        let (left, right) = runs.split_at(runs.len() / 2);
        match right {
            [pivot, ..] if runs.len() > FEW => {
                let (below, above) = (self.block(func, block), self.block(func, block));
                self.branch(func, block, (Cond::Slt, pivot.first), ((below, Vec::new()), (above, Vec::new())));
                self.search(func, below, left, (bounds.0, pivot.low - 1));
                self.search(func, above, right, (pivot.low, bounds.1));
            }
            _ => self.try_all(func, block, runs, bounds),
        }
    }

    fn try_all(&mut self, func: &mut Func, mut at: Block, runs: &[Run], (mut low, high): (i64, i64)) {
        for (i, run) in runs.iter().enumerate() {
            if low == run.low && high == run.high {
                let (to, args) = run.way.clone();
                func.blocks[at.index()].terminator = Terminator::Jump(to, args);
                return;
            }
            if run.low < run.high && low < run.low {
                let within = self.block(func, at);
                self.branch(func, at, (Cond::Slt, run.first), (self.otherwise.clone(), (within, Vec::new())));
                (at, low) = (within, run.low);
            }
            let last = i + 1 == runs.len();
            let otherwise = if last { self.otherwise.clone() } else { (self.block(func, at), Vec::new()) };
            let next = otherwise.0;
            let test = if run.low < run.high { (Cond::Slt, run.behind) } else { (Cond::Eq, run.first) };
            self.branch(func, at, test, (run.way.clone(), otherwise));
            // What is below a single one is not ruled out by its test.
            low = if low == run.low { run.high + 1 } else { low };
            at = next;
        }
    }

    fn branch(&self, func: &mut Func, at: Block, (cond, b): (Cond, Value), (then, otherwise): (Way, Way)) {
        func.blocks[at.index()].terminator = Terminator::Branch { cond, a: self.subject, b, then, otherwise };
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
