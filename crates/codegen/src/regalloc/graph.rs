//! Which registers may not be the same one.

use super::liveness::{Set, backward, live_out};
use crate::emit::mach::{MFunc, REGISTERS, Term, VReg};
use std::collections::BTreeSet;

/// The interference graph, the moves, and what spilling each register would cost.
#[derive(Clone, Debug)]
pub(super) struct Graph {
    /// Neighbours of each virtual register; those of the machine's registers are only in `edges`.
    pub(super) neighbours: Vec<Vec<VReg>>,
    /// Virtual neighbours and machine registers in its way.
    pub(super) degree: Vec<u32>,
    edges: Edges,
    /// Copies: destination, source, what it is worth to be rid of it.
    pub(super) moves: Vec<(VReg, VReg, u32)>,
    /// Uses and definitions, weighted by how often they run.
    pub(super) cost: Vec<f32>,
    /// Registers that the code names.
    pub(super) named: Set,
    /// Registers needed behind a call that were there before it.
    pub(super) crossing: Set,
}

/// Pairs of registers, as rows of bits for small functions and a tree for large ones.
#[derive(Clone, Debug)]
enum Edges {
    Rows(Vec<Set>),
    Tree(BTreeSet<(VReg, VReg)>),
}

impl Edges {
    fn new(registers: u32) -> Edges {
        if registers <= 4096 {
            Edges::Rows(vec![Set::new(registers); registers as usize])
        } else {
            Edges::Tree(BTreeSet::new())
        }
    }

    fn insert(&mut self, a: VReg, b: VReg) -> bool {
        match self {
            Edges::Rows(rows) => {
                rows[b.index()].insert(a);
                rows[a.index()].insert(b)
            }
            Edges::Tree(tree) => {
                tree.insert((b, a));
                tree.insert((a, b))
            }
        }
    }

    fn contains(&self, a: VReg, b: VReg) -> bool {
        match self {
            Edges::Rows(rows) => rows[a.index()].contains(b),
            Edges::Tree(tree) => tree.contains(&(a, b)),
        }
    }
}

/// The weight of one execution of an ordinary block; a cold one counts as 1.
const WARM: u32 = 64;

impl Graph {
    /// The graph of a function.
    pub(super) fn new(func: &MFunc) -> Graph {
        let registers = func.registers as usize;
        let mut graph = Graph {
            neighbours: vec![Vec::new(); registers],
            degree: vec![0; registers],
            edges: Edges::new(func.registers),
            moves: Vec::new(),
            cost: vec![0.0; registers],
            named: Set::new(func.registers),
            crossing: Set::new(func.registers),
        };
        for (at, out) in live_out(func).into_iter().enumerate() {
            graph.block(func, at, out);
        }
        graph
    }

    fn block(&mut self, func: &MFunc, at: usize, mut live: Set) {
        let block = &func.blocks[at];
        let weight = if block.cold { 1 } else { WARM };
        // Where nothing but copies stands, all of them gone spares the block and its jump.
        let only_copies =
            matches!(block.term, Term::Jump(_)) && block.lines.iter().all(|line| line.inst.copy().is_some());
        let worth = if only_copies { 2 * weight } else { weight };
        for reg in block.term.uses() {
            self.count(reg, weight);
        }
        backward(func, at, &mut live, |line, live| {
            let inst = &block.lines[line].inst;
            inst.uses().into_iter().for_each(|reg| self.count(reg, weight));
            let copy = inst.copy();
            if let Some((dst, src)) = copy {
                self.moves.push((dst, src, worth));
            }
            if let Some(def) = inst.def() {
                self.count(def, weight);
                self.interfere(def, live, copy.map(|(_, src)| src));
            }
            for clobbered in inst.clobbers() {
                self.interfere(VReg(clobbered), live, None);
            }
            if !inst.clobbers().is_empty() {
                self.crossing.union(live);
            }
        });
    }

    fn count(&mut self, reg: VReg, weight: u32) {
        self.named.insert(reg);
        self.cost[reg.index()] += weight as f32;
    }

    /// What is defined while others are needed is none of them; a copy may be its source.
    fn interfere(&mut self, def: VReg, live: &Set, source: Option<VReg>) {
        for other in live.iter() {
            if Some(other) != source {
                self.connect(def, other);
            }
        }
    }

    /// Adds an edge.
    pub(super) fn connect(&mut self, a: VReg, b: VReg) {
        if a == b || (a.is_physical() && b.is_physical()) || !self.edges.insert(a, b) {
            return;
        }
        for (at, other) in [(a, b), (b, a)] {
            if !at.is_physical() {
                self.neighbours[at.index()].push(other);
                self.degree[at.index()] += 1;
            }
        }
    }

    /// Whether both are needed at once.
    pub(super) fn interferes(&self, a: VReg, b: VReg) -> bool {
        if a.is_physical() && b.is_physical() { a != b } else { self.edges.contains(a, b) }
    }

    /// The virtual registers that the code names.
    pub(super) fn virtuals(&self) -> impl Iterator<Item = VReg> + '_ {
        self.named.iter().filter(|reg| reg.0 >= REGISTERS)
    }
}
