//! Proves an allocation: follows through the finished code which values each machine register and stack word holds.
//!
//! What is proved: without spill code and with short registers named by their origin, the coloured function is the
//! selected one; and wherever that one reads a register, the coloured one reads a place that holds this register's
//! value on every path. Not looked at: whether the selected function is right.

use super::spill::Origins;
use crate::emit::mach::{Base, Inst, Line, MFunc, Src, VReg};
use bpfquery_diag::{Failure, Result};
use std::collections::{BTreeMap, BTreeSet};

/// Checks `colored` with its `colors` against `selected`.
pub(super) fn check(selected: &MFunc, colored: &MFunc, origins: &Origins, colors: &[u8]) -> Result<()> {
    same_code(selected, colored, origins)?;
    let checker = Checker { func: colored, origins, colors };
    let mut incoming: Vec<Option<State>> = vec![None; colored.blocks.len()];
    incoming[0] = Some((0..10).map(|reg| (Place::Reg(reg), BTreeSet::from([VReg(u32::from(reg))]))).collect());
    let mut work = vec![0];
    while let Some(at) = work.pop() {
        // Only blocks with a state are put on the list.
        let Some(mut state) = incoming[at].clone() else { continue };
        checker.block(at, &mut state)?;
        for target in colored.blocks[at].term.targets() {
            let known = &mut incoming[target.index()];
            let met = match known {
                None => state.clone(),
                Some(known) => meet(known, &state),
            };
            if known.as_ref() != Some(&met) {
                *known = Some(met);
                work.push(target.index());
            }
        }
    }
    Ok(())
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Place {
    Reg(u8),
    Word(u32),
}

/// The registers of the selected function whose value each place holds.
type State = BTreeMap<Place, BTreeSet<VReg>>;

fn meet(a: &State, b: &State) -> State {
    let both = |(place, held): (&Place, &BTreeSet<VReg>)| {
        let shared: BTreeSet<VReg> = held.intersection(b.get(place)?).copied().collect();
        (!shared.is_empty()).then_some((*place, shared))
    };
    a.iter().filter_map(both).collect()
}

struct Checker<'a> {
    func: &'a MFunc,
    origins: &'a Origins,
    colors: &'a [u8],
}

impl Checker<'_> {
    fn place(&self, reg: VReg) -> Place {
        Place::Reg(self.colors[reg.index()])
    }

    fn block(&self, at: usize, state: &mut State) -> Result<()> {
        let block = &self.func.blocks[at];
        for (index, line) in block.lines.iter().enumerate() {
            self.line(line, state).map_err(|what| bug(format!("block {at}, line {index}, {:?}: {what}", line.inst)))?;
        }
        for reg in block.term.uses() {
            self.read(reg, state).map_err(|what| bug(format!("end of block {at}, {:?}: {what}", block.term)))?;
        }
        Ok(())
    }

    fn line(&self, line: &Line, state: &mut State) -> std::result::Result<(), String> {
        match line.inst {
            Inst::Load { dst, base: Base::Spill(word), .. } => {
                let held = state.get(&Place::Word(word)).cloned().unwrap_or_default();
                state.insert(self.place(dst), held);
                return Ok(());
            }
            Inst::Store { base: Base::Spill(word), src: Src::Reg(src), .. } => {
                let held = state.get(&self.place(src)).cloned().unwrap_or_default();
                state.insert(Place::Word(word), held);
                return Ok(());
            }
            _ => {}
        }
        for reg in line.inst.uses() {
            self.read(reg, state)?;
        }
        for reg in line.inst.clobbers() {
            self.write(VReg(reg), Place::Reg(reg as u8), BTreeSet::new(), state);
        }
        let Some(def) = line.inst.def() else { return Ok(()) };
        let held = match line.inst.copy() {
            Some((_, src)) => state.get(&self.place(src)).cloned().unwrap_or_default(),
            None => BTreeSet::new(),
        };
        // A register that is made anew has its old value again: other places that hold it stay right.
        let origin = self.origins.of(def);
        let remade = self.origins.remake(origin).is_some_and(|made| made.inst == line.inst.map(|r| r, |_| origin));
        if remade && def != origin {
            state.insert(self.place(def), BTreeSet::from([origin]));
            return Ok(());
        }
        self.write(origin, self.place(def), held, state);
        if let Some((_, src)) = line.inst.copy() {
            self.also(origin, self.origins.of(src), state);
        }
        Ok(())
    }

    /// `reg` gets a new value, in `place`, which then is that of all of `held` too.
    fn write(&self, reg: VReg, place: Place, mut held: BTreeSet<VReg>, state: &mut State) {
        for held in state.values_mut() {
            held.remove(&reg);
        }
        held.insert(reg);
        state.insert(place, held);
    }

    /// After a copy, every place that holds the source holds the destination.
    fn also(&self, dst: VReg, src: VReg, state: &mut State) {
        for held in state.values_mut() {
            if held.contains(&src) {
                held.insert(dst);
            }
        }
    }

    fn read(&self, reg: VReg, state: &State) -> std::result::Result<(), String> {
        let (origin, place) = (self.origins.of(reg), self.place(reg));
        match state.get(&place) {
            Some(held) if held.contains(&origin) => Ok(()),
            held => Err(format!("{place:?} should hold {origin:?} and holds {held:?}")),
        }
    }
}

/// Whether the coloured function is the selected one but for spill code.
fn same_code(selected: &MFunc, colored: &MFunc, origins: &Origins) -> Result<()> {
    let name = |reg: VReg| origins.of(reg);
    for (at, (old, new)) in selected.blocks.iter().zip(&colored.blocks).enumerate() {
        let is_spill_code = |line: &&Line| match line.inst {
            Inst::Load { base: Base::Spill(_), .. } | Inst::Store { base: Base::Spill(_), .. } => true,
            _ => is_made_anew(&line.inst, origins),
        };
        let old = old.lines.iter().filter(|line| !is_made_anew(&line.inst, origins)).map(|line| line.inst);
        let new_lines = new.lines.iter().filter(|line| !is_spill_code(line)).map(|line| line.inst.map(name, name));
        if !old.eq(new_lines) || selected.blocks[at].term != new.term.map(name) {
            return Err(bug(format!("block {at} is not the selected one")));
        }
    }
    match selected.blocks.len() == colored.blocks.len() {
        true => Ok(()),
        false => Err(bug("blocks appeared or went".to_owned())),
    }
}

/// Whether the instruction makes a register that can be made anew; these may come and go.
fn is_made_anew(inst: &Inst, origins: &Origins) -> bool {
    let Some(def) = inst.def() else { return false };
    let origin = origins.of(def);
    origins.remake(origin).is_some_and(|made| made.inst == inst.map(|r| r, |_| origin))
}

fn bug(detail: String) -> Failure {
    Failure::bug("regalloc check", detail)
}
