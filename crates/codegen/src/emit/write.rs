//! Placed machine blocks as a program.

mod scan;

use super::layout::Layout;
use super::mach::{Base, BlockId, Inst, Line, MFunc, Src, Term, VReg, Wide};
use super::{bss_ref, rodata_ref};
use crate::ir::{Func, Global};
use crate::regalloc::Frame;
use bpfquery_diag::Span;
use bpfquery_isa::{self as isa, CoreRef, Imm64, Insn, Label, MapRef, Operand, Program, Purpose, Reg};
use std::collections::BTreeSet;

/// Blocks that a branch's sides are followed through, to see what it is there for.
const SIDES: u32 = 4;

/// The program, with the places in the SQL and the relocations of its instructions.
pub(super) fn program(func: &Func, machine: &MFunc, layout: &Layout, frame: &Frame) -> Program {
    let labels = machine.blocks.len() as u32;
    let mut writer = Writer { func, machine, frame, program: Program::new(), labels };
    let targets = writer.jumped_to(layout);
    for (at, &block) in layout.order.iter().enumerate() {
        if targets.contains(&block) {
            writer.program.label(Label(block.0));
        }
        writer.block(block, layout.order.get(at + 1).copied());
    }
    writer.program
}

struct Writer<'a> {
    func: &'a Func,
    machine: &'a MFunc,
    frame: &'a Frame,
    program: Program,
    /// Labels from here on belong to no block.
    labels: u32,
}

