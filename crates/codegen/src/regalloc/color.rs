//! Iterated register coalescing.
//!
//! Registers of low degree leave the graph (they find a colour whatever the rest takes); moves whose ends can be one
//! register without making the graph harder are merged; else a move is given up, else the cheapest register leaves with
//! only the hope of a colour. Then all come back in reverse and take a colour that their neighbours left.

use super::Round;
use super::graph::Graph;
use super::spill::Origins;
use crate::emit::mach::{MFunc, REGISTERS, VReg};
use std::collections::{BTreeMap, BTreeSet};

/// Colours the function, or says what has to leave.
pub(super) fn color(func: &MFunc, origins: &Origins) -> Round {
    let mut coloring = Coloring::new(func, Graph::new(func), origins);
    coloring.make_work();
    while coloring.step() {}
    coloring.assign()
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// In the graph.
    Present,
    /// Taken out, waits on the stack for its colour.
    Removed,
    /// Merged into another.
    Merged,
}

struct Coloring {
    graph: Graph,
    cost: Vec<f32>,
    state: Vec<State>,
    alias: Vec<VReg>,
    stack: Vec<VReg>,
    /// Low degree, no moves.
    simple: BTreeSet<VReg>,
    /// Low degree, in moves that may still be merged.
    moving: BTreeSet<VReg>,
    /// High degree.
    heavy: BTreeSet<VReg>,
    /// Moves to be looked at, heaviest first.
    ready: BTreeSet<(std::cmp::Reverse<u32>, usize)>,
    /// Moves that may become mergeable when a degree falls.
    waiting: BTreeSet<usize>,
    /// The moves of each register.
    moves_of: Vec<Vec<usize>>,
}

impl Coloring {
    fn new(func: &MFunc, graph: Graph, origins: &Origins) -> Coloring {
        let registers = func.registers as usize;
        let mut moves_of = vec![Vec::new(); registers];
        for (at, &(dst, src, _)) in graph.moves.iter().enumerate() {
            moves_of[dst.index()].push(at);
            moves_of[src.index()].push(at);
        }
        let ready = graph.moves.iter().enumerate().map(|(at, &(.., weight))| (std::cmp::Reverse(weight), at)).collect();
        let cost = (0..func.registers).map(|reg| origins.cost(VReg(reg), graph.cost[reg as usize])).collect();
        Coloring {
            graph,
            cost,
            state: vec![State::Present; registers],
            alias: (0..func.registers).map(VReg).collect(),
            stack: Vec::new(),
            simple: BTreeSet::new(),
            moving: BTreeSet::new(),
            heavy: BTreeSet::new(),
            ready,
            waiting: BTreeSet::new(),
            moves_of,
        }
    }

    fn make_work(&mut self) {
        let all: Vec<VReg> = self.graph.virtuals().collect();
        for reg in all {
            self.file(reg);
        }
    }

    /// Puts a register on the list that its degree and moves say.
    fn file(&mut self, reg: VReg) {
        self.simple.remove(&reg);
        self.moving.remove(&reg);
        self.heavy.remove(&reg);
        if self.graph.degree[reg.index()] >= REGISTERS {
            self.heavy.insert(reg);
        } else if self.has_moves(reg) {
            self.moving.insert(reg);
        } else {
            self.simple.insert(reg);
        }
    }

    fn live_moves(&self, reg: VReg) -> Vec<usize> {
        let is_live = |at: &usize| {
            let weight = std::cmp::Reverse(self.graph.moves[*at].2);
            self.waiting.contains(at) || self.ready.contains(&(weight, *at))
        };
        self.moves_of[reg.index()].iter().copied().filter(is_live).collect()
    }

    fn has_moves(&self, reg: VReg) -> bool {
        !self.live_moves(reg).is_empty()
    }

    fn neighbours(&self, reg: VReg) -> Vec<VReg> {
        let present = |other: &VReg| other.is_physical() || self.state[other.index()] == State::Present;
        self.graph.neighbours[reg.index()].iter().copied().filter(present).collect()
    }

