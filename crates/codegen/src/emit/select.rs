//! From SSA to machine instructions over virtual registers.
//!
//! Blocks are walked from the last to the first, instructions too: what uses a value comes before what makes it, so
//! that a value is only computed in a register of its own if a user could not take it in (a constant in an immediate,
//! a slot's address in a memory operand, a truncation in a 32-bit comparison).
//!
//! What must hold: the function passes the IR verifier. What holds afterwards: block parameters are registers written
//! on every edge to their block; edges that write have a block of their own or an unconditional jump.

mod arith;
mod branch;
mod memory;

use super::Target;
use super::copies;
use super::mach::{BlockId, Inst, Line, MBlock, MFunc, REGISTERS, Src, Term, VReg, Wide};
use crate::ir::{Block, Cfg, CoreId, Func, Op, Scan, SlotId, Terminator, Value};
use crate::passes::{bounded, cfg, facts};
use bpfquery_diag::{Failure, Result, Span};
use bpfquery_isa::{AluOp, Purpose, Width};

/// The machine form of a function.
pub(super) fn select(func: &Func, target: Target) -> Result<MFunc> {
    let cfg = Cfg::new(func);
    let mut select = Select::new(func, target, &cfg);
    select.demand_loop_params(cfg.order());
    for &block in cfg.order().iter().rev() {
        select.block(block)?;
    }
    select.entry();
    let bounded = bounded::values(func, &cfg).into_iter().zip(&select.regs);
    let bounded = bounded.filter_map(|(is, reg)| reg.filter(|_| is)).collect();
    Ok(MFunc { blocks: select.blocks, registers: select.registers, bounded })
}

/// A value that is made anew at each use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Cheap {
    /// Fits a sign-extended 32-bit immediate.
    Imm(i32),
    /// An immediate that the loader rewrites.
    Core(CoreId, i32),
    /// A two-slot constant.
    Wide(Wide),
    /// An address in the frame.
    Slot(SlotId, i32),
}

struct Select<'a> {
    func: &'a Func,
    target: Target,
    defs: Vec<cfg::Def>,
    bits: Vec<u8>,
    constants: Vec<Option<i64>>,
    uses: Vec<u32>,
    regs: Vec<Option<VReg>>,
    registers: u32,
    blocks: Vec<MBlock>,
    /// The present block's lines, last first.
    reversed: Vec<Line>,
    /// The present instruction's lines, first first.
    lines: Vec<Line>,
    span: Span,
    purpose: Purpose,
}

