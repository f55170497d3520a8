//! A program: instructions and labels in order, with what is known of each instruction's origin.

use crate::{CoreRef, Insn, Label};

/// Start and end byte of a piece of the SQL text.
pub type Span = (u32, u32);

/// What an instruction is there for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Purpose {
    /// What the program is written for.
    #[default]
    Work,
    /// Counts what is lost, left out or held, or asks whether anything is.
    Losses,
    /// Says what is NULL.
    Nulls,
    /// Keeps the upper half of a sum of 128 bits.
    Wide,
}

/// An instruction and where it comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line {
    /// The instruction.
    pub insn: Insn,
    /// The piece of SQL that it computes; becomes line info.
    pub span: Option<Span>,
    /// What the next instructions do, for the reader.
    pub comment: Option<String>,
    /// The CO-RE record that rewrites the instruction at load.
    pub core: Option<CoreRef>,
    /// What it is there for.
    pub purpose: Purpose,
}

/// A step of a program.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Item {
    /// Names the place before the next instruction.
    Label(Label),
    /// An instruction.
    Insn(Line),
}

/// A sequence of instructions and labels. `assemble` checks it as a whole.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Program {
    /// The steps in order.
    pub items: Vec<Item>,
}

impl Program {
    /// A program without instructions.
    pub fn new() -> Program {
        Program::default()
    }

    /// Puts a label before the next instruction.
    pub fn label(&mut self, label: Label) {
        self.items.push(Item::Label(label));
    }

    /// Appends an instruction; what is known of it can be set on the result.
    pub fn emit(&mut self, insn: Insn) -> &mut Line {
        self.items.push(Item::Insn(Line { insn, span: None, comment: None, core: None, purpose: Purpose::Work }));
        match self.items.last_mut() {
            Some(Item::Insn(line)) => line,
            _ => unreachable!("an instruction was pushed just above"),
        }
    }

    /// The instructions in order, without labels.
    pub fn lines(&self) -> impl Iterator<Item = &Line> {
        self.items.iter().filter_map(|item| match item {
            Item::Insn(line) => Some(line),
            Item::Label(_) => None,
        })
    }

    /// The number of eight-byte slots that are there for this.
    pub fn slots_for(&self, purpose: Purpose) -> u32 {
        self.lines().filter(|line| line.purpose == purpose).map(|line| line.insn.slots()).sum()
    }

    /// The number of eight-byte slots.
    pub fn slots(&self) -> u32 {
        self.lines().map(|line| line.insn.slots()).sum()
    }
}

impl Line {
    /// Sets the piece of SQL that the instruction computes.
    pub fn span(&mut self, span: Span) -> &mut Line {
        self.span = Some(span);
        self
    }

    /// Says what the instruction is there for.
    pub fn purpose(&mut self, purpose: Purpose) -> &mut Line {
        self.purpose = purpose;
        self
    }

    /// Sets a comment, printed before the instruction.
    pub fn comment(&mut self, text: impl Into<String>) -> &mut Line {
        self.comment = Some(text.into());
        self
    }

    /// Sets the CO-RE record that rewrites the instruction at load.
    pub fn core(&mut self, core: CoreRef) -> &mut Line {
        self.core = Some(core);
        self
    }
}

impl FromIterator<Insn> for Program {
    fn from_iter<T: IntoIterator<Item = Insn>>(insns: T) -> Program {
        let mut program = Program::new();
        for insn in insns {
            program.emit(insn);
        }
        program
    }
}
