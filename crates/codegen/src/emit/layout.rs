//! The order of blocks, and jumps through empty ones.
//!
//! A block comes behind all blocks that go to it (loops aside), next to one of them where it can; what hardly ever
//! runs comes last. So most ways through the program fall from block to block.

use super::mach::{BlockId, Inst, MBlock, MFunc, Term};
use crate::ir::CoreId;
use std::cell::Cell;
use std::cmp::Ordering;

/// Blocks in the order of the program. Blocks that are not in it are not reached.
pub(super) struct Layout {
    pub(super) order: Vec<BlockId>,
}

impl Layout {
    pub(super) fn new(func: &MFunc) -> Layout {
        let mut placer = Placer::new(func);
        while let Some(next) = placer.next() {
            placer.place(next);
        }
        Layout { order: placer.order }
    }
}

/// Leads jumps past empty blocks and to one of several equal blocks; afterwards no reached block is empty but for jumps
/// to itself.
pub(super) fn simplify(func: &mut MFunc) {
    loop {
        let same = duplicates(func);
        let threads: Vec<BlockId> = (0..func.blocks.len() as u32).map(|at| thread(func, same[at as usize])).collect();
        let mut changed = false;
        for block in &mut func.blocks {
            let mut term = block.term.retarget(|target| threads[target.index()]);
            if let Term::If { then, otherwise, .. } = term
                && then == otherwise
            {
                term = Term::Jump(then);
            }
            changed |= term != block.term;
            block.term = term;
        }
        if !changed {
            return;
        }
    }
}

/// Where a jump to `block` ends up.
fn thread(func: &MFunc, block: BlockId) -> BlockId {
    let mut at = block;
    // A cycle of empty blocks is an endless loop, which no plan makes; the bound keeps it harmless.
    for _ in 0..func.blocks.len() {
        match func.blocks[at.index()].term {
            Term::Jump(next) if func.blocks[at.index()].lines.is_empty() => at = next,
            _ => break,
        }
    }
    at
}

/// What a line does, wherever it comes from.
pub(super) type Does = (Inst, Option<CoreId>);

/// For each block, the first that does the same. The entry is not a target.
fn duplicates(func: &MFunc) -> Vec<BlockId> {
    let mut first: Vec<BlockId> = (0..func.blocks.len() as u32).map(BlockId).collect();
    let mut sorted: Vec<BlockId> = first.iter().copied().skip(1).collect();
    // Stable: of equal ones the first stays the first.
    sorted.sort_by(|a, b| order(&func.blocks[a.index()], &func.blocks[b.index()]));
    let mut leader = BlockId(0);
    for block in sorted {
        if leader.0 == 0 || order(&func.blocks[leader.index()], &func.blocks[block.index()]).is_ne() {
            leader = block;
        }
        first[block.index()] = leader;
    }
    first
}

/// Some order in which blocks that do the same are equal, and most others differ at once.
fn order(a: &MBlock, b: &MBlock) -> Ordering {
    fn does(block: &MBlock) -> impl Iterator<Item = Does> {
        block.lines.iter().map(|line| (line.inst, line.core))
    }
    (a.term, a.lines.len()).cmp(&(b.term, b.lines.len())).then_with(|| does(a).cmp(does(b)))
}

struct Placer<'a> {
    func: &'a MFunc,
    /// Reverse postorder.
    position: Vec<Option<usize>>,
    by_position: Vec<BlockId>,
    /// Warm predecessors that are not placed yet.
    open: Vec<u32>,
    placed: Vec<bool>,
    /// Blocks that became ready, the last of them last; some may be placed meanwhile.
    ready: Vec<BlockId>,
    order: Vec<BlockId>,
    /// How many blocks from the front of `by_position` are placed, of all and of the warm ones.
    first_open: Cell<usize>,
    first_warm: Cell<usize>,
}

