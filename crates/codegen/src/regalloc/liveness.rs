//! Which registers hold a value that is still needed, at the ends of blocks.

use crate::emit::mach::{MFunc, VReg};

/// A set of registers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Set {
    words: Vec<u64>,
}

impl Set {
    /// No register, of so many.
    pub(super) fn new(registers: u32) -> Set {
        Set { words: vec![0; (registers as usize).div_ceil(64)] }
    }

    /// Adds; says whether it was new.
    pub(super) fn insert(&mut self, reg: VReg) -> bool {
        let (word, bit) = (reg.index() / 64, 1 << (reg.0 % 64));
        let new = self.words[word] & bit == 0;
        self.words[word] |= bit;
        new
    }

    /// Takes out.
    pub(super) fn remove(&mut self, reg: VReg) {
        self.words[reg.index() / 64] &= !(1 << (reg.0 % 64));
    }

    /// Whether it is in.
    pub(super) fn contains(&self, reg: VReg) -> bool {
        self.words[reg.index() / 64] & 1 << (reg.0 % 64) != 0
    }

    /// Adds all of another set; says whether any was new.
    pub(super) fn union(&mut self, other: &Set) -> bool {
        let mut changed = false;
        for (word, other) in self.words.iter_mut().zip(&other.words) {
            changed |= *other & !*word != 0;
            *word |= *other;
        }
        changed
    }

    /// All, in order.
    pub(super) fn iter(&self) -> impl Iterator<Item = VReg> + '_ {
        self.words.iter().enumerate().flat_map(|(at, &word)| {
            let mut rest = word;
            std::iter::from_fn(move || {
                let bit = (rest != 0).then(|| rest.trailing_zeros())?;
                rest &= rest - 1;
                Some(VReg(at as u32 * 64 + bit))
            })
        })
    }
}

/// For each block, the registers needed behind its end.
pub(super) fn live_out(func: &MFunc) -> Vec<Set> {
    let mut live_in = vec![Set::new(func.registers); func.blocks.len()];
    let mut live_out = live_in.clone();
    let mut changed = true;
    while changed {
        changed = false;
        for (at, block) in func.blocks.iter().enumerate().rev() {
            for target in block.term.targets() {
                live_out[at].union(&live_in[target.index()]);
            }
            let mut live = live_out[at].clone();
            backward(func, at, &mut live, |_, _| {});
            changed |= live_in[at].union(&live);
        }
    }
    live_out
}

/// Walks a block from its end: `visit` sees each line with what is needed behind it; `live` ends as what is needed before
/// the block.
pub(super) fn backward(func: &MFunc, block: usize, live: &mut Set, mut visit: impl FnMut(usize, &Set)) {
    let block = &func.blocks[block];
    block.term.uses().into_iter().for_each(|reg| {
        live.insert(reg);
    });
    for (at, line) in block.lines.iter().enumerate().rev() {
        visit(at, live);
        line.inst.def().into_iter().for_each(|reg| live.remove(reg));
        line.inst.clobbers().for_each(|reg| live.remove(VReg(reg)));
        line.inst.uses().into_iter().for_each(|reg| {
            live.insert(reg);
        });
    }
}
