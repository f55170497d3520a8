//! From SSA to instructions.
//!
//! ```text
//!  ir::Func ─[passes]→ ir::Func ─[select]→ MFunc over virtual registers ─[hoist, reuse]→ ─[regalloc]→ MFunc over r0–r9
//!           ─[peephole, tails]→ ─[layout]→ order of blocks ─[write, frame]→ isa::Program
//! ```
//!
//! What holds: instructions keep the order of the IR's calls, stores and loads of memory that is written; each carries the
//! place in the SQL that it computes. Not checked here: what the kernel's verifier makes of it; `facts` and `select` say
//! where it is the reason for a form.

mod copies;
mod hoist;
mod layout;
pub mod mach;
mod peephole;
mod reuse;
mod select;
mod tails;
mod write;

pub(crate) use layout::reverse_postorder;

use crate::{ir, passes, regalloc};
use bpfquery_diag::Result;
use bpfquery_isa::{MapRef, Program};

/// What the instructions may be.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Target {
    /// Whether sign-extending moves and loads exist (kernel 6.6).
    pub isa_v4: bool,
}

/// A function's instructions, after all passes.
///
/// Maps keep their numbers as [`MapRef`]s, `.rodata` and `.bss` follow them ([`rodata_ref`], [`bss_ref`]); relocations keep
/// theirs as `CoreRef`s. Errors: `Kernel` if the stack needs more than 512 bytes, `Bug` if the function is not valid.
pub fn compile(func: ir::Func, target: Target) -> Result<Program> {
    let mut func = func;
    passes::run(&mut func)?;
    generate(&func, target)
}

/// A function's instructions as it stands, without passes.
pub fn generate(func: &ir::Func, target: Target) -> Result<Program> {
    let mut selected = select::select(func, target)?;
    hoist::run(&mut selected);
    reuse::run(func, &mut selected);
    let mut allocated = regalloc::allocate(selected)?;
    finish(func, &mut allocated.func);
    let frame = regalloc::frame(func, &allocated)?;
    let order = layout::Layout::new(&allocated.func);
    Ok(write::program(func, &allocated.func, &order, &frame))
}

/// The function over virtual registers, for tests of what comes behind.
#[cfg(test)]
pub(crate) fn select_only(func: &ir::Func) -> Result<mach::MFunc> {
    select::select(func, Target::default())
}

/// What is shorter once registers have numbers.
fn finish(func: &ir::Func, machine: &mut mach::MFunc) {
    peephole::run(func, machine);
    layout::simplify(machine);
    tails::run(machine);
    layout::simplify(machine);
    hoist::run_cold(machine);
    peephole::run(func, machine);
    layout::simplify(machine);
}

/// How instructions name the `.rodata` section: behind the maps.
pub fn rodata_ref(func: &ir::Func) -> MapRef {
    MapRef(func.maps.len() as u32)
}

/// How instructions name the `.bss` section: behind `.rodata`.
pub fn bss_ref(func: &ir::Func) -> MapRef {
    MapRef(func.maps.len() as u32 + 1)
}