    fn step(&mut self) -> bool {
        if let Some(reg) = self.simple.pop_first() {
            self.remove(reg);
        } else if let Some((_, at)) = self.ready.pop_first() {
            self.merge(at);
        } else if let Some(reg) = self.moving.pop_first() {
            self.give_up_moves(reg);
            self.simple.insert(reg);
        } else if let Some(reg) = self.cheapest() {
            self.heavy.remove(&reg);
            self.give_up_moves(reg);
            self.simple.insert(reg);
        } else {
            return false;
        }
        true
    }

    fn cheapest(&self) -> Option<VReg> {
        let price = |reg: &VReg| self.cost[reg.index()] / self.graph.degree[reg.index()].max(1) as f32;
        self.heavy.iter().copied().min_by(|a, b| price(a).total_cmp(&price(b)))
    }

    fn remove(&mut self, reg: VReg) {
        self.state[reg.index()] = State::Removed;
        self.stack.push(reg);
        for other in self.neighbours(reg) {
            self.lower_degree(other);
        }
    }

    fn lower_degree(&mut self, reg: VReg) {
        if reg.is_physical() {
            return;
        }
        self.graph.degree[reg.index()] -= 1;
        if self.graph.degree[reg.index()] == REGISTERS - 1 {
            self.enable_moves(reg);
            for other in self.neighbours(reg) {
                self.enable_moves(other);
            }
            self.file(reg);
        }
    }

    fn enable_moves(&mut self, reg: VReg) {
        for at in self.moves_of[reg.index()].clone() {
            if self.waiting.remove(&at) {
                self.ready.insert((std::cmp::Reverse(self.graph.moves[at].2), at));
            }
        }
    }

    fn give_up_moves(&mut self, reg: VReg) {
        for at in self.live_moves(reg) {
            self.waiting.remove(&at);
            self.ready.remove(&(std::cmp::Reverse(self.graph.moves[at].2), at));
            let (dst, src, _) = self.graph.moves[at];
            let other = if self.find(dst) == self.find(reg) { self.find(src) } else { self.find(dst) };
            self.refile_if_light(other);
        }
    }

    /// A light register whose last move is gone is simple.
    fn refile_if_light(&mut self, reg: VReg) {
        let present = !reg.is_physical() && self.state[reg.index()] == State::Present;
        if present && self.graph.degree[reg.index()] < REGISTERS && self.moving.contains(&reg) {
            self.file(reg);
        }
    }

    /// The register that this one was merged into.
    fn find(&self, reg: VReg) -> VReg {
        let mut at = reg;
        while self.alias[at.index()] != at {
            at = self.alias[at.index()];
        }
        at
    }

    fn merge(&mut self, at: usize) {
        let (dst, src, _) = self.graph.moves[at];
        let (dst, src) = (self.find(dst), self.find(src));
        // The machine's register, if there is one, is the one that stays.
        let (keep, gone) = if src.is_physical() { (src, dst) } else { (dst, src) };
        if keep == gone {
            self.refile_if_light(keep);
        } else if gone.is_physical() || self.graph.interferes(keep, gone) {
            self.refile_if_light(keep);
            self.refile_if_light(gone);
        } else if self.is_safe(keep, gone) {
            self.combine(keep, gone);
            self.refile_if_light(keep);
        } else {
            self.waiting.insert(at);
        }
    }

    fn is_safe(&self, keep: VReg, gone: VReg) -> bool {
        if keep.is_physical() { self.george(keep, gone) } else { self.briggs(keep, gone) || self.george(keep, gone) }
    }

    /// Each neighbour of `gone` is light, or in the way of `keep` already.
    fn george(&self, keep: VReg, gone: VReg) -> bool {
        self.neighbours(gone).into_iter().all(|other| {
            (other.is_physical() && keep.is_physical() && other != keep)
                || (!other.is_physical() && self.graph.degree[other.index()] < REGISTERS)
                || (self.graph.interferes(other, keep) && other != keep)
        })
    }

    /// Together they have fewer heavy neighbours than there are colours.
    fn briggs(&self, keep: VReg, gone: VReg) -> bool {
        let mut all: BTreeMap<VReg, u32> = BTreeMap::new();
        for other in self.neighbours(keep).into_iter().chain(self.neighbours(gone)) {
            *all.entry(other).or_default() += 1;
        }
        let heavy = |other: VReg, shared: u32| {
            // A common neighbour loses one edge by the merge.
            other.is_physical() || self.graph.degree[other.index()] - (shared - 1) >= REGISTERS
        };
        all.into_iter().filter(|&(other, shared)| heavy(other, shared)).count() < REGISTERS as usize
    }

