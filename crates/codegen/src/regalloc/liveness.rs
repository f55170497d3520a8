//! Which registers hold a value that is still needed, at the ends of blocks.
//!
//! Most registers live in one block only. Those that some block needs from another one have numbers of their own, and only
//! they are followed from block to block: the work grows with the function, not with its square.

use crate::emit::mach::{BlockId, MFunc, VReg};

/// A set of registers that is walked and emptied in the time of its members.
#[derive(Clone, Debug)]
pub(super) struct Set {
    members: Vec<VReg>,
    /// Where each register stands among the members, if it is one.
    place: Vec<u32>,
}

const NOWHERE: u32 = u32::MAX;

impl Set {
    /// No register, of so many.
    pub(super) fn new(registers: u32) -> Set {
        Set { members: Vec::new(), place: vec![NOWHERE; registers as usize] }
    }

    /// Adds; says whether it was new.
    pub(super) fn insert(&mut self, reg: VReg) -> bool {
        let new = !self.contains(reg);
        if new {
            self.place[reg.index()] = self.members.len() as u32;
            self.members.push(reg);
        }
        new
    }

    /// Takes out.
    pub(super) fn remove(&mut self, reg: VReg) {
        let place = std::mem::replace(&mut self.place[reg.index()], NOWHERE);
        if place != NOWHERE {
            self.members.swap_remove(place as usize);
            if let Some(moved) = self.members.get(place as usize) {
                self.place[moved.index()] = place;
            }
        }
    }

    /// Takes all out.
    pub(super) fn clear(&mut self) {
        for reg in self.members.drain(..) {
            self.place[reg.index()] = NOWHERE;
        }
    }

    /// Whether it is in.
    pub(super) fn contains(&self, reg: VReg) -> bool {
        self.place[reg.index()] != NOWHERE
    }

    /// All, in no order that means anything, but always the same.
    pub(super) fn iter(&self) -> impl Iterator<Item = VReg> + '_ {
        self.members.iter().copied()
    }
}

/// The registers needed behind the end of each block.
#[derive(Clone, Debug)]
pub(super) struct LiveOut {
    /// Registers that some block needs from another.
    global: Vec<VReg>,
    /// For each block so many words, with a bit for each of these.
    bits: Vec<u64>,
    words: usize,
}

impl LiveOut {
    /// Walks the function until nothing changes; from below, that is twice where there is no loop.
    pub(super) fn new(func: &MFunc) -> LiveOut {
        let (global, number) = globals(func);
        let words = global.len().div_ceil(64);
        let size = words * func.blocks.len();
        let mut live = LiveOut { global, bits: vec![0; size], words };
        let effects = Effects::new(func, &number, words);
        let order = postorder(func);
        let mut before = vec![0; size];
        let mut changed = true;
        while changed {
            changed = false;
            for &at in &order {
                let start = at * words;
                for word in 0..words {
                    let there = func.blocks[at].term.targets().map(|target| before[target.index() * words + word]);
                    let out = there.fold(live.bits[start + word], |out, there| out | there);
                    let now = effects.needs[start + word] | (out & !effects.kills[start + word]);
                    live.bits[start + word] = out;
                    changed |= std::mem::replace(&mut before[start + word], now) != now;
                }
            }
        }
        live
    }

    /// Fills a set with what is needed behind the block's end.
    pub(super) fn fill(&self, block: usize, set: &mut Set) {
        set.clear();
        for (at, &word) in self.bits[block * self.words..][..self.words].iter().enumerate() {
            let mut rest = word;
            while rest != 0 {
                set.insert(self.global[at * 64 + rest.trailing_zeros() as usize]);
                rest &= rest - 1;
            }
        }
    }
}

/// What each block needs from before it, and what it writes anew; of the numbered registers.
struct Effects {
    needs: Vec<u64>,
    kills: Vec<u64>,
}

impl Effects {
    fn new(func: &MFunc, number: &[u32], words: usize) -> Effects {
        let size = words * func.blocks.len();
        let mut effects = Effects { needs: vec![0; size], kills: vec![0; size] };
        for at in 0..func.blocks.len() {
            walk(func, at, |reg, written| {
                let number = number[reg.index()];
                if number == NOWHERE {
                    return;
                }
                let (word, bit) = (at * words + number as usize / 64, 1_u64 << (number % 64));
                if written {
                    effects.kills[word] |= bit;
                } else if effects.kills[word] & bit == 0 {
                    effects.needs[word] |= bit;
                }
            });
        }
        effects
    }
}

/// Calls `visit` with each register that is read (false) or written (true), from the block's start.
fn walk(func: &MFunc, at: usize, mut visit: impl FnMut(VReg, bool)) {
    let block = &func.blocks[at];
    for line in &block.lines {
        line.inst.uses().for_each(|reg| visit(reg, false));
        line.inst.clobbers().for_each(|reg| visit(VReg(reg), true));
        line.inst.def().into_iter().for_each(|reg| visit(reg, true));
    }
    block.term.uses().for_each(|reg| visit(reg, false));
}

/// The registers that a block reads before it writes them, and their numbers.
fn globals(func: &MFunc) -> (Vec<VReg>, Vec<u32>) {
    let mut global = Vec::new();
    let mut number = vec![NOWHERE; func.registers as usize];
    let mut written = Set::new(func.registers);
    for at in 0..func.blocks.len() {
        written.clear();
        walk(func, at, |reg, writes| {
            if writes {
                written.insert(reg);
            } else if !written.contains(reg) && number[reg.index()] == NOWHERE {
                number[reg.index()] = global.len() as u32;
                global.push(reg);
            }
        });
    }
    (global, number)
}

/// All blocks, each behind what it goes to; those that nothing reaches last.
fn postorder(func: &MFunc) -> Vec<usize> {
    let mut order: Vec<usize> = crate::emit::reverse_postorder(func).into_iter().map(BlockId::index).rev().collect();
    let mut seen = vec![false; func.blocks.len()];
    order.iter().for_each(|&at| seen[at] = true);
    order.extend((0..func.blocks.len()).filter(|&at| !seen[at]));
    order
}

/// Walks a block from its end: `visit` sees each line with what is needed behind it; `live` ends as what is needed before
/// the block.
pub(super) fn backward(func: &MFunc, block: usize, live: &mut Set, mut visit: impl FnMut(usize, &Set)) {
    let block = &func.blocks[block];
    block.term.uses().for_each(|reg| {
        live.insert(reg);
    });
    for (at, line) in block.lines.iter().enumerate().rev() {
        visit(at, live);
        line.inst.def().into_iter().for_each(|reg| live.remove(reg));
        line.inst.clobbers().for_each(|reg| live.remove(VReg(reg)));
        line.inst.uses().for_each(|reg| {
            live.insert(reg);
        });
    }
}
