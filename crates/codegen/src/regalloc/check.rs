//! Proves an allocation: follows through the finished code which values each machine register and stack word holds.
//!
//! What is proved: without spill code and with short registers named by their origin, the coloured function is the
//! selected one; and wherever that one reads a register, the coloured one reads a place that holds this register's
//! value on every path. Not looked at: whether the selected function is right.

use super::spill::Origins;
use crate::emit::mach::{Base, BlockId, Inst, Line, MFunc, Src, VReg};
use bpfquery_diag::{Failure, Result};
use std::collections::{BTreeMap, BTreeSet};

/// Checks `colored` with its `colors` against `selected`.
pub(super) fn check(selected: &MFunc, colored: &MFunc, origins: &Origins, colors: &[u8]) -> Result<()> {
    same_code(selected, colored, origins)?;
    let checker = Checker { func: colored, origins, colors };
    let mut incoming: Vec<Option<State>> = vec![None; colored.blocks.len()];
    incoming[0] = Some((0..10).map(|reg| (Place::Reg(reg), BTreeSet::from([VReg(u32::from(reg))]))).collect());
    // In the order in which values flow, so that most blocks are looked at once.
    let order: Vec<usize> = crate::emit::reverse_postorder(colored).into_iter().map(BlockId::index).collect();
    let mut position = vec![0; colored.blocks.len()];
    order.iter().enumerate().for_each(|(place, &at)| position[at] = place);
    let mut work = BTreeSet::from([0]);
    while let Some(at) = work.pop_first().map(|place| order[place]) {
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
                work.insert(position[target.index()]);
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

#[cfg(test)]
mod tests {
    use super::super::graph::Graph;
    use super::super::{Colored, rounds};
    use super::*;
    use crate::{emit, ir, passes};

    const FUNCTIONS: [&str; 3] = [
        include_str!("../../tests/clang/aggregates_by_pid.ir"),
        include_str!("../../tests/clang/histogram_by_comm.ir"),
        include_str!("../../tests/clang/live_20.ir"),
    ];

    fn allocations() -> Vec<(MFunc, Colored)> {
        let allocation = |text: &str| {
            let mut func = ir::parse(text).expect("the text is well-formed");
            passes::run(&mut func).expect("the function is right");
            let selected = emit::select_only(&func).expect("the function is right");
            let colored = rounds(selected.clone()).expect("it fits");
            (selected, colored)
        };
        FUNCTIONS.into_iter().map(allocation).collect()
    }

    fn is_right(selected: &MFunc, colored: &Colored) -> bool {
        check(selected, &colored.func, &colored.origins, &colored.colors).is_ok()
    }

    /// Another colour is wrong exactly where a register that is needed at the same time has it.
    #[test]
    fn every_other_colour_is_judged_as_the_graph_says() {
        let (mut wrong, mut right) = (0, 0);
        for (selected, mut colored) in allocations() {
            assert!(is_right(&selected, &colored));
            let graph = Graph::new(&colored.func);
            for reg in graph.virtuals() {
                let old = colored.colors[reg.index()];
                for color in (0..10).filter(|color| *color != old) {
                    let holds = |other: &VReg| colored.colors[other.index()] == color;
                    let taken = graph.neighbours[reg.index()].iter().any(holds);
                    colored.colors[reg.index()] = color;
                    assert_eq!(is_right(&selected, &colored), !taken, "{reg:?} in r{color}");
                    colored.colors[reg.index()] = old;
                    *(if taken { &mut wrong } else { &mut right }) += 1;
                }
            }
        }
        assert!(wrong > 100 && right > 100, "{wrong} wrong, {right} right");
    }

    /// No line of spill code can be spared, and none of the program's own.
    #[test]
    fn every_missing_line_is_noticed() {
        let mut lines = 0;
        for (selected, mut colored) in allocations() {
            for block in 0..colored.func.blocks.len() {
                for at in 0..colored.func.blocks[block].lines.len() {
                    let line = colored.func.blocks[block].lines.remove(at);
                    assert!(!is_right(&selected, &colored), "block {block}, line {at}, {:?}", line.inst);
                    colored.func.blocks[block].lines.insert(at, line);
                    lines += 1;
                }
            }
        }
        assert!(lines > 200, "only {lines}");
    }

    /// A reload from another word, and a store to another, are noticed.
    #[test]
    fn every_exchanged_word_is_noticed() {
        let mut exchanged = 0;
        for (selected, mut colored) in allocations() {
            for block in 0..colored.func.blocks.len() {
                for at in 0..colored.func.blocks[block].lines.len() {
                    let line = colored.func.blocks[block].lines[at];
                    let other = |word: u32| Base::Spill((word + 1) % colored.spills);
                    let inst = match line.inst {
                        Inst::Load { size, dst, base: Base::Spill(word), off } => {
                            Inst::Load { size, dst, base: other(word), off }
                        }
                        Inst::Store { size, base: Base::Spill(word), off, src } => {
                            Inst::Store { size, base: other(word), off, src }
                        }
                        _ => continue,
                    };
                    colored.func.blocks[block].lines[at].inst = inst;
                    assert!(!is_right(&selected, &colored), "block {block}, line {at}, {:?}", line.inst);
                    colored.func.blocks[block].lines[at] = line;
                    exchanged += 1;
                }
            }
        }
        assert!(exchanged >= 20, "only {exchanged}");
    }
}
