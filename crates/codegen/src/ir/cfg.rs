//! Which block goes where, and what dominates what.
//!
//! Block numbers in terminators must exist (the verifier looks at them first). A graph with cycles is fine here: blocks
//! come in reverse postorder, which is a topological order when there is no cycle.

use super::{Block, Func};

/// The control-flow graph of a function, with its dominators.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Cfg {
    order: Vec<Block>,
    /// For each block, its place in the order; [`UNREACHED`] where it has none.
    position: Vec<u32>,
    /// The ways into all blocks, one block behind the other.
    ways: Vec<Block>,
    /// Where the ways into each block begin, and at the end how many there are.
    first_way: Vec<u32>,
    dominator: Vec<Option<Block>>,
    /// Where a walk of the dominators' tree enters and leaves a block: it enters in between what the block dominates.
    span: Vec<(u32, u32)>,
}

const UNREACHED: u32 = u32::MAX;

impl Cfg {
    /// The graph of the function as it is now.
    pub fn new(func: &Func) -> Cfg {
        let mut cfg = Cfg::default();
        cfg.compute(func);
        cfg
    }

    /// Becomes the graph of the function as it is now, in the memory that it has.
    pub fn compute(&mut self, func: &Func) {
        let blocks = func.blocks.len();
        reverse_postorder(func, &mut self.order);
        refill(&mut self.position, blocks, UNREACHED);
        for (at, &block) in (0..).zip(&self.order) {
            self.position[block.index()] = at;
        }
        self.find_predecessors(func);
        refill(&mut self.dominator, blocks, None);
        self.find_dominators();
        refill(&mut self.span, blocks, (1, 0));
        self.number_tree();
    }

    /// The reachable blocks, each before what it leads to (but for cycles).
    pub fn order(&self) -> &[Block] {
        &self.order
    }

    /// Whether any path leads from the entry to the block.
    pub fn is_reachable(&self, block: Block) -> bool {
        self.position[block.index()] != UNREACHED
    }

    /// The reachable blocks that go to this one; twice the same where both ways of a branch do.
    pub fn predecessors(&self, block: Block) -> &[Block] {
        let (start, end) = (self.first_way[block.index()], self.first_way[block.index() + 1]);
        &self.ways[start as usize..end as usize]
    }

    /// The closest block that every path to this one passes; none for the entry and what is unreachable.
    pub fn immediate_dominator(&self, block: Block) -> Option<Block> {
        self.dominator[block.index()]
    }

    /// Whether every path to `b` passes `a`; a block dominates itself.
    pub fn dominates(&self, a: Block, b: Block) -> bool {
        let (start, end) = self.span[a.index()];
        a == b || (self.is_reachable(b) && (start..end).contains(&self.span[b.index()].0))
    }

    /// Whether the edge goes back (or to itself), so that there is a cycle.
    pub fn is_back_edge(&self, from: Block, to: Block) -> bool {
        self.position[to.index()] <= self.position[from.index()]
    }

    // Counts the ways into each block, and then puts each where those into earlier blocks end.
    fn find_predecessors(&mut self, func: &Func) {
        refill(&mut self.first_way, func.blocks.len() + 1, 0);
        let targets = |block: Block| func.block(block).terminator.targets().map(|(target, _)| target);
        let mut all = 0;
        for target in self.order.iter().flat_map(|&block| targets(block)) {
            self.first_way[target.index()] += 1;
            all += 1;
        }
        let mut free = 0;
        for first in &mut self.first_way {
            free += std::mem::replace(first, free);
        }
        refill(&mut self.ways, all, Block(0));
        // Each start moves to its block's end, which is the next one's start.
        for &block in &self.order {
            for target in targets(block) {
                let free = &mut self.first_way[target.index()];
                self.ways[*free as usize] = block;
                *free += 1;
            }
        }
        self.first_way.rotate_right(1);
        self.first_way[0] = 0;
    }

