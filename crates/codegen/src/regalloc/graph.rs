//! Which registers may not be the same one.

use super::liveness::{LiveOut, Set, backward};
use crate::emit::mach::{MFunc, REGISTERS, Term, VReg};
use crate::hash::Mixed;
use std::collections::HashSet;

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

/// Pairs of registers; nobody asks for their order.
#[derive(Clone, Debug, Default)]
struct Edges(HashSet<u64, Mixed>);

impl Edges {
    fn insert(&mut self, a: VReg, b: VReg) -> bool {
        self.0.insert(pair(a, b))
    }

    fn contains(&self, a: VReg, b: VReg) -> bool {
        self.0.contains(&pair(a, b))
    }
}

fn pair(a: VReg, b: VReg) -> u64 {
    u64::from(a.0.min(b.0)) << 32 | u64::from(a.0.max(b.0))
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
            edges: Edges::default(),
            moves: Vec::new(),
            cost: vec![0.0; registers],
            named: Set::new(func.registers),
            crossing: Set::new(func.registers),
        };
        let live_out = LiveOut::new(func);
        let mut live = Set::new(func.registers);
        for at in 0..func.blocks.len() {
            live_out.fill(at, &mut live);
            graph.block(func, at, &mut live);
        }
        graph
    }

    fn block(&mut self, func: &MFunc, at: usize, live: &mut Set) {
        let block = &func.blocks[at];
        let weight = if block.cold { 1 } else { WARM };
        // Where nothing but copies stands, all of them gone spares the block and its jump.
        let only_copies =
            matches!(block.term, Term::Jump(_)) && block.lines.iter().all(|line| line.inst.copy().is_some());
        let worth = if only_copies { 2 * weight } else { weight };
        for reg in block.term.uses() {
            self.count(reg, weight);
        }
        backward(func, at, live, |line, live| {
            let inst = &block.lines[line].inst;
            inst.uses().for_each(|reg| self.count(reg, weight));
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
                live.iter().for_each(|reg| {
                    self.crossing.insert(reg);
                });
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
        (REGISTERS..self.cost.len() as u32).map(VReg).filter(|reg| self.named.contains(*reg))
    }
}
