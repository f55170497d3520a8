//! Virtual registers become `r0` to `r9` and stack words.
//!
//! Graph colouring with coalescing (George and Appel, "Iterated register coalescing", 1996) over the machine form: calls
//! write `r0` to `r5`, so what lives across a call takes `r6` to `r9` and nothing else does without need; a move whose
//! ends do not interfere vanishes. What does not fit is made anew where it is cheap, else kept in a stack word, and
//! the colouring runs again.
//!
//! What holds afterwards: every use reads the value of the virtual register that it read before; `check` proves it by
//! following values through the finished code, in debug builds always.

mod check;
mod color;
mod frame;
mod graph;
mod liveness;
mod queue;
mod slots;
mod spill;

pub use frame::{Frame, frame};

use crate::emit::mach::{MFunc, VReg};
use bpfquery_diag::{Failure, Result};
use check::check;

/// A function over the machine's registers.
#[derive(Clone, Debug)]
pub struct Allocated {
    /// The code; only `r0` to `r9` are named, copies of a register to itself are gone.
    pub func: MFunc,
    /// How many stack words hold spilled values.
    pub spills: u32,
}

/// What a round of colouring says.
enum Round {
    /// A colour for each register.
    Done(Vec<u8>),
    /// These registers have to leave.
    Spill(Vec<VReg>),
}

/// Gives each virtual register one of the machine's.
pub fn allocate(selected: MFunc) -> Result<Allocated> {
    let original = cfg!(debug_assertions).then(|| selected.clone());
    let colored = rounds(selected)?;
    if let Some(original) = original {
        check(&original, &colored.func, &colored.origins, &colored.colors)?;
    }
    Ok(Allocated { func: finish(colored.func, &colored.colors), spills: colored.spills })
}

/// A function with spill code, and a colour for each of its registers.
struct Colored {
    func: MFunc,
    origins: spill::Origins,
    colors: Vec<u8>,
    spills: u32,
}

fn rounds(selected: MFunc) -> Result<Colored> {
    let mut func = selected;
    let mut origins = spill::Origins::new(&func);
    let mut spills = 0;
    // Each round turns at least one long range into short ones; three or four rounds are usual.
    for _ in 0..64 {
        match color::color(&func, &origins) {
            Round::Done(colors) => return Ok(Colored { func, origins, colors, spills }),
            Round::Spill(registers) => {
                for register in registers {
                    spill::spill(&mut func, &mut origins, register, &mut spills);
                }
            }
        }
    }
    Err(Failure::bug("regalloc", "64 rounds of spilling did not make the function fit"))
}

/// Writes the colours into the code.
fn finish(mut func: MFunc, colors: &[u8]) -> MFunc {
    let physical = |reg: VReg| VReg(u32::from(colors[reg.index()]));
    for block in &mut func.blocks {
        for line in &mut block.lines {
            line.inst = line.inst.map(physical, physical);
        }
        block.lines.retain(|line| line.inst.copy().is_none_or(|(dst, src)| dst != src));
        block.term = block.term.map(physical);
    }
    func
}
