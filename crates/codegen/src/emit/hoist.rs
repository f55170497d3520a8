//! A choice between two constants needs one jump, not two.
//!
//! - `if c goto e; f: p = y; goto j; e: p = 1; goto j` is `p = 1; if c goto j; f: p = y; goto j`.
//!
//! Condition: `e` does nothing but set registers to constants and copies, and both sides go to `j`. That is all: what `e` writes are
//! parameters of `j`, which `f` writes too, and which nothing reads before `j`.
//!
//! - `if c goto e; f: p = 1; goto j` is `p = 1; if c goto e; goto j`, if `e` hardly ever runs, and behind it `p = 1; goto j` stands again:
//!   there it is known then (`peephole`), and the block ends like others.
//!
//! Not where `f` does nothing but copy what nobody reads behind it: there `p` and `y` may be one register, and the jump is the only one.
//!
//! In what hardly ever runs, on machine registers, `f` may be any block that does not read what `e` writes: the constant
//! is made in vain there, but the program is shorter.

use super::layout::reverse_postorder;
use super::mach::{BlockId, Inst, Line, MBlock, MFunc, Src, Term, VReg};

/// Moves constants before the branch that chooses them.
pub(super) fn run(func: &mut MFunc) {
    let mut preds = vec![0_u32; func.blocks.len()];
    func.blocks.iter().flat_map(|block| block.term.targets()).for_each(|target| preds[target.index()] += 1);
    let uses = uses(func);
    run_past_cold(func);
    for at in 0..func.blocks.len() {
        let Term::If { width, cond, a, b, then, otherwise } = func.blocks[at].term else { continue };
        let Some(join) = join(func, then).filter(|join| self::join(func, otherwise) == Some(*join)) else { continue };
        let reads = |reg: VReg| func.blocks[at].term.uses().filter(|used| *used == reg).count() as u32;
        let movable = |side: BlockId, other: BlockId| {
            let (block, other) = (&func.blocks[side.index()], &func.blocks[other.index()]);
            // Copies of what nobody needs any more become none, and the constant falls through to the join.
            let gone = |line: &Line| line.inst.copy().is_some_and(|(_, src)| uses[src.index()] == 1 + reads(src));
            if !other.lines.is_empty() && other.lines.iter().all(gone) && !block.cold {
                return false;
            }
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

/// Moves what a warm side sets to constants before the branch to a cold one, from which another way sets the same.
fn run_past_cold(func: &mut MFunc) {
    let mut preds: Vec<Vec<usize>> = vec![Vec::new(); func.blocks.len()];
    for (at, block) in func.blocks.iter().enumerate() {
        block.term.targets().for_each(|target| preds[target.index()].push(at));
    }
    for at in 0..func.blocks.len() {
        let Term::If { then, otherwise, .. } = func.blocks[at].term else { continue };
        for (side, other) in [(then, otherwise), (otherwise, then)] {
            let block = &func.blocks[side.index()];
            let simple = !block.lines.is_empty() && block.lines.iter().all(is_constant) && preds[side.index()] == [at];
            if simple && !block.cold && func.blocks[other.index()].cold && is_set_again(func, &preds, at, side) {
                let lines = std::mem::take(&mut func.blocks[side.index()].lines);
                func.blocks[at].lines.extend(lines);
            }
        }
    }
}

/// Whether a cold block that only `from` leads to sets what `side` sets, and goes where that goes.
fn is_set_again(func: &MFunc, preds: &[Vec<usize>], from: usize, side: BlockId) -> bool {
    let block = &func.blocks[side.index()];
    let Term::Jump(to) = block.term else { return false };
    let sets = |again: &MBlock| block.lines.iter().all(|set| again.lines.iter().any(|line| line.inst == set.inst));
    let again = preds[to.index()].iter().filter(|again| func.blocks[**again].cold && sets(&func.blocks[**again]));
    again.into_iter().any(|again| {
        let mut at = *again;
        // A chain is no longer than there are blocks.
        for _ in 0..preds.len() {
            let [pred] = preds[at].as_slice() else { return false };
            if *pred == from {
                return true;
            }
            let writes = |set: &Line| func.blocks[*pred].lines.iter().any(|line| line.inst.def() == set.inst.def());
            if !func.blocks[*pred].cold || block.lines.iter().any(writes) {
                return false;
            }
            at = *pred;
        }
        false
    })
}

/// How often each register is read.
fn uses(func: &MFunc) -> Vec<u32> {
    let mut uses = vec![0; func.registers as usize];
    for block in &func.blocks {
        block.lines.iter().for_each(|line| line.inst.uses().for_each(|reg| uses[reg.index()] += 1));
        block.term.uses().for_each(|reg| uses[reg.index()] += 1);
    }
    uses
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
