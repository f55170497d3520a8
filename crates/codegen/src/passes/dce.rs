//! What nobody uses is not computed.
//!
//! - `v = op …` with no use of `v` goes, if `op` has no effect. A load has none here: the verifier has shown that it
//!   is allowed.
//! - A helper whose answer is stable counts as without effect, and so does a look-up.

use super::cfg;
use super::shape::Shape;
use crate::ir::{Func, Inst, Op};
use bpfquery_isa::Helper;

/// Removes unused instructions.
pub fn run(func: &mut Func, shape: &mut Shape) -> bool {
    let cfg = shape.cfg(func);
    let mut uses = cfg::use_counts(func, cfg);
    let mut removed = vec![false; func.insts.len()];
    let mut changed = false;
    // Users come behind definitions, so one walk backwards also finds what only the unused use.
    for &block in cfg.order().iter().rev() {
        for &inst in func.block(block).insts.iter().rev() {
            if is_unused(func, inst, &uses) {
                removed[inst.index()] = true;
                changed = true;
                cfg::operands(&func.inst(inst).op, &mut |value| uses[value.index()] -= 1);
            }
        }
    }
    if changed {
        func.blocks.iter_mut().for_each(|block| block.insts.retain(|inst| !removed[inst.index()]));
    }
    changed
}

fn is_unused(func: &Func, inst: Inst, uses: &[u32]) -> bool {
    let data = func.inst(inst);
    let unused = data.result.is_some_and(|result| uses[result.index()] == 0);
    unused && (cfg::is_pure(func, &data.op) || only_reads(&data.op))
}

fn only_reads(op: &Op) -> bool {
    match op {
        Op::Load { .. } | Op::Scan(_) => true,
        Op::Call { helper, .. } => matches!(
            helper,
            Helper::MapLookupElem
                | Helper::KtimeGetNs
                | Helper::KtimeGetBootNs
                | Helper::KtimeGetTaiNs
                | Helper::Jiffies64
                | Helper::RingbufQuery
        ),
        Op::Const(_)
        | Op::Bin(..)
        | Op::Extend { .. }
        | Op::Store { .. }
        | Op::AtomicAdd { .. }
        | Op::SlotAddr(_)
        | Op::MapAddr(_)
        | Op::GlobalAddr(_)
        | Op::Core(_) => false,
    }
}
