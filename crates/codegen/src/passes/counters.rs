//! Counters are added to last, so that blocks which count end alike.
//!
//! - `atomic_add g; x` is `x; atomic_add g`, if `x` is arithmetic, or a store or load of other memory than variables.
//!
//! Helpers stay where they are: some of them read memory, and what lives across a call costs a register.

use super::shape::Shape;
use crate::ir::{Func, Inst, Op, PtrKind, Type, Value};

/// Moves additions to variables down, each up to the next call or the block's end.
pub fn run(func: &mut Func, _: &mut Shape) -> bool {
    let mut changed = false;
    let (mut ordered, mut late): (Vec<Inst>, Vec<Inst>) = (Vec::new(), Vec::new());
    for block in 0..func.blocks.len() {
        for &inst in &func.blocks[block].insts {
            match &func.inst(inst).op {
                Op::AtomicAdd { base, .. } if is_variable(func, *base) => late.push(inst),
                op if is_free(func, op) => ordered.push(inst),
                _ => {
                    ordered.append(&mut late);
                    ordered.push(inst);
                }
            }
        }
        ordered.append(&mut late);
        changed |= ordered != func.blocks[block].insts;
        func.blocks[block].insts.copy_from_slice(&ordered);
        ordered.clear();
    }
    changed
}

/// Whether the instruction neither sees nor changes a variable.
fn is_free(func: &Func, op: &Op) -> bool {
    match op {
        Op::Store { base, .. } | Op::Load { base, .. } | Op::AtomicAdd { base, .. } => !is_variable(func, *base),
        Op::Call { .. } | Op::Scan(_) => false,
        Op::Const(_)
        | Op::Bin(..)
        | Op::Extend { .. }
        | Op::SlotAddr(_)
        | Op::MapAddr(_)
        | Op::GlobalAddr(_)
        | Op::Core(_) => true,
    }
}

fn is_variable(func: &Func, base: Value) -> bool {
    matches!(func.ty(base), Type::Ptr { kind: PtrKind::Global(_), .. })
}
