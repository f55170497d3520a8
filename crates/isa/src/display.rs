//! Instructions and programs as text: the pseudo-C of the kernel's verifier and of LLVM.
//!
//! What holds: two instructions that differ print differently, given that maps have different names. clang's
//! assembler takes the text of every instruction without a map that its version knows.

use crate::{AluOp, AtomicOp, Cond, Imm64, Insn, Item, MapRef, Operand, Program, Reg, Size, Swap, Width};
use std::fmt;

/// How maps are called; `None` prints the index, `map[m0]`.
type Names<'a> = &'a dyn Fn(MapRef) -> Option<&'a str>;

/// An instruction with map names; see [`Insn::display`].
pub struct InsnDisplay<'a> {
    insn: &'a Insn,
    names: Names<'a>,
}

/// A whole program; see [`Program::display`].
pub struct ProgramDisplay<'a> {
    program: &'a Program,
    names: Names<'a>,
    numbered: bool,
}

impl Insn {
    /// Prints the instruction with maps called by name.
    pub fn display<'a>(&'a self, names: Names<'a>) -> InsnDisplay<'a> {
        InsnDisplay { insn: self, names }
    }
}

impl Program {
    /// Prints one instruction a line, labels as `b2:`, comments behind `;` on the line before.
    pub fn display<'a>(&'a self, names: Names<'a>) -> ProgramDisplay<'a> {
        ProgramDisplay { program: self, names, numbered: false }
    }
}

impl ProgramDisplay<'_> {
    /// Puts the slot before each instruction.
    pub fn numbered(self) -> Self {
        ProgramDisplay { numbered: true, ..self }
    }
}

/// Prints maps by their index, `map[m0]`.
impl fmt::Display for Insn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.display(&|_| None).fmt(f)
    }
}

/// Prints maps by their index, `map[m0]`.
impl fmt::Display for Program {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.display(&|_| None).fmt(f)
    }
}

impl fmt::Display for ProgramDisplay<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut slot = 0;
        for item in &self.program.items {
            match item {
                Item::Label(label) => writeln!(f, "{label}:")?,
                Item::Insn(line) => {
                    for text in line.comment.iter().flat_map(|comment| comment.lines()) {
                        writeln!(f, "{:32}; {text}", "")?;
                    }
                    if self.numbered {
                        write!(f, "{slot:4}: ")?;
                    } else {
                        write!(f, "  ")?;
                    }
                    writeln!(f, "{}", line.insn.display(self.names))?;
                    slot += line.insn.slots();
                }
            }
        }
        Ok(())
    }
}

impl fmt::Display for InsnDisplay<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self.insn {
            Insn::Alu { width, op, dst, src } => {
                write!(f, "{} {} {}", reg(width, dst), alu_sign(op), operand(width, src))
            }
            Insn::Neg { width, dst } => write!(f, "{0} = -{0}", reg(width, dst)),
            Insn::MovSx { extend, dst, src } => {
                let width = extend.width();
                write!(f, "{} = (s{}){}", reg(width, dst), extend.bits(), reg(width, src))
            }
            Insn::Endian { swap, bits, dst } => write!(f, "{dst} = {}{} {dst}", swap_name(swap), bits.bits()),
            Insn::Load { size, dst, base, off } => write!(f, "{dst} = {}", memory('u', size, base, off)),
            Insn::LoadSx { size, dst, base, off } => write!(f, "{dst} = {}", memory('s', size.size(), base, off)),
            Insn::Store { size, base, off, src } => write!(f, "{} = {src}", memory('u', size, base, off)),
            Insn::StoreImm { size, base, off, imm } => write!(f, "{} = {imm}", memory('u', size, base, off)),
            Insn::LoadImm64 { dst, value } => write!(f, "{dst} = {} ll", self.imm64(value)),
            Insn::Atomic { op, fetch: false, width, base, off, src } => {
                let memory = memory('u', width.size(), base, off);
                write!(f, "lock {memory} {} {}", atomic_sign(op), reg(width, src))
            }
            Insn::Atomic { op, fetch: true, width, base, off, src } => {
                let (src, bits) = (reg(width, src), width.bits());
                write!(f, "{src} = atomic_fetch_{}((u{bits} *)({base} {off:+}), {src})", atomic_name(op))
            }
            Insn::Exchange { width, base, off, src } => {
                write!(f, "{0} = {1}({base} {off:+}, {0})", reg(width, src), exchange_name(width))
            }
            Insn::CompareExchange { width, base, off, src } => {
                let (old, src) = (reg(width, Reg::R0), reg(width, src));
                write!(f, "{old} = cmp{}({base} {off:+}, {old}, {src})", exchange_name(width))
            }
            Insn::Jump { target } => write!(f, "goto {target}"),
            Insn::JumpIf { width, cond, dst, src, target } => {
                write!(f, "if {} {} {} goto {target}", reg(width, dst), cond_sign(cond), operand(width, src))
            }
            Insn::Call { helper } => write!(f, "call {}", helper.name()),
            Insn::Exit => write!(f, "exit"),
        }
    }
}