    fn combine(&mut self, keep: VReg, gone: VReg) {
        self.simple.remove(&gone);
        self.moving.remove(&gone);
        self.heavy.remove(&gone);
        self.state[gone.index()] = State::Merged;
        self.alias[gone.index()] = keep;
        let moves = std::mem::take(&mut self.moves_of[gone.index()]);
        self.moves_of[keep.index()].extend(moves);
        self.cost[keep.index()] += self.cost[gone.index()];
        self.enable_moves(keep);
        for other in self.neighbours(gone) {
            let was = self.graph.interferes(keep, other);
            self.graph.connect(keep, other);
            // `other` loses `gone`; if `keep` was its neighbour before, its degree falls.
            if was {
                self.lower_degree(other);
            } else if !other.is_physical() {
                self.graph.degree[other.index()] -= 1;
            }
        }
        if !keep.is_physical() {
            self.file(keep);
        }
    }

    /// Takes registers from the stack and gives each the best colour left.
    fn assign(mut self) -> Round {
        let mut colors: Vec<Option<u8>> = vec![None; self.alias.len()];
        for reg in 0..REGISTERS {
            colors[reg as usize] = Some(reg as u8);
        }
        let mut failed = Vec::new();
        while let Some(reg) = self.stack.pop() {
            match self.best(reg, &colors) {
                Some(color) => colors[reg.index()] = Some(color),
                None => failed.push(reg),
            }
        }
        if !failed.is_empty() {
            return Round::Spill(self.members(&failed));
        }
        let all = (0..self.alias.len() as u32).map(VReg);
        // What the code does not name gets any colour; it is never looked up.
        Round::Done(all.map(|reg| colors[self.find(reg).index()].unwrap_or(0)).collect())
    }

    /// What has to leave of the registers merged into the failed ones: those that live across a call, if there are any
    /// (the others find a place), else all. A range that was joined is taken apart by that.
    fn members(&self, failed: &[VReg]) -> Vec<VReg> {
        let mut classes: BTreeMap<VReg, Vec<VReg>> = failed.iter().map(|&class| (class, Vec::new())).collect();
        for reg in self.graph.virtuals() {
            if let Some(members) = classes.get_mut(&self.find(reg)) {
                members.push(reg);
            }
        }
        let mut leaving = Vec::new();
        for class in failed {
            let members = classes.remove(class).unwrap_or_default();
            let crosses = |reg: &VReg| self.graph.crossing.contains(*reg);
            let crossing: Vec<VReg> = members.iter().copied().filter(crosses).collect();
            leaving.extend(if crossing.is_empty() { members } else { crossing });
        }
        leaving
    }

    fn best(&self, reg: VReg, colors: &[Option<u8>]) -> Option<u8> {
        let mut taken = [false; REGISTERS as usize];
        for &other in &self.graph.neighbours[reg.index()] {
            if let Some(color) = colors[self.find(other).index()] {
                taken[usize::from(color)] = true;
            }
        }
        let free = |color: &u8| !taken[usize::from(*color)];
        self.wishes(reg, colors).into_iter().find(free).or_else(|| PREFERENCE.iter().copied().find(free))
    }

    /// The colours of what it is copied from and to.
    fn wishes(&self, reg: VReg, colors: &[Option<u8>]) -> Vec<u8> {
        let partners = self.moves_of[reg.index()].iter().map(|&at| {
            let (dst, src, _) = self.graph.moves[at];
            if self.find(dst) == reg { src } else { dst }
        });
        partners.filter_map(|partner| colors[self.find(partner).index()]).collect()
    }
}

/// Registers that calls destroy come first: the kernel saves `r6` to `r9` on entry of a program that writes them
/// (arch/x86/net/bpf_jit_comp.c, detect_reg_usage, 6.18).
const PREFERENCE: [u8; REGISTERS as usize] = [1, 2, 3, 4, 5, 0, 6, 7, 8, 9];
