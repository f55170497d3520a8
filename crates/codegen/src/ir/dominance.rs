//! Which blocks every way to a block passes, while the function is being written.
//!
//! What must hold: the ways to a block are written before something is asked in it; only a way back (a loop's) may come
//! later. The verifier finds what goes wrong otherwise: a value used where it is not defined. Questions cost the logarithm of
//! the tree's depth (Myers, "An applicative random-access stack", 1983).

use super::Block;

/// The tree of dominators so far.
#[derive(Clone, Debug, Default)]
pub(super) struct Dominance {
    nodes: Vec<Option<Node>>,
    ways: Vec<Vec<Block>>,
    /// The last question in which a block was looked at: in code that nothing reaches, each is looked at once.
    asked: Vec<u32>,
    question: u32,
}

#[derive(Clone, Copy, Debug)]
struct Node {
    depth: u32,
    parent: Block,
    /// An ancestor further up.
    skip: Block,
}

impl Dominance {
    /// One more block; the first is the entry.
    pub(super) fn block(&mut self) {
        let entry = Node { depth: 0, parent: Block(0), skip: Block(0) };
        self.nodes.push(self.nodes.is_empty().then_some(entry));
        self.ways.push(Vec::new());
        self.asked.push(0);
    }

    /// `from` may go to `to`.
    pub(super) fn way(&mut self, from: Block, to: Block) {
        self.ways[to.index()].push(from);
    }

    /// Writing goes on in this block.
    pub(super) fn begin(&mut self, block: Block) {
        self.place(block);
    }

    /// Whether every way to `b` passes `a`; not known where nothing goes to one of them yet.
    pub(super) fn dominates(&mut self, a: Block, b: Block) -> bool {
        let (Some(above), Some(_)) = (self.place(a), self.place(b)) else { return a == b };
        self.ancestor(b, above.depth) == a
    }

    /// The block's place in the tree, if the entry reaches it.
    fn place(&mut self, block: Block) -> Option<Node> {
        self.question += 1;
        self.find(block)
    }

    fn find(&mut self, block: Block) -> Option<Node> {
        let first = std::mem::replace(&mut self.asked[block.index()], self.question) != self.question;
        if self.nodes[block.index()].is_none() && first {
            let ways = self.ways[block.index()].clone();
            // Blocks of counters are written before the branch that goes to them: their place is found from here.
            let reached: Vec<Block> = ways.into_iter().filter(|from| self.find(*from).is_some()).collect();
            let parent = reached.into_iter().rev().reduce(|a, b| self.common(a, b));
            self.nodes[block.index()] = parent.map(|parent| self.child(parent));
        }
        self.nodes[block.index()]
    }

    fn node(&self, block: Block) -> Node {
        // Only asked for blocks that have a place.
        self.nodes[block.index()].unwrap_or(Node { depth: 0, parent: Block(0), skip: Block(0) })
    }

    fn child(&self, parent: Block) -> Node {
        let above = self.node(parent);
        let (skip, further) = (self.node(above.skip), self.node(self.node(above.skip).skip));
        let equal = above.depth - skip.depth == skip.depth - further.depth;
        Node { depth: above.depth + 1, parent, skip: if equal { skip.skip } else { parent } }
    }

    fn ancestor(&self, block: Block, depth: u32) -> Block {
        let mut at = block;
        while self.node(at).depth > depth {
            let node = self.node(at);
            at = if self.node(node.skip).depth >= depth { node.skip } else { node.parent };
        }
        at
    }

    fn common(&self, a: Block, b: Block) -> Block {
        let depth = self.node(a).depth.min(self.node(b).depth);
        let (mut a, mut b) = (self.ancestor(a, depth), self.ancestor(b, depth));
        while a != b {
            // Both are equally deep, and so are what they skip to.
            let (left, right) = (self.node(a), self.node(b));
            (a, b) = if left.skip == right.skip { (left.parent, right.parent) } else { (left.skip, right.skip) };
        }
        a
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tree(ways: &[(u32, u32)]) -> Dominance {
        let mut tree = Dominance::default();
        let most = ways.iter().map(|way| way.0.max(way.1)).max().unwrap_or(0);
        (0..=most).for_each(|_| tree.block());
        for &(from, to) in ways {
            tree.way(Block(from), Block(to));
        }
        tree
    }

    #[test]
    fn a_diamond_under_a_chain() {
        let mut tree = tree(&[(0, 1), (1, 2), (2, 3), (2, 4), (3, 5), (4, 5), (5, 6)]);
        for above in [0, 1, 2, 5, 6] {
            assert!(tree.dominates(Block(above), Block(6)), "{above}");
        }
        assert!(!tree.dominates(Block(3), Block(6)) && !tree.dominates(Block(6), Block(3)));
    }

    #[test]
    fn what_nothing_reaches_counts_for_nothing() {
        let mut tree = tree(&[(0, 1), (3, 2), (1, 2)]);
        assert!(tree.dominates(Block(1), Block(2)) && !tree.dominates(Block(3), Block(2)));
        assert!(tree.dominates(Block(3), Block(3)));
    }

    /// A hundred forks in a row, of which the entry reaches none: 2^100 ways.
    #[test]
    fn what_nothing_reaches_is_looked_at_once() {
        let forks = (0..100).flat_map(|at| {
            let from = 1 + 3 * at;
            [(from, from + 1), (from, from + 2), (from + 1, from + 3), (from + 2, from + 3)]
        });
        let mut tree = tree(&forks.collect::<Vec<_>>());
        assert!(!tree.dominates(Block(0), Block(301)));
    }

    /// Against the definition, on a ladder with rungs of all lengths.
    #[test]
    fn every_ancestor_of_a_long_chain() {
        let mut ways: Vec<(u32, u32)> = (0..300).map(|at| (at, at + 1)).collect();
        ways.extend((0..100).map(|at| (at * 3, 301)));
        let mut tree = tree(&ways);
        for at in 0..=300 {
            assert!((0..=at).all(|above| tree.dominates(Block(above), Block(at))), "{at}");
            assert!((at + 1..=300).all(|below| !tree.dominates(Block(below), Block(at))), "{at}");
        }
        assert!(tree.dominates(Block(0), Block(301)) && !tree.dominates(Block(1), Block(301)));
    }
}
