//! Which block goes where, and what dominates what.
//!
//! Block numbers in terminators must exist (the verifier looks at them first). A graph with cycles is fine here: blocks
//! come in reverse postorder, which is a topological order when there is no cycle.

use super::{Block, Func};

/// The control-flow graph of a function.
#[derive(Clone, Debug)]
pub struct Cfg {
    order: Vec<Block>,
    position: Vec<Option<usize>>,
    predecessors: Vec<Vec<Block>>,
    dominator: Vec<Option<Block>>,
    /// Where a walk of the dominators' tree enters and leaves a block: it enters in between what the block dominates.
    span: Vec<(usize, usize)>,
}

impl Cfg {
    /// The graph of the function as it is now.
    pub fn new(func: &Func) -> Cfg {
        let order = reverse_postorder(func);
        let mut position = vec![None; func.blocks.len()];
        let mut predecessors = vec![Vec::new(); func.blocks.len()];
        for (at, &block) in order.iter().enumerate() {
            position[block.index()] = Some(at);
            for (target, _) in func.block(block).terminator.targets() {
                predecessors[target.index()].push(block);
            }
        }
        let dominator = vec![None; func.blocks.len()];
        let mut cfg = Cfg { order, position, predecessors, dominator, span: vec![(1, 0); func.blocks.len()] };
        cfg.find_dominators();
        cfg.number_tree();
        cfg
    }

    /// The reachable blocks, each before what it leads to (but for cycles).
    pub fn order(&self) -> &[Block] {
        &self.order
    }

    /// Whether any path leads from the entry to the block.
    pub fn is_reachable(&self, block: Block) -> bool {
        self.position[block.index()].is_some()
    }

    /// The reachable blocks that go to this one; twice the same where both ways of a branch do.
    pub fn predecessors(&self, block: Block) -> &[Block] {
        &self.predecessors[block.index()]
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

    // Cooper, Harvey, Kennedy: "A simple, fast dominance algorithm".
    fn find_dominators(&mut self) {
        let mut changed = true;
        while changed {
            changed = false;
            for &block in self.order.iter().skip(1) {
                let known = |p: &&Block| self.position[p.index()] == Some(0) || self.dominator[p.index()].is_some();
                // The deepest first: each meeting goes on from where the last one ended.
                let best = self.predecessors[block.index()].iter().rev().filter(known).copied();
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

/// The blocks that the entry reaches, each before what it leads to (but for cycles).
pub(crate) fn reverse_postorder(func: &Func) -> Vec<Block> {
    let mut seen = vec![false; func.blocks.len()];
    let mut order = Vec::new();
    let successors = |block: Block| func.block(block).terminator.targets().map(|(to, _)| to);
    let mut stack = Vec::new();
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
    order
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
