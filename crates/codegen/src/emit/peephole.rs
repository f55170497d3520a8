//! Constants that a register holds already, on machine registers.
//!
//! - `r = c; …; r = c` is `r = c; …`, if nothing between writes `r`.
//! - `r = x ll; …; r = y ll` is `r = x ll; …; r += y - x` for two variables of one section.
//!
//! What a register holds is followed through a block, and into a block that only one way leads to.

use super::layout::reverse_postorder;
use super::mach::{BlockId, Inst, Line, MBlock, MFunc, REGISTERS, Src, VReg, Wide};
use super::reuse::distance;
use crate::ir::Func;
use bpfquery_isa::{AluOp, Width};

/// Removes constants that are there.
pub(super) fn run(func: &Func, machine: &mut MFunc) {
    let order = reverse_postorder(machine);
    let pred = only_predecessors(machine, &order);
    let mut ends: Vec<Held> = vec![Held::default(); machine.blocks.len()];
    for block in order {
        let mut held = pred[block.index()].map_or_else(Held::default, |pred| ends[pred.index()]);
        clean(func, &mut machine.blocks[block.index()], &mut held);
        ends[block.index()] = held;
    }
}

/// For each block, the block that alone leads to it, by one way.
fn only_predecessors(machine: &MFunc, order: &[BlockId]) -> Vec<Option<BlockId>> {
    let mut ways = vec![0_u32; machine.blocks.len()];
    let mut pred = vec![None; machine.blocks.len()];
    for &block in order {
        for target in machine.blocks[block.index()].term.targets() {
            ways[target.index()] += 1;
            pred[target.index()] = Some(block);
        }
    }
    // Nothing goes to the entry, but it starts with what it is given.
    pred.into_iter().zip(ways).map(|(pred, ways)| pred.filter(|_| ways == 1)).collect()
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Constant {
    Number(i64),
    Wide(Wide),
}

/// What each register holds, where that is known.
type Held = [Option<Constant>; REGISTERS as usize];

fn clean(func: &Func, block: &mut MBlock, held: &mut Held) {
    block.lines.retain_mut(|line| {
        // A relocated constant is another one after loading.
        let constant = constant_of(line).filter(|_| line.core.is_none());
        if let Some((dst, constant)) = constant {
            let before = held[dst.index()].replace(constant);
            if before == Some(constant) {
                return false;
            }
            if let Some(step) = step(func, before, constant) {
                line.inst = Inst::Alu { width: Width::W64, op: AluOp::Add, dst, src: Src::Imm(step) };
            }
            return true;
        }
        line.inst.clobbers().for_each(|reg| held[reg as usize] = None);
        line.inst.def().into_iter().for_each(|reg| held[reg.index()] = None);
        true
    });
}

/// The distance from the variable that a register points to, to another.
fn step(func: &Func, before: Option<Constant>, now: Constant) -> Option<i32> {
    match (before?, now) {
        (Constant::Wide(before), Constant::Wide(now)) => distance(func, before, now),
        (Constant::Number(_) | Constant::Wide(_), _) => None,
    }
}

fn constant_of(line: &Line) -> Option<(VReg, Constant)> {
    match line.inst {
        Inst::Mov { width: Width::W64, dst, src: Src::Imm(imm) } => Some((dst, Constant::Number(i64::from(imm)))),
        Inst::Mov { width: Width::W32, dst, src: Src::Imm(imm) } => {
            Some((dst, Constant::Number(i64::from(imm as u32))))
        }
        Inst::Wide { dst, value } => Some((dst, Constant::Wide(value))),
        _ => None,
    }
}
