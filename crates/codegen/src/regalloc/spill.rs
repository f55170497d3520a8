//! Registers that do not fit: made anew at their uses where that is cheap, else kept in a stack word.
//!
//! A spilled register becomes many short ones. One reload serves all uses up to the next call in its block; a short
//! register that fails as well is cut down to one use each. Their origin is remembered for the checker.

use super::liveness::Set;
use crate::emit::mach::{Base, Inst, Line, MFunc, Src, Term, VReg};
use bpfquery_diag::Span;
use bpfquery_isa::{Purpose, Size};
use std::collections::BTreeMap;

/// What the allocator has made of each register of the selected function.
#[derive(Clone, Debug)]
pub(super) struct Origins {
    /// The register of the selected function that a register stands for.
    origin: Vec<VReg>,
    /// How often a register's range has been cut: 0 as selected, 1 up to a call, 2 a single use.
    cuts: Vec<u8>,
    /// The one instruction that defines the register, if it can be done again anywhere.
    remake: Vec<Option<Line>>,
    /// Whether the kernel must see the register's bounds.
    bounded: Vec<bool>,
    /// The stack word of each register of the selected function that has one.
    words: BTreeMap<VReg, u32>,
}

impl Origins {
    /// Nothing is spilled yet.
    pub(super) fn new(func: &MFunc) -> Origins {
        let registers = func.registers as usize;
        let mut bounded = vec![false; registers];
        func.bounded.iter().for_each(|reg| bounded[reg.index()] = true);
        Origins {
            origin: (0..func.registers).map(VReg).collect(),
            cuts: vec![0; registers],
            remake: remakes(func),
            bounded,
            words: BTreeMap::new(),
        }
    }

    /// The register of the selected function that `reg` stands for.
    pub(super) fn of(&self, reg: VReg) -> VReg {
        self.origin[reg.index()]
    }

    /// How a register of the selected function is made anew.
    pub(super) fn remake(&self, reg: VReg) -> Option<Line> {
        self.remake[reg.index()]
    }

    /// What spilling costs, from the weighted number of places that name the register.
    pub(super) fn cost(&self, reg: VReg, places: f32) -> f32 {
        let remade = self.remake[self.of(reg).index()].is_some();
        match self.cuts[reg.index()] {
            0 if remade => places * 0.5,
            // In a stack word its bounds are lost: others leave first.
            0 if self.bounded[reg.index()] => places * 1.0e3,
            0 => places,
            1 => places * 1.0e6,
            _ => f32::INFINITY,
        }
    }

    fn short(&mut self, func: &mut MFunc, of: VReg, cuts: u8) -> VReg {
        let reg = func.fresh();
        self.origin.push(self.origin[of.index()]);
        self.cuts.push(cuts);
        self.remake.push(None);
        reg
    }
}

/// Registers with one definition that depends on nothing.
fn remakes(func: &MFunc) -> Vec<Option<Line>> {
    let mut remakes = vec![None; func.registers as usize];
    let mut seen = Set::new(func.registers);
    for line in func.blocks.iter().flat_map(|block| &block.lines) {
        let Some(def) = line.inst.def() else { continue };
        let once = seen.insert(def) && !def.is_physical();
        remakes[def.index()] = (once && is_constant(&line.inst)).then_some(*line);
    }
    remakes
}

fn is_constant(inst: &Inst) -> bool {
    matches!(inst, Inst::Mov { src: Src::Imm(_), .. } | Inst::Wide { .. } | Inst::FrameAddr { .. })
}

/// Takes `reg` out of the function.
pub(super) fn spill(func: &mut MFunc, origins: &mut Origins, reg: VReg, words: &mut u32) {
    let origin = origins.of(reg);
    let place = match origins.remake(origin) {
        Some(line) => Place::Remake(line),
        None => Place::Word(*origins.words.entry(origin).or_insert_with(|| {
            *words += 1;
            *words - 1
        })),
    };
    let cuts = (origins.cuts[reg.index()] + 1).min(2);
    for at in 0..func.blocks.len() {
        let block = &func.blocks[at];
        let names = |line: &Line| line.inst.def() == Some(reg) || line.inst.reads(reg);
        if !block.term.reads(reg) && !block.lines.iter().any(names) {
            continue;
        }
        let lines = std::mem::take(&mut func.blocks[at].lines);
        let mut cutter = Cutter { func, origins, reg, place, cuts, current: None, lines: Vec::new(), stored: None };
        lines.into_iter().for_each(|line| cutter.line(line));
        let (block_term, span) = (cutter.func.blocks[at].term, cutter.func.blocks[at].span);
        let term = cutter.term(block_term, span);
        let lines = cutter.lines;
        func.blocks[at].lines = lines;
        func.blocks[at].term = term;
    }
}

#[derive(Clone, Copy)]
enum Place {
    Remake(Line),
    Word(u32),
}

struct Cutter<'a> {
    func: &'a mut MFunc,
    origins: &'a mut Origins,
    reg: VReg,
    place: Place,
    cuts: u8,
    /// The short register that holds the value here.
    current: Option<VReg>,
    lines: Vec<Line>,
    /// The last store of the value, as long as nothing loaded it.
    stored: Option<usize>,
}

impl Cutter<'_> {
    fn line(&mut self, line: Line) {
        // What is made anew needs no first making.
        if matches!(self.place, Place::Remake(_)) && line.inst.def() == Some(self.reg) {
            return;
        }
        let read = line.inst.reads(self.reg).then(|| self.load(line.span));
        let written = line.inst.def() == Some(self.reg);
        let target = match read {
            // Two-address forms overwrite what they read.
            Some(read) if matches!(line.inst, Inst::Alu { .. }) => read,
            _ if written => self.origins.short(self.func, self.reg, self.cuts),
            _ => self.reg,
        };
        let source = read.unwrap_or(self.reg);
        let (from, reg) = (self.reg, self.reg);
        let inst = line.inst.map(|r| if r == from { source } else { r }, |r| if r == reg { target } else { r });
        let clobbers = !inst.clobbers().is_empty();
        self.lines.push(Line { inst, ..line });
        if written {
            self.store(target, line.span);
            self.current = Some(target);
        }
        if clobbers || self.cuts > 1 {
            self.current = None;
        }
    }

    fn term(&mut self, term: Term, span: Span) -> Term {
        if !term.reads(self.reg) {
            return term;
        }
        let source = self.load(span);
        let reg = self.reg;
        term.map(|r| if r == reg { source } else { r })
    }

    fn load(&mut self, span: Span) -> VReg {
        if let Some(current) = self.current {
            return current;
        }
        let dst = self.origins.short(self.func, self.reg, self.cuts);
        let line = match self.place {
            Place::Remake(line) => Line { inst: line.inst.map(|r| r, |_| dst), ..line },
            Place::Word(word) => Line {
                inst: Inst::Load { size: Size::DW, dst, base: Base::Spill(word), off: 0 },
                span,
                core: None,
                purpose: Purpose::Work,
            },
        };
        self.lines.push(line);
        self.stored = None;
        self.current = Some(dst);
        dst
    }

    fn store(&mut self, src: VReg, span: Span) {
        if let Place::Word(word) = self.place {
            // Only the last of several values is ever loaded.
            if let Some(at) = self.stored {
                self.lines.remove(at);
            }
            self.stored = Some(self.lines.len());
            let inst = Inst::Store { size: Size::DW, base: Base::Spill(word), off: 0, src: Src::Reg(src) };
            self.lines.push(Line { inst, span, core: None, purpose: Purpose::Work });
        }
    }
}
