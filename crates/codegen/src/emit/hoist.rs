//! A choice between two constants needs one jump, not two.
//!
//! - `if c goto e; f: p = y; goto j; e: p = 1; goto j` is `p = 1; if c goto j; f: p = y; goto j`.
//!
//! Condition: `e` does nothing but set registers to constants and copies, and both sides go to `j`. That is all: what `e` writes are
//! parameters of `j`, which `f` writes too, and which nothing reads before `j`.
//!
//! In what hardly ever runs, on machine registers, `f` may be any block that does not read what `e` writes: the constant
//! is made in vain there, but the program is shorter.

use super::layout::reverse_postorder;
use super::mach::{BlockId, Inst, Line, MFunc, Src, Term, VReg};

/// Moves constants before the branch that chooses them.
pub(super) fn run(func: &mut MFunc) {
    let mut preds = vec![0_u32; func.blocks.len()];
    func.blocks.iter().flat_map(|block| block.term.targets()).for_each(|target| preds[target.index()] += 1);
    for at in 0..func.blocks.len() {
        let Term::If { width, cond, a, b, then, otherwise } = func.blocks[at].term else { continue };
        let Some(join) = join(func, then).filter(|join| self::join(func, otherwise) == Some(*join)) else { continue };
        let movable = |side: BlockId, other: BlockId| {
            let (block, other) = (&func.blocks[side.index()], &func.blocks[other.index()]);
            let simple = |line: &Line| is_constant(line) || line.inst.copy().is_some_and(|(dst, _)| !dst.is_physical());
            let constant = block.lines.iter().any(is_constant) && block.lines.iter().all(simple);
            constant && preds[side.index()] == 1 && (other.cold || !block.cold)
        };
        let (side, term) = if movable(then, otherwise) {
            (then, Term::If { width, cond, a, b, then: join, otherwise })
        } else if movable(otherwise, then) && cond.negate().is_some() {
            (otherwise, Term::If { width, cond, a, b, then, otherwise: join })
        } else {
            continue;
        };
        let lines = std::mem::take(&mut func.blocks[side.index()].lines);
        func.blocks[at].lines.extend(lines);
        func.blocks[at].term = term;
    }
}

/// The same in cold blocks, behind the allocation.
pub(super) fn run_cold(func: &mut MFunc) {
    let order = reverse_postorder(func);
    let mut ways = vec![0_u32; func.blocks.len()];
    order.iter().flat_map(|at| func.blocks[at.index()].term.targets()).for_each(|target| ways[target.index()] += 1);
    // From below, for a block that got constants in front reads no older ones.
    for &at in order.iter().rev() {
        let Term::If { width, cond, a, b, then, otherwise } = func.blocks[at.index()].term else { continue };
        if !func.blocks[at.index()].cold {
            continue;
        }
        let movable = |side: BlockId, other: BlockId| {
            let lines = &func.blocks[side.index()].lines;
            let free = |line: &Line| {
                is_made(line)
                    && line
                        .inst
                        .def()
                        .is_some_and(|reg| !func.blocks[at.index()].term.reads(reg) && is_dead(func, other, reg))
            };
            ways[side.index()] == 1 && !lines.is_empty() && lines.iter().all(free) && side != other
        };
        let (side, term) = match (join(func, then), join(func, otherwise)) {
            (Some(to), _) if movable(then, otherwise) => (then, Term::If { width, cond, a, b, then: to, otherwise }),
            (_, Some(to)) if movable(otherwise, then) && cond.negate().is_some() => {
                (otherwise, Term::If { width, cond, a, b, then, otherwise: to })
            }
            _ => continue,
        };
        let lines = std::mem::take(&mut func.blocks[side.index()].lines);
        func.blocks[at.index()].lines.extend(lines);
        func.blocks[at.index()].term = term;
    }
}

/// Whether the block writes the register before it reads it.
fn is_dead(func: &MFunc, block: BlockId, reg: VReg) -> bool {
    let block = &func.blocks[block.index()];
    for line in &block.lines {
        if line.inst.reads(reg) {
            return false;
        }
        if line.inst.def() == Some(reg) || line.inst.clobbers().contains(&reg.0) {
            return true;
        }
    }
    false
}

// What a relocation rewrites stays behind the branch that asks whether it can: where the field does not exist the loader
// makes the instruction one that must not be reached (bpf_core_poison_insn, tools/lib/bpf/relo_core.c).
fn is_made(line: &Line) -> bool {
    line.core.is_none() && matches!(line.inst, Inst::Mov { src: Src::Imm(_), .. } | Inst::Wide { .. })
}

fn join(func: &MFunc, side: BlockId) -> Option<BlockId> {
    match func.blocks[side.index()].term {
        Term::Jump(join) => Some(join),
        Term::If { .. } | Term::Exit => None,
    }
}

fn is_constant(line: &Line) -> bool {
    line.core.is_none() && matches!(line.inst, Inst::Mov { dst, src: Src::Imm(_), .. } if !dst.is_physical())
}
