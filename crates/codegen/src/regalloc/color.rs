//! Iterated register coalescing.
//!
//! Registers of low degree leave the graph (they find a colour whatever the rest takes); moves whose ends can be one
//! register without making the graph harder are merged; else a move is given up, else the cheapest register leaves with
//! only the hope of a colour. Then all come back in reverse and take a colour that their neighbours left.

use super::Round;
use super::graph::Graph;
use super::queue::Queue;
use super::spill::Origins;
use crate::emit::mach::{MFunc, REGISTERS, VReg};
use std::collections::BTreeMap;

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
    simple: Queue,
    /// Low degree, in moves that may still be merged.
    moving: Queue,
    /// High degree.
    heavy: Queue,
    /// Ranks of moves to be looked at.
    ready: Queue,
    /// Moves that may become mergeable when a degree falls.
    waiting: Vec<bool>,
    /// The moves, heaviest first, and the place of each among them.
    ranked: Vec<usize>,
    rank: Vec<usize>,
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
        let mut ranked: Vec<usize> = (0..graph.moves.len()).collect();
        ranked.sort_by_key(|&at| std::cmp::Reverse(graph.moves[at].2));
        let (mut rank, mut ready) = (vec![0; ranked.len()], Queue::new(ranked.len()));
        for (place, &at) in ranked.iter().enumerate() {
            rank[at] = place;
            ready.insert(place);
        }
        let cost = (0..func.registers).map(|reg| origins.cost(VReg(reg), graph.cost[reg as usize])).collect();
        Coloring {
            graph,
            cost,
            state: vec![State::Present; registers],
            alias: (0..func.registers).map(VReg).collect(),
            stack: Vec::new(),
            simple: Queue::new(registers),
            moving: Queue::new(registers),
            heavy: Queue::new(registers),
            ready,
            waiting: vec![false; ranked.len()],
            ranked,
            rank,
            moves_of,
        }
    }

    fn make_work(&mut self) {
        for reg in (REGISTERS..self.alias.len() as u32).map(VReg) {
            if self.graph.named.contains(reg) {
                self.file(reg);
            }
        }
    }

    /// Puts a register on the list that its degree and moves say.
    fn file(&mut self, reg: VReg) {
        self.unfile(reg);
        let list = if self.graph.degree[reg.index()] >= REGISTERS {
            &mut self.heavy
        } else if self.moves_of[reg.index()].iter().any(|&at| self.is_live(at)) {
            &mut self.moving
        } else {
            &mut self.simple
        };
        list.insert(reg.index());
    }

    fn unfile(&mut self, reg: VReg) {
        for list in [&mut self.simple, &mut self.moving, &mut self.heavy] {
            list.remove(reg.index());
        }
    }

    /// Whether the move may still be merged.
    fn is_live(&self, at: usize) -> bool {
        self.waiting[at] || self.ready.contains(self.rank[at])
    }

    fn is_present(&self, reg: VReg) -> bool {
        reg.is_physical() || self.state[reg.index()] == State::Present
    }

    fn neighbours(&self, reg: VReg) -> impl Iterator<Item = VReg> + '_ {
        self.graph.neighbours[reg.index()].iter().copied().filter(|other| self.is_present(*other))
    }

    /// Calls `f` with each neighbour; the list must not grow by it.
    fn each_neighbour(&mut self, reg: VReg, mut f: impl FnMut(&mut Coloring, VReg)) {
        for at in 0..self.graph.neighbours[reg.index()].len() {
            let other = self.graph.neighbours[reg.index()][at];
            if self.is_present(other) {
                f(self, other);
            }
        }
    }

    fn step(&mut self) -> bool {
        let reg = |at: usize| VReg(at as u32);
        if let Some(at) = self.simple.pop() {
            self.remove(reg(at));
        } else if let Some(rank) = self.ready.pop() {
            self.merge(self.ranked[rank]);
        } else if let Some(at) = self.moving.pop() {
            self.give_up_moves(reg(at));
            self.simple.insert(at);
        } else if let Some(cheapest) = self.cheapest() {
            self.heavy.remove(cheapest.index());
            self.give_up_moves(cheapest);
            self.simple.insert(cheapest.index());
        } else {
            return false;
        }
        true
    }

    fn cheapest(&self) -> Option<VReg> {
        let price = |reg: &VReg| self.cost[reg.index()] / self.graph.degree[reg.index()].max(1) as f32;
        self.heavy.iter().map(|at| VReg(at as u32)).min_by(|a, b| price(a).total_cmp(&price(b)))
    }

    fn remove(&mut self, reg: VReg) {
        self.state[reg.index()] = State::Removed;
        self.stack.push(reg);
        self.each_neighbour(reg, Coloring::lower_degree);
    }

    fn lower_degree(&mut self, reg: VReg) {
        if reg.is_physical() {
            return;
        }
        self.graph.degree[reg.index()] -= 1;
        if self.graph.degree[reg.index()] == REGISTERS - 1 {
            self.enable_moves(reg);
            self.each_neighbour(reg, Coloring::enable_moves);
            self.file(reg);
        }
    }

    fn enable_moves(&mut self, reg: VReg) {
        for &at in &self.moves_of[reg.index()] {
            if std::mem::take(&mut self.waiting[at]) {
                self.ready.insert(self.rank[at]);
            }
        }
    }

    fn give_up_moves(&mut self, reg: VReg) {
        for index in 0..self.moves_of[reg.index()].len() {
            let at = self.moves_of[reg.index()][index];
            if !std::mem::take(&mut self.waiting[at]) && !self.ready.remove(self.rank[at]) {
                continue;
            }
            let (dst, src, _) = self.graph.moves[at];
            let other = if self.find(dst) == self.find(reg) { self.find(src) } else { self.find(dst) };
            self.refile_if_light(other);
        }
    }

    /// A light register whose last move is gone is simple.
    fn refile_if_light(&mut self, reg: VReg) {
        let present = !reg.is_physical() && self.state[reg.index()] == State::Present;
        if present && self.graph.degree[reg.index()] < REGISTERS && self.moving.contains(reg.index()) {
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
            self.waiting[at] = true;
        }
    }

    fn is_safe(&self, keep: VReg, gone: VReg) -> bool {
        if keep.is_physical() { self.george(keep, gone) } else { self.briggs(keep, gone) || self.george(keep, gone) }
    }

    /// Each neighbour of `gone` is light, or in the way of `keep` already.
    fn george(&self, keep: VReg, gone: VReg) -> bool {
        self.neighbours(gone).all(|other| {
            (other.is_physical() && keep.is_physical() && other != keep)
                || (!other.is_physical() && self.graph.degree[other.index()] < REGISTERS)
                || (self.graph.interferes(other, keep) && other != keep)
        })
    }

    /// Together they have fewer heavy neighbours than there are colours.
    fn briggs(&self, keep: VReg, gone: VReg) -> bool {
        let is_heavy = |other: VReg, is_common: bool| {
            // A common neighbour loses one edge by the merge.
            other.is_physical() || self.graph.degree[other.index()] - u32::from(is_common) >= REGISTERS
        };
        let kept = self.neighbours(keep).filter(|&other| is_heavy(other, self.graph.interferes(other, gone)));
        let new = |other: &VReg| !self.graph.interferes(*other, keep) && is_heavy(*other, false);
        kept.count() + self.neighbours(gone).filter(new).count() < REGISTERS as usize
    }

    fn combine(&mut self, keep: VReg, gone: VReg) {
        self.unfile(gone);
        self.state[gone.index()] = State::Merged;
        self.alias[gone.index()] = keep;
        let moves = std::mem::take(&mut self.moves_of[gone.index()]);
        self.moves_of[keep.index()].extend(moves);
        self.cost[keep.index()] += self.cost[gone.index()];
        self.enable_moves(keep);
        self.each_neighbour(gone, |all, other| {
            let was = all.graph.interferes(keep, other);
            all.graph.connect(keep, other);
            // `other` loses `gone`; if `keep` was its neighbour before, its degree falls.
            if was {
                all.lower_degree(other);
            } else if !other.is_physical() {
                all.graph.degree[other.index()] -= 1;
            }
        });
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
        self.wishes(reg, colors).find(free).or_else(|| PREFERENCE.iter().copied().find(free))
    }

    /// The colours of what it is copied from and to.
    fn wishes<'a>(&'a self, reg: VReg, colors: &'a [Option<u8>]) -> impl Iterator<Item = u8> + 'a {
        let partners = self.moves_of[reg.index()].iter().map(move |&at| {
            let (dst, src, _) = self.graph.moves[at];
            if self.find(dst) == reg { src } else { dst }
        });
        partners.filter_map(|partner| colors[self.find(partner).index()])
    }
}

/// Registers that calls destroy come first: the kernel saves `r6` to `r9` on entry of a program that writes them
/// (arch/x86/net/bpf_jit_comp.c, detect_reg_usage, 6.18).
const PREFERENCE: [u8; REGISTERS as usize] = [1, 2, 3, 4, 5, 0, 6, 7, 8, 9];