impl<'a> Select<'a> {
    fn new(func: &'a Func, target: Target, graph: &Cfg) -> Select<'a> {
        let empty = MBlock { lines: Vec::new(), term: Term::Exit, span: Span::default(), cold: false };
        Select {
            func,
            target,
            defs: cfg::definitions(func, graph),
            bits: facts::unsigned_bits(func, graph),
            constants: facts::constants(func),
            uses: cfg::use_counts(func, graph),
            regs: vec![None; func.values.len()],
            registers: REGISTERS,
            blocks: vec![empty; func.blocks.len()],
            reversed: Vec::new(),
            lines: Vec::new(),
            span: Span::default(),
            purpose: Purpose::Work,
        }
    }

    fn fresh(&mut self) -> VReg {
        self.registers += 1;
        VReg(self.registers - 1)
    }

    /// The register that holds a value; asking for it has it computed.
    fn demand(&mut self, value: Value) -> VReg {
        if let Some(reg) = self.regs[value.index()] {
            return reg;
        }
        let reg = self.fresh();
        self.regs[value.index()] = Some(reg);
        reg
    }

    /// A loop's parameters are written at its end, which is visited before their uses.
    fn demand_loop_params(&mut self, order: &[Block]) {
        for &block in order {
            for &param in &self.func.block(block).params {
                if self.uses[param.index()] > 0 {
                    self.demand(param);
                }
            }
        }
    }

    fn emit(&mut self, inst: Inst) {
        self.lines.push(Line { inst, span: self.span, core: None, purpose: self.purpose });
    }

    fn emit_core(&mut self, inst: Inst, core: CoreId) {
        self.lines.push(Line { inst, span: self.span, core: Some(core), purpose: self.purpose });
    }

    /// Puts the present instruction's lines in front of what follows it.
    fn flush(&mut self) {
        while let Some(line) = self.lines.pop() {
            self.reversed.push(line);
        }
    }

    fn block(&mut self, block: Block) -> Result<()> {
        let data = self.func.block(block);
        (self.span, self.purpose) = (data.span, Purpose::Work);
        let term = self.terminator(&data.terminator)?;
        self.flush();
        for &inst in data.insts.iter().rev() {
            let inst = self.func.inst(inst);
            (self.span, self.purpose) = (inst.span, inst.purpose);
            self.instruction(&inst.op, inst.result)?;
            self.flush();
        }
        let mut lines = std::mem::take(&mut self.reversed);
        lines.reverse();
        self.blocks[block.index()] = MBlock { lines, term, span: data.span, cold: data.cold };
        Ok(())
    }

    /// The context arrives in `r1`.
    fn entry(&mut self) {
        let context = self.func.block(Block(0)).params.first();
        if let Some(reg) = context.and_then(|param| self.regs[param.index()]) {
            let copy = Inst::Mov { width: Width::W64, dst: reg, src: Src::Reg(VReg::arg(0)) };
            let line = Line { inst: copy, span: Span::default(), core: None, purpose: Purpose::Work };
            self.blocks[0].lines.insert(0, line);
        }
    }

    fn instruction(&mut self, op: &Op, result: Option<Value>) -> Result<()> {
        let dst = result.and_then(|result| self.regs[result.index()]);
        match op {
            Op::Store { access, base, offset, value } => self.store(*access, *base, *offset, *value),
            Op::AtomicAdd { base, offset, value } => self.atomic_add(*base, *offset, *value),
            Op::Call { helper, args } => return self.call(*helper, args, dst),
            Op::Scan(scan) => return self.scan(scan, dst),
            Op::Load { access, base, offset } => {
                if let Some(dst) = dst {
                    self.load(*access, dst, *base, *offset);
                }
            }
            Op::Bin(op, a, b) => {
                if let Some(dst) = dst {
                    self.bin(*op, dst, *a, *b);
                }
            }
            Op::Extend { bits, signed, value } => {
                if let Some(dst) = dst {
                    self.extend(*bits, *signed, dst, *value);
                }
            }
            // Made at each use; see `cheap`.
            Op::Const(_) | Op::SlotAddr(_) | Op::MapAddr(_) | Op::GlobalAddr(_) | Op::Core(_) => {}
        }
        Ok(())
    }

    fn call(&mut self, helper: bpfquery_isa::Helper, args: &[Value], dst: Option<VReg>) -> Result<()> {
        if args.len() > 5 {
            return Err(Failure::bug("select", format!("{} has {} arguments", helper.name(), args.len())));
        }
        let mut moves: Vec<(VReg, Value)> = args.iter().enumerate().map(|(at, &arg)| (VReg::arg(at), arg)).collect();
        // Registers first: a constant then shortens no other value's way to its register.
        moves.sort_by_key(|&(_, arg)| self.cheap(arg).is_some());
        for (to, arg) in moves {
            self.put(to, arg);
        }
        self.emit(Inst::Call { helper, args: args.len() as u8 });
        if let Some(dst) = dst {
            self.copy(dst, VReg::R0);
        }
        Ok(())
    }

    fn scan(&mut self, scan: &Scan, dst: Option<VReg>) -> Result<()> {
        let bytes = i32::try_from(scan.bytes).map_err(|e| Failure::bug("select", e.to_string()))?;
        self.put(VReg::arg(0), scan.text);
        self.put(VReg::arg(1), scan.table);
        self.emit(Inst::Scan { bytes, start: scan.start, stop: scan.stop });
        if let Some(dst) = dst {
            self.copy(dst, VReg::R0);
        }
        Ok(())
    }

    fn copy(&mut self, dst: VReg, src: VReg) {
        self.emit(Inst::Mov { width: Width::W64, dst, src: Src::Reg(src) });
    }

    /// Writes a value to a given register.
    fn put(&mut self, dst: VReg, value: Value) {
        match self.cheap(value) {
            Some(cheap) => self.make(dst, cheap),
            None => {
                let src = self.demand(value);
                self.copy(dst, src);
            }
        }
    }

    /// The value in some register, made here if it is cheap.
    fn reg(&mut self, value: Value) -> VReg {
        match self.cheap(value) {
            Some(cheap) => {
                let dst = self.fresh();
                self.make(dst, cheap);
                dst
            }
            None => self.demand(value),
        }
    }

    /// The value as the second operand of arithmetic or a comparison.
    fn src(&mut self, value: Value) -> Src {
        match self.constants[value.index()].map(i32::try_from) {
            Some(Ok(imm)) => Src::Imm(imm),
            _ => Src::Reg(self.reg(value)),
        }
    }

    /// How to make a value anew, if that is as good as keeping it.
    fn cheap(&self, value: Value) -> Option<Cheap> {
        match facts::op_of(self.func, &self.defs, value)? {
            Op::Const(number) => Some(match i32::try_from(*number) {
                Ok(imm) => Cheap::Imm(imm),
                Err(_) => Cheap::Wide(Wide::Value(*number)),
            }),
            // Offsets, sizes and shifts of fields are far below 2^31.
            Op::Core(core) => Some(Cheap::Core(*core, self.func.core(*core).local as i32)),
            Op::MapAddr(map) => Some(Cheap::Wide(Wide::Map(*map))),
            Op::GlobalAddr(global) => Some(Cheap::Wide(Wide::Global(*global, 0))),
            Op::SlotAddr(slot) => Some(Cheap::Slot(*slot, 0)),
            Op::Bin(..) => match self.address(value) {
                (memory::Root::Slot(slot), off) => Some(Cheap::Slot(slot, off)),
                (memory::Root::Global(global), off) => Some(Cheap::Wide(Wide::Global(global, off))),
                (memory::Root::Value(_), _) => None,
            },
            Op::Extend { .. }
            | Op::Load { .. }
            | Op::Store { .. }
            | Op::AtomicAdd { .. }
            | Op::Call { .. }
            | Op::Scan(_) => None,
        }
    }

    fn make(&mut self, dst: VReg, cheap: Cheap) {
        match cheap {
            Cheap::Imm(imm) => self.emit(Inst::Mov { width: short(imm), dst, src: Src::Imm(imm) }),
            Cheap::Core(core, imm) => {
                self.emit_core(Inst::Mov { width: Width::W64, dst, src: Src::Imm(imm) }, core);
            }
            Cheap::Wide(value) => self.emit(Inst::Wide { dst, value }),
            Cheap::Slot(slot, off) => self.emit(Inst::FrameAddr { dst, slot, off }),
        }
    }

    fn alu(&mut self, width: Width, op: AluOp, dst: VReg, src: Src) {
        self.emit(Inst::Alu { width, op, dst, src });
    }

    fn terminator(&mut self, terminator: &Terminator) -> Result<Term> {
        match terminator {
            Terminator::Jump(target, args) => {
                let params = self.func.block(*target).params.clone();
                self.edge_copies(&params, args);
                Ok(Term::Jump(BlockId(target.0)))
            }
            Terminator::Branch { cond, a, b, then, otherwise } => {
                let then = self.edge(then.0, &[], &then.1);
                let otherwise = self.edge(otherwise.0, &[], &otherwise.1);
                Ok(self.branch(*cond, *a, *b, then, otherwise))
            }
            Terminator::BranchNull { pointer, null, non_null } => {
                let null = self.edge(null.0, &[], &null.1);
                let non_null = self.edge(non_null.0, &[*pointer], &non_null.1);
                let a = self.reg(*pointer);
                let b = Src::Imm(0);
                let cond = bpfquery_isa::Cond::Eq;
                Ok(Term::If { width: Width::W64, cond, a, b, then: null, otherwise: non_null })
            }
            Terminator::Return(value) => {
                self.put(VReg::R0, *value);
                Ok(Term::Exit)
            }
            Terminator::None => Err(Failure::bug("select", "a block has no terminator")),
        }
    }

    /// Where a conditional edge goes: the block itself, or a new one that writes the block's parameters.
    fn edge(&mut self, target: Block, first: &[Value], args: &[Value]) -> BlockId {
        let args: Vec<Value> = first.iter().chain(args).copied().collect();
        let outer = std::mem::take(&mut self.lines);
        let params = self.func.block(target).params.clone();
        self.edge_copies(&params, &args);
        let lines = std::mem::replace(&mut self.lines, outer);
        if lines.is_empty() {
            return BlockId(target.0);
        }
        let id = BlockId(self.blocks.len() as u32);
        let cold = self.func.block(target).cold;
        self.blocks.push(MBlock { lines, term: Term::Jump(BlockId(target.0)), span: self.span, cold });
        id
    }

    /// Writes block arguments to block parameters, all at once.
    fn edge_copies(&mut self, params: &[Value], args: &[Value]) {
        let mut moves = Vec::new();
        let mut made = Vec::new();
        for (&param, &arg) in params.iter().zip(args) {
            let Some(dst) = self.regs[param.index()] else { continue };
            match self.cheap(arg) {
                Some(cheap) => made.push((dst, cheap)),
                None => moves.push((dst, self.demand(arg))),
            }
        }
        let scratch = VReg(self.registers);
        let ordered = copies::sequence(&moves, scratch);
        if ordered.iter().any(|&(dst, _)| dst == scratch) {
            self.fresh();
        }
        for (dst, src) in ordered {
            self.copy(dst, src);
        }
        for (dst, cheap) in made {
            self.make(dst, cheap);
        }
    }
}

/// A non-negative constant is the same in both widths; the 32-bit form is the shorter one after the kernel's compiler.
fn short(imm: i32) -> Width {
    if imm >= 0 { Width::W32 } else { Width::W64 }
}
