//! Blocks that end alike share their end.
//!
//! - `a: x; z; goto j` and `b: y; z; goto j` are `a: x; s: z; goto j` and `b: y; goto s`.
//!
//! - `lock c += 1; p = 1; goto j` is `p = 1; lock c += 1; goto j` where hardly anything runs: what counts then ends like what else counts.
//!
//! A load through a register is never shared: the register may hold the context in one block and the address of a map's value in
//! the other, and the kernel wants to know of every instruction which it is ("same insn cannot be used with different
//! pointers": save_aux_ptr_type, kernel/bpf/verifier.c, Linux 6.18). Stores never go to the context.
//!
//! No way through the program gets longer: each end stood behind a jump or before one. Runs on machine registers, where
//! what is alike is equal.

use super::layout::{Does, reachable};
use super::mach::{Base, BlockId, Inst, Line, MBlock, MFunc, Src, Term};
use std::collections::BTreeMap;

/// Joins ends until no two are alike.
pub(super) fn run(func: &mut MFunc) {
    func.blocks.iter_mut().filter(|block| block.cold).for_each(|block| count_last(&mut block.lines));
    // Each round makes the function shorter by an instruction at least.
    let most: usize = func.blocks.iter().map(|block| block.lines.len()).sum();
    for _ in 0..most {
        let groups = alike(func);
        if groups.is_empty() {
            return;
        }
        for group in groups {
            let length = common(func, &group);
            share(func, &group, length);
        }
    }
}

/// Moves constants that are set behind a counter before what leads to it.
fn count_last(lines: &mut [Line]) {
    for from in 1..lines.len() {
        let set = lines[from];
        let constant = set.core.is_none() && matches!(set.inst, Inst::Mov { src: Src::Imm(_), .. });
        if !constant || !matches!(lines[from - 1].inst, Inst::AtomicAdd { .. }) {
            continue;
        }
        let touches = |line: &Line| {
            let dst = set.inst.def();
            let call = matches!(line.inst, Inst::Call { .. } | Inst::Scan { .. });
            call || line.inst.def() == dst || line.inst.uses().into_iter().any(|used| Some(used) == dst)
        };
        let to = lines[..from].iter().rposition(touches).map_or(0, |last| last + 1);
        lines[to..=from].rotate_right(1);
    }
}

/// Groups of blocks with the same terminator and the same last instruction.
fn alike(func: &MFunc) -> Vec<Vec<usize>> {
    let reached = reachable(func);
    let mut groups: BTreeMap<(Term, Does), Vec<usize>> = BTreeMap::new();
    for (at, block) in func.blocks.iter().enumerate().filter(|(at, _)| reached[*at]) {
        if let Some(last) = block.lines.last().filter(|line| is_shareable(line.inst)) {
            groups.entry((block.term, (last.inst, last.core))).or_default().push(at);
        }
    }
    groups.into_values().filter(|group| group.len() > 1).collect()
}

/// How many instructions at the end all blocks of the group share.
fn common(func: &MFunc, group: &[usize]) -> usize {
    let lines = |at: usize| func.blocks[at].lines.iter().rev().map(|line| (line.inst, line.core));
    let first = group[0];
    let shared = |at: &usize| lines(first).zip(lines(*at)).take_while(|(a, b)| a == b && is_shareable(a.0)).count();
    group[1..].iter().map(shared).min().unwrap_or(0)
}

/// Whether the instruction means the same whatever kind of pointer its registers hold.
fn is_shareable(inst: Inst) -> bool {
    !matches!(inst, Inst::Load { base: Base::Reg(_), .. } | Inst::LoadSx { base: Base::Reg(_), .. })
}

fn share(func: &mut MFunc, group: &[usize], length: usize) {
    let whole = group.iter().copied().find(|&at| at != 0 && func.blocks[at].lines.len() == length);
    let end = whole.unwrap_or_else(|| {
        let from = &func.blocks[group[0]];
        let lines = from.lines[from.lines.len() - length..].to_vec();
        let (term, span) = (from.term, from.span);
        func.blocks.push(MBlock { lines, term, span, cold: true });
        func.blocks.len() - 1
    });
    func.blocks[end].cold = group.iter().all(|&at| func.blocks[at].cold);
    for &at in group.iter().filter(|&&at| at != end) {
        let block = &mut func.blocks[at];
        block.lines.truncate(block.lines.len() - length);
        block.term = Term::Jump(BlockId(end as u32));
    }
}
