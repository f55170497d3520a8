//! Two-slot constants that a register holds already.
//!
//! - `t = c ll; …; u = c ll` is `t = c ll; …`, with `t` for `u`, up to the next call: beyond, keeping `t` would cost one of
//!   the few registers that calls leave.
//! - Two variables of one section: the second's address is the first's, and the distance an offset, where `u` is only the
//!   base of one access.

use super::mach::{Base, Inst, Line, MFunc, Src, VReg, Wide};
use crate::ir::{Func, Global};

/// Reuses constants inside each block.
pub(super) fn run(func: &Func, machine: &mut MFunc) {
    let mut uses = vec![0_u32; machine.registers as usize];
    let mut defs = vec![0_u32; machine.registers as usize];
    for block in &machine.blocks {
        for line in &block.lines {
            line.inst.uses().for_each(|reg| uses[reg.index()] += 1);
            line.inst.def().into_iter().for_each(|reg| defs[reg.index()] += 1);
        }
        block.term.uses().for_each(|reg| uses[reg.index()] += 1);
    }
    for block in &mut machine.blocks {
        let mut held: Vec<(VReg, Wide)> = Vec::new();
        let mut at = 0;
        while at < block.lines.len() {
            let once = |reg: VReg| !reg.is_physical() && defs[reg.index()] == 1;
            match block.lines[at].inst {
                Inst::Wide { dst, value } if once(dst) && uses[dst.index()] == 1 => {
                    if let Some((user, inst)) = user(&block.lines[at..], dst).and_then(|user| {
                        let inst = block.lines[at + user].inst;
                        let on = |&(reg, known)| on(func, reg, known, dst, value, inst);
                        Some((at + user, held.iter().find_map(on)?))
                    }) {
                        block.lines[user].inst = inst;
                        block.lines.remove(at);
                        continue;
                    }
                    held.push((dst, value));
                }
                Inst::Wide { dst, value } if once(dst) => held.push((dst, value)),
                Inst::Call { .. } | Inst::Scan { .. } => held.clear(),
                _ => {}
            }
            at += 1;
        }
    }
}

/// The place of the one instruction that uses `dst`, if it stands before the next call.
fn user(lines: &[Line], dst: VReg) -> Option<usize> {
    let calls =
        lines.iter().position(|line| matches!(line.inst, Inst::Call { .. } | Inst::Scan { .. })).unwrap_or(lines.len());
    lines[..calls].iter().position(|line| line.inst.reads(dst))
}

/// The instruction `next`, which uses `dst` once, on the register that holds `known` instead of `value`.
fn on(func: &Func, reg: VReg, known: Wide, dst: VReg, value: Wide, next: Inst) -> Option<Inst> {
    if !next.reads(dst) {
        return None;
    }
    if known == value {
        return two_address(next, dst).is_none().then(|| next.map(|r| if r == dst { reg } else { r }, |r| r));
    }
    let distance = distance(func, known, value)?;
    let moved = |base: Base, off: i16| match base {
        Base::Reg(base) if base == dst => i16::try_from(distance + i32::from(off)).ok(),
        _ => None,
    };
    let base = Base::Reg(reg);
    match next {
        Inst::Load { size, dst, base: old, off } => Some(Inst::Load { size, dst, base, off: moved(old, off)? }),
        Inst::LoadSx { size, dst, base: old, off } => Some(Inst::LoadSx { size, dst, base, off: moved(old, off)? }),
        Inst::Store { size, base: old, off, src } if src != Src::Reg(dst) => {
            Some(Inst::Store { size, base, off: moved(old, off)?, src })
        }
        Inst::AtomicAdd { base: old, off, src } if src != dst => {
            Some(Inst::AtomicAdd { base, off: moved(old, off)?, src })
        }
        _ => None,
    }
}

/// The register that the instruction would overwrite although it holds the constant.
fn two_address(inst: Inst, dst: VReg) -> Option<VReg> {
    inst.def().filter(|def| *def == dst)
}

/// Bytes from one variable to another of its section.
pub(super) fn distance(func: &Func, from: Wide, to: Wide) -> Option<i32> {
    let (Wide::Global(a, a_off), Wide::Global(b, b_off)) = (from, to) else { return None };
    let (a, b) = (func.global(a), func.global(b));
    let same = matches!((a.section, b.section), (Global::Rodata, Global::Rodata) | (Global::Bss, Global::Bss));
    let place = |start: u32, off: i32| i32::try_from(start).ok()?.checked_add(off);
    same.then_some(place(b.offset, b_off)? - place(a.offset, a_off)?)
}
