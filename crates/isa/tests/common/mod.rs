//! Every form of every instruction, with operands that tell the fields apart.

use bpfquery_isa::*;

/// Registers whose numbers are low, high and in between, without the frame pointer.
pub(crate) const REGS: [Reg; 3] = [Reg::R0, Reg::R5, Reg::R9];

/// Offsets at the edges of the field.
pub(crate) const OFFS: [i16; 5] = [0, 1, -8, i16::MAX, i16::MIN];

/// Constants at the edges of the field; none is zero or a shift too far, see [`operands`].
const IMMS: [i32; 5] = [1, 31, -1, i32::MAX, i32::MIN];

/// Every form that does not jump, with its operands varied; each is valid.
pub(crate) fn straight() -> Vec<Insn> {
    let mut out = Vec::new();
    for width in Width::ALL {
        for op in AluOp::ALL {
            for (dst, src) in pairs() {
                out.push(Insn::Alu { width, op, dst, src: src.into() });
            }
            out.extend(IMMS.into_iter().map(|imm| Insn::Alu { width, op, dst: Reg::R3, src: imm.into() }));
        }
        out.extend(REGS.into_iter().map(|dst| neg(width, dst)));
        for (base, src) in pairs() {
            for off in OFFS {
                for op in AtomicOp::ALL {
                    out.push(atomic(op, width, base, off, src));
                    out.push(atomic_fetch(op, width, base, off, src));
                }
                out.push(exchange(width, base, off, src));
                out.push(compare_exchange(width, base, off, src));
            }
        }
    }
    for (dst, src) in pairs() {
        out.extend(Extend::ALL.into_iter().map(|extend| mov_sx(extend, dst, src)));
        for off in OFFS {
            out.extend(Size::ALL.into_iter().map(|size| load(size, dst, src, off)));
            out.extend(Narrow::ALL.into_iter().map(|size| load_sx(size, dst, src, off)));
            out.extend(Size::ALL.into_iter().map(|size| store(size, dst, off, src)));
        }
    }
    for off in OFFS {
        for imm in IMMS {
            out.extend(Size::ALL.into_iter().map(|size| store_imm(size, Reg::R10, off, imm)));
        }
    }
    for dst in REGS {
        for swap in Swap::ALL {
            out.extend(SwapBits::ALL.into_iter().map(|bits| endian(swap, bits, dst)));
        }
        let values = [0, 1, u64::from(u32::MAX), 1 << 32, 0x1234_5678_9abc_def0, u64::MAX];
        out.extend(values.into_iter().map(|value| load_imm64(dst, value)));
    }
    out.extend(Helper::ALL.iter().copied().map(call));
    out.push(exit());
    out.retain(|insn| insn.check().is_ok());
    out
}

/// Every form that jumps, to that label.
pub(crate) fn jumps(target: Label) -> Vec<Insn> {
    let mut out = vec![jump(target)];
    for width in Width::ALL {
        for cond in Cond::ALL {
            for (dst, src) in pairs() {
                out.push(Insn::JumpIf { width, cond, dst, src: src.into(), target });
            }
            for imm in IMMS {
                out.push(Insn::JumpIf { width, cond, dst: Reg::R4, src: imm.into(), target });
            }
        }
    }
    out
}

/// All of them in one program: jumps go both back to the start and on to the end.
pub(crate) fn all_forms() -> Program {
    let (start, end) = (Label(0), Label(1));
    let mut program = Program::new();
    program.label(start);
    for insn in straight().into_iter().chain(jumps(start)).chain(jumps(end)) {
        program.emit(insn);
    }
    program.label(end);
    program.emit(exit());
    program
}

fn pairs() -> impl Iterator<Item = (Reg, Reg)> {
    REGS.into_iter().flat_map(|dst| REGS.into_iter().map(move |src| (dst, src)))
}