impl Writer<'_> {
    /// Blocks that some jump names, as `block` below writes them.
    fn jumped_to(&self, layout: &Layout) -> BTreeSet<BlockId> {
        let mut targets = BTreeSet::new();
        for (at, &block) in layout.order.iter().enumerate() {
            let next = layout.order.get(at + 1).copied();
            let (conditional, rest) = self.ways(block, next);
            targets.extend(conditional.map(|(.., target)| target));
            targets.extend(rest);
        }
        targets
    }

    /// The conditional jump at the end of a block, and the target of the jump behind it.
    #[expect(clippy::type_complexity, reason = "the parts of one instruction, named where they are taken apart")]
    fn ways(
        &self,
        block: BlockId,
        next: Option<BlockId>,
    ) -> (Option<(isa::Width, isa::Cond, VReg, Src, BlockId)>, Option<BlockId>) {
        match self.machine.blocks[block.index()].term {
            Term::Exit => (None, None),
            Term::Jump(target) => (None, (Some(target) != next).then_some(target)),
            Term::If { width, cond, a, b, then, otherwise } => match cond.negate() {
                Some(negated) if Some(then) == next => (Some((width, negated, a, b, otherwise)), None),
                _ => (Some((width, cond, a, b, then)), (Some(otherwise) != next).then_some(otherwise)),
            },
        }
    }

    fn block(&mut self, block: BlockId, next: Option<BlockId>) {
        let data = &self.machine.blocks[block.index()];
        for line in &data.lines {
            self.line(line);
        }
        let (conditional, rest) = self.ways(block, next);
        if let Some((width, cond, a, b, target)) = conditional {
            let insn = Insn::JumpIf { width, cond, dst: reg(a), src: operand(b), target: Label(target.0) };
            self.emit(insn, data.span, self.asks(data.term));
        }
        let purpose = data.lines.last().filter(|_| data.cold).map_or(Purpose::Work, |last| last.purpose);
        match (data.term, rest) {
            (Term::Exit, _) => self.emit(isa::exit(), data.span, Purpose::Work),
            (_, Some(target)) if self.is_exit(target) => self.emit(isa::exit(), data.span, purpose),
            (_, Some(target)) => self.emit(isa::jump(Label(target.0)), data.span, purpose),
            (_, None) => {}
        }
    }

    /// Whether the block is a lone `exit`, which is no longer than a jump to it.
    fn is_exit(&self, block: BlockId) -> bool {
        let data = &self.machine.blocks[block.index()];
        data.lines.is_empty() && data.term == Term::Exit
    }

    /// What a branch is there for: what stands on its sides, where both go to the same place without that.
    fn asks(&self, term: Term) -> Purpose {
        let Term::If { then, otherwise, .. } = term else { return Purpose::Work };
        let begins = |side: BlockId| {
            let first = self.machine.blocks[side.index()].lines.first();
            first.map_or(Purpose::Work, |line| line.purpose)
        };
        let alike = self.behind(then, SIDES) == self.behind(otherwise, SIDES);
        if alike { begins(then).max(begins(otherwise)) } else { Purpose::Work }
    }

    /// Where a way is back at work.
    fn behind(&self, block: BlockId, sides: u32) -> BlockId {
        let data = &self.machine.blocks[block.index()];
        // A constant is set for what comes then.
        let works =
            |line: &Line| line.purpose == Purpose::Work && !matches!(line.inst, Inst::Mov { src: Src::Imm(_), .. });
        if sides == 0 || data.lines.iter().any(works) {
            return block;
        }
        match data.term {
            Term::Jump(next) => self.behind(next, sides - 1),
            Term::If { then, otherwise, .. } => match self.behind(then, sides - 1) {
                same if same == self.behind(otherwise, sides - 1) => same,
                _ => block,
            },
            Term::Exit => block,
        }
    }

    fn emit(&mut self, insn: Insn, span: Span, purpose: Purpose) {
        let line = self.program.emit(insn).purpose(purpose);
        if span != Span::default() {
            line.span((span.start, span.end));
        }
    }

    fn line(&mut self, line: &Line) {
        if let Inst::FrameAddr { dst, slot, off } = line.inst {
            let offset = i32::from(self.frame.slot(slot)) + off;
            self.emit(isa::mov64(reg(dst), Reg::R10), line.span, line.purpose);
            return self.emit(isa::alu64(isa::AluOp::Add, reg(dst), offset), line.span, line.purpose);
        }
        if let Inst::Scan { bytes, start, stop } = line.inst {
            return scan::write(self, bytes, start, stop, line.span);
        }
        self.emit(self.insn(&line.inst), line.span, line.purpose);
        if let (Some(core), Some(isa::Item::Insn(last))) = (line.core, self.program.items.last_mut()) {
            last.core(CoreRef(core.0));
        }
    }

    fn insn(&self, inst: &Inst) -> Insn {
        match *inst {
            Inst::Mov { width, dst, src } => Insn::Alu { width, op: isa::AluOp::Mov, dst: reg(dst), src: operand(src) },
            Inst::Alu { width, op, dst, src } => Insn::Alu { width, op, dst: reg(dst), src: operand(src) },
            Inst::MovSx { extend, dst, src } => isa::mov_sx(extend, reg(dst), reg(src)),
            Inst::Load { size, dst, base, off } => {
                let (base, off) = self.base(base, off);
                isa::load(size, reg(dst), base, off)
            }
            Inst::LoadSx { size, dst, base, off } => {
                let (base, off) = self.base(base, off);
                isa::load_sx(size, reg(dst), base, off)
            }
            Inst::Store { size, base, off, src } => {
                let (base, off) = self.base(base, off);
                match src {
                    Src::Reg(src) => isa::store(size, base, off, reg(src)),
                    Src::Imm(imm) => isa::store_imm(size, base, off, imm),
                }
            }
            Inst::AtomicAdd { base, off, src } => {
                let (base, off) = self.base(base, off);
                isa::atomic(isa::AtomicOp::Add, isa::Width::W64, base, off, reg(src))
            }
            Inst::Wide { dst, value } => Insn::LoadImm64 { dst: reg(dst), value: self.wide(value) },
            // Two instructions; `line` writes them.
            Inst::FrameAddr { dst, .. } => isa::mov64(reg(dst), Reg::R10),
            Inst::Call { helper, .. } => isa::call(helper),
            // A loop; `scan` writes it.
            Inst::Scan { .. } => isa::mov64(Reg::R0, Reg::R1),
        }
    }

    fn base(&self, base: Base, off: i16) -> (Reg, i16) {
        match base {
            Base::Reg(base) => (reg(base), off),
            Base::Slot(slot) => (Reg::R10, self.frame.slot(slot) + off),
            Base::Spill(word) => (Reg::R10, self.frame.spill(word) + off),
        }
    }

    fn wide(&self, value: Wide) -> Imm64 {
        match value {
            Wide::Value(number) => Imm64::Value(number as u64),
            Wide::Map(map) => Imm64::Map(MapRef(map.0)),
            Wide::Global(global, off) => {
                let data = self.func.global(global);
                let map = match data.section {
                    Global::Rodata => rodata_ref(self.func),
                    Global::Bss => bss_ref(self.func),
                };
                Imm64::MapValue { map, offset: data.offset.wrapping_add_signed(off) }
            }
        }
    }
}

fn reg(reg: VReg) -> Reg {
    // Allocation leaves only r0 to r9; anything else would be caught by its checker before.
    u8::try_from(reg.0).ok().and_then(Reg::new).unwrap_or(Reg::R10)
}

fn operand(src: Src) -> Operand {
    match src {
        Src::Reg(src) => Operand::Reg(reg(src)),
        Src::Imm(imm) => Operand::Imm(imm),
    }
}
