//! Constants that a register holds already, on machine registers.
//!
//! - `r = c; …; r = c` is `r = c; …`, if nothing between writes `r`.

use super::mach::{Inst, MFunc, REGISTERS, Src, VReg, Wide};
use bpfquery_isa::Width;

/// Removes constants made twice in a block.
pub(super) fn run(func: &mut MFunc) {
    for block in &mut func.blocks {
        let mut held: [Option<Constant>; REGISTERS as usize] = [None; REGISTERS as usize];
        block.lines.retain(|line| {
            // A relocated constant is another one after loading.
            let constant = constant_of(&line.inst).filter(|_| line.core.is_none());
            if constant.is_some_and(|(dst, constant)| held[dst.index()] == Some(constant)) {
                return false;
            }
            line.inst.clobbers().for_each(|reg| held[reg as usize] = None);
            line.inst.def().into_iter().for_each(|reg| held[reg.index()] = None);
            constant.into_iter().for_each(|(dst, constant)| held[dst.index()] = Some(constant));
            true
        });
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Constant {
    Number(i64),
    Wide(Wide),
}

fn constant_of(inst: &Inst) -> Option<(VReg, Constant)> {
    match *inst {
        Inst::Mov { width: Width::W64, dst, src: Src::Imm(imm) } => Some((dst, Constant::Number(i64::from(imm)))),
        Inst::Mov { width: Width::W32, dst, src: Src::Imm(imm) } => {
            Some((dst, Constant::Number(i64::from(imm as u32))))
        }
        Inst::Wide { dst, value } => Some((dst, Constant::Wide(value))),
        _ => None,
    }
}