    // Cooper, Harvey, Kennedy: "A simple, fast dominance algorithm".
    fn find_dominators(&mut self) {
        let mut changed = true;
        while changed {
            changed = false;
            for &block in self.order.iter().skip(1) {
                let known = |p: &&Block| self.position[p.index()] == 0 || self.dominator[p.index()].is_some();
                // The deepest first: each meeting goes on from where the last one ended.
                let best = self.predecessors(block).iter().rev().filter(known).copied();
                let best = best.reduce(|a, b| self.common(a, b));
                if best != self.dominator[block.index()] {
                    self.dominator[block.index()] = best;
                    changed = true;
                }
            }
        }
    }

    // Each block's span begins behind its parent's start and its elder siblings' ends.
    fn number_tree(&mut self) {
        let mut size = vec![1; self.dominator.len()];
        for &block in self.order.iter().skip(1).rev() {
            if let Some(parent) = self.dominator[block.index()] {
                size[parent.index()] += size[block.index()];
            }
        }
        let mut free = vec![0; self.dominator.len()];
        for &block in &self.order {
            let parent = self.dominator[block.index()];
            let start = parent.map_or(0, |parent| free[parent.index()]);
            if let Some(parent) = parent {
                free[parent.index()] += size[block.index()];
            }
            free[block.index()] = start + 1;
            self.span[block.index()] = (start, start + size[block.index()]);
        }
    }

    /// The closest block that every path to either passes; both are reachable.
    pub fn common(&self, mut a: Block, mut b: Block) -> Block {
        while a != b {
            let (later, other) = if self.position[a.index()] > self.position[b.index()] { (a, b) } else { (b, a) };
            match self.dominator[later.index()] {
                Some(up) => (a, b) = (up, other),
                // Only the entry has none, and nothing is earlier than it.
                None => return later,
            }
        }
        a
    }
}

/// Empties the list and fills it with so many of the same.
fn refill<T: Clone>(list: &mut Vec<T>, len: usize, value: T) {
    list.clear();
    list.resize(len, value);
}

/// Lists the blocks that the entry reaches, each before what it leads to (but for cycles).
fn reverse_postorder(func: &Func, order: &mut Vec<Block>) {
    order.clear();
    let mut seen = vec![false; func.blocks.len()];
    let successors = |block: Block| func.block(block).terminator.targets().map(|(to, _)| to);
    let mut stack = Vec::with_capacity(func.blocks.len());
    if !func.blocks.is_empty() {
        seen[0] = true;
        stack.push((Block(0), successors(Block(0))));
    }
    // Taking successors from the back puts the first one first in the reversed order.
    while let Some((block, rest)) = stack.last_mut() {
        match rest.next_back() {
            Some(next) if !seen[next.index()] => {
                seen[next.index()] = true;
                stack.push((next, successors(next)));
            }
            Some(_) => {}
            None => {
                order.push(*block);
                stack.pop();
            }
        }
    }
    order.reverse();
}

#[cfg(test)]
mod tests {
    use crate::ir::{Block, Cfg, parse};

    const DIAMOND: &str = "func q context 8 {
b0(v0: ctx):
  v1 = const 0
  br.eq v1, v1, b2, b1
b1:
  jump b3
b2:
  jump b3
b3:
  ret v1
b5:
  ret v1
}
";

    #[test]
    fn a_diamond() {
        let cfg = Cfg::new(&parse(DIAMOND).expect("the text is well-formed"));
        assert_eq!(cfg.order(), [Block(0), Block(2), Block(1), Block(3)]);
        assert_eq!(cfg.immediate_dominator(Block(3)), Some(Block(0)));
        assert_eq!(cfg.predecessors(Block(3)), [Block(2), Block(1)]);
        assert!(cfg.dominates(Block(0), Block(1)) && !cfg.dominates(Block(1), Block(3)));
        assert!(!cfg.is_reachable(Block(5)) && !cfg.is_reachable(Block(4)));
        assert!(cfg.is_back_edge(Block(3), Block(0)) && !cfg.is_back_edge(Block(0), Block(3)));
    }
}