impl InsnDisplay<'_> {
    fn imm64(&self, value: Imm64) -> String {
        match value {
            Imm64::Value(value) if value <= u64::from(u32::MAX) => value.to_string(),
            Imm64::Value(value) => format!("{value:#x}"),
            Imm64::Map(map) => format!("map[{}]", self.name(map)),
            Imm64::MapValue { map, offset } => format!("map[{}][0]+{offset}", self.name(map)),
        }
    }

    fn name(&self, map: MapRef) -> String {
        (self.names)(map).map_or_else(|| format!("m{}", map.0), str::to_owned)
    }
}

fn reg(width: Width, reg: Reg) -> String {
    match width {
        Width::W32 => format!("w{}", reg.number()),
        Width::W64 => format!("r{}", reg.number()),
    }
}

fn operand(width: Width, operand: Operand) -> String {
    match operand {
        Operand::Reg(src) => reg(width, src),
        Operand::Imm(imm) => imm.to_string(),
    }
}

fn memory(sign: char, size: Size, base: Reg, off: i16) -> String {
    format!("*({sign}{} *)({base} {off:+})", size.bits())
}

fn alu_sign(op: AluOp) -> &'static str {
    match op {
        AluOp::Add => "+=",
        AluOp::Sub => "-=",
        AluOp::Mul => "*=",
        AluOp::Div => "/=",
        AluOp::Or => "|=",
        AluOp::And => "&=",
        AluOp::Lsh => "<<=",
        AluOp::Rsh => ">>=",
        AluOp::Mod => "%=",
        AluOp::Xor => "^=",
        AluOp::Mov => "=",
        AluOp::Arsh => "s>>=",
        AluOp::SDiv => "s/=",
        AluOp::SMod => "s%=",
    }
}

fn cond_sign(cond: Cond) -> &'static str {
    match cond {
        Cond::Eq => "==",
        Cond::Ne => "!=",
        Cond::Ugt => ">",
        Cond::Uge => ">=",
        Cond::Ult => "<",
        Cond::Ule => "<=",
        Cond::Sgt => "s>",
        Cond::Sge => "s>=",
        Cond::Slt => "s<",
        Cond::Sle => "s<=",
        Cond::Set => "&",
    }
}

fn atomic_sign(op: AtomicOp) -> &'static str {
    match op {
        AtomicOp::Add => "+=",
        AtomicOp::Or => "|=",
        AtomicOp::And => "&=",
        AtomicOp::Xor => "^=",
    }
}

fn atomic_name(op: AtomicOp) -> &'static str {
    match op {
        AtomicOp::Add => "add",
        AtomicOp::Or => "or",
        AtomicOp::And => "and",
        AtomicOp::Xor => "xor",
    }
}

/// LLVM's names for the two widths.
fn exchange_name(width: Width) -> &'static str {
    match width {
        Width::W32 => "xchg32_32",
        Width::W64 => "xchg_64",
    }
}

fn swap_name(swap: Swap) -> &'static str {
    match swap {
        Swap::ToLe => "le",
        Swap::ToBe => "be",
        Swap::Always => "bswap",
    }
}