impl<'a> Placer<'a> {
    fn new(func: &'a MFunc) -> Placer<'a> {
        let by_position = reverse_postorder(func);
        let mut position = vec![None; func.blocks.len()];
        for (at, block) in by_position.iter().enumerate() {
            position[block.index()] = Some(at);
        }
        let mut placer = Placer {
            func,
            position,
            open: vec![0; func.blocks.len()],
            placed: vec![false; func.blocks.len()],
            ready: Vec::new(),
            order: Vec::new(),
            by_position,
            first_open: Cell::new(0),
            first_warm: Cell::new(0),
        };
        for block in placer.by_position.clone() {
            placer.forward_targets(block).into_iter().for_each(|target| placer.open[target.index()] += 1);
        }
        placer
    }

    /// Where a block goes; edges back and edges from what hardly ever runs do not hold up a block.
    fn forward_targets(&self, block: BlockId) -> Vec<BlockId> {
        let data = &self.func.blocks[block.index()];
        let forward = |target: &BlockId| self.position[target.index()] > self.position[block.index()];
        let counts = |target: &BlockId| forward(target) && (!data.cold || self.func.blocks[target.index()].cold);
        data.term.targets().filter(counts).collect()
    }

    fn place(&mut self, block: BlockId) {
        self.placed[block.index()] = true;
        self.order.push(block);
        for target in self.forward_targets(block) {
            self.open[target.index()] -= 1;
            if self.is_ready(target) {
                self.ready.push(target);
            }
        }
        while self.ready.last().is_some_and(|&last| !self.is_ready(last)) {
            self.ready.pop();
        }
    }

    fn is_ready(&self, block: BlockId) -> bool {
        !self.placed[block.index()] && self.open[block.index()] == 0 && !self.func.blocks[block.index()].cold
    }

    fn next(&self) -> Option<BlockId> {
        let fallthrough = self.order.last().and_then(|&last| self.fallthrough(last));
        let recent = || self.ready.iter().rev().copied().find(|&target| self.is_ready(target));
        let is_open = |block: BlockId| !self.placed[block.index()];
        let open = || self.next_of(&self.first_open, is_open);
        let warm = || self.next_of(&self.first_warm, |block| is_open(block) && !self.func.blocks[block.index()].cold);
        let cold = || {
            let mut targets = self.func.blocks[self.order.last()?.index()].term.targets();
            targets.find(|target| !self.placed[target.index()] && self.open[target.index()] == 0)
        };
        fallthrough.or_else(recent).or_else(warm).or_else(cold).or_else(open)
    }

    /// The first block that is still wanted. What is not wanted once never is again.
    fn next_of(&self, from: &Cell<usize>, wanted: impl Fn(BlockId) -> bool) -> Option<BlockId> {
        let rest = self.by_position.get(from.get()..)?;
        let skipped = rest.iter().position(|&block| wanted(block)).unwrap_or(rest.len());
        from.set(from.get() + skipped);
        self.by_position.get(from.get()).copied()
    }

    /// The target that may stand right behind the block; the side taken when a test fails is the usual one.
    fn fallthrough(&self, block: BlockId) -> Option<BlockId> {
        self.func.blocks[block.index()].term.targets().rev().find(|&target| self.is_ready(target))
    }
}

/// Which blocks the entry reaches.
pub(super) fn reachable(func: &MFunc) -> Vec<bool> {
    let mut reached = vec![false; func.blocks.len()];
    reverse_postorder(func).into_iter().for_each(|block| reached[block.index()] = true);
    reached
}

/// Blocks that the entry reaches, each before those that only it leads to.
pub(crate) fn reverse_postorder(func: &MFunc) -> Vec<BlockId> {
    let mut seen = vec![false; func.blocks.len()];
    let mut order = Vec::new();
    let mut stack = vec![(BlockId(0), false)];
    while let Some((block, done)) = stack.pop() {
        if done {
            order.push(block);
        } else if !std::mem::replace(&mut seen[block.index()], true) {
            stack.push((block, true));
            stack.extend(func.blocks[block.index()].term.targets().map(|target| (target, false)));
        }
    }
    order.reverse();
    order
}
