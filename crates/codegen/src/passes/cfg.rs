//! What the passes ask of a function's values: definitions, uses, names.
//!
//! What holds: the answers are those of the function at the time of the call; a pass that changes it asks again. What the
//! entry does not reach defines and uses nothing.

use crate::ir::{Block, Cfg, Func, Global, Inst, InstData, Op, PtrKind, Terminator, Type, Value, ValueData};
use bpfquery_isa::Helper;

/// Where a value is defined.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Def {
    /// The parameter of a block at this position.
    Param(Block, usize),
    /// The result of an instruction in this block.
    Inst(Block, Inst),
    /// Nowhere that the entry reaches.
    None,
}

/// For each value, where it is defined.
pub fn definitions(func: &Func, cfg: &Cfg) -> Vec<Def> {
    let mut defs = vec![Def::None; func.values.len()];
    for &block in cfg.order() {
        let data = func.block(block);
        for (at, param) in data.params.iter().enumerate() {
            defs[param.index()] = Def::Param(block, at);
        }
        for &inst in &data.insts {
            if let Some(result) = func.inst(inst).result {
                defs[result.index()] = Def::Inst(block, inst);
            }
        }
    }
    defs
}

/// For each value, how often reached instructions and terminators name it.
pub fn use_counts(func: &Func, cfg: &Cfg) -> Vec<u32> {
    let mut counts = vec![0; func.values.len()];
    for &block in cfg.order() {
        let data = func.block(block);
        for &inst in &data.insts {
            operands(&func.inst(inst).op, &mut |value| counts[value.index()] += 1);
        }
        terminator_operands(&data.terminator, &mut |value| counts[value.index()] += 1);
    }
    counts
}

/// Calls `f` with each operand of an instruction.
pub fn operands(op: &Op, f: &mut impl FnMut(Value)) {
    op.operands().for_each(f);
}

/// Replaces each operand of an instruction.
pub fn map_operands(op: &mut Op, f: &mut impl FnMut(Value) -> Value) {
    op.operands_mut().for_each(|value| *value = f(*value));
}

/// Calls `f` with each value that a terminator names, block arguments included.
pub fn terminator_operands(terminator: &Terminator, f: &mut impl FnMut(Value)) {
    terminator.operands().for_each(f);
}

/// Replaces each value that a terminator names.
pub fn map_terminator(terminator: &mut Terminator, f: &mut impl FnMut(Value) -> Value) {
    terminator.operands_mut().for_each(|value| *value = f(*value));
}

/// How many leading parameters of the target at `at` (in the order of `targets`) come from the terminator itself and
/// not from its arguments: 1 for the non-null side of `BranchNull`.
pub fn implicit_params(terminator: &Terminator, at: usize) -> usize {
    usize::from(matches!(terminator, Terminator::BranchNull { .. }) && at == 1)
}

/// Replaces every operand in the function by what `f` says of it.
fn rewrite(func: &mut Func, mut f: impl FnMut(Value) -> Value) {
    for inst in &mut func.insts {
        map_operands(&mut inst.op, &mut f);
    }
    for block in &mut func.blocks {
        map_terminator(&mut block.terminator, &mut f);
    }
}

/// A new instruction that no block lists yet, with its result.
pub fn new_inst(func: &mut Func, op: Op, span: bpfquery_diag::Span) -> (Inst, Option<Value>) {
    let result = func.result_type(&op).map(|ty| new_value(func, ty));
    let inst = Inst(func.insts.len() as u32);
    func.insts.push(InstData { op, result, span, purpose: Default::default() });
    (inst, result)
}

/// A new value that nothing defines yet.
pub fn new_value(func: &mut Func, ty: Type) -> Value {
    let value = Value(func.values.len() as u32);
    func.values.push(ValueData { ty });
    value
}

/// Whether the instruction may be left out if its result is not used, and be done at any place that its operands reach.
pub fn is_pure(func: &Func, op: &Op) -> bool {
    match op {
        Op::Const(_) | Op::SlotAddr(_) | Op::MapAddr(_) | Op::GlobalAddr(_) | Op::Core(_) => true,
        Op::Bin(..) | Op::Extend { .. } => true,
        Op::Load { base, .. } => is_constant_memory(func, *base),
        Op::Call { helper, .. } => is_stable(*helper),
        Op::Store { .. } | Op::AtomicAdd { .. } | Op::Scan(_) => false,
    }
}

/// Whether nothing writes what the pointer points into while the program runs.
pub fn is_constant_memory(func: &Func, base: Value) -> bool {
    match func.ty(base) {
        Type::Ptr { kind: PtrKind::Context, .. } => true,
        Type::Ptr { kind: PtrKind::Global(global), .. } => func.global(global).section == Global::Rodata,
        Type::Ptr { .. } | Type::Int => false,
    }
}

/// Whether a helper has no effect and gives the same answer all through one run. Tracing programs run with migration
/// disabled, so the CPU is one of these.
pub fn is_stable(helper: Helper) -> bool {
    matches!(
        helper,
        Helper::GetCurrentPidTgid
            | Helper::GetCurrentUidGid
            | Helper::GetCurrentTask
            | Helper::GetCurrentTaskBtf
            | Helper::GetCurrentCgroupId
            | Helper::GetCurrentAncestorCgroupId
            | Helper::GetSmpProcessorId
            | Helper::GetAttachCookie
            | Helper::GetFuncIp
            | Helper::GetFuncArgCnt
    )
}

/// Values that are to be called by another's name.
#[derive(Clone, Debug)]
pub struct Renames {
    to: Vec<Value>,
    any: bool,
}

impl Renames {
    /// Every value has its own name.
    pub fn new(func: &Func) -> Renames {
        Renames { to: (0..func.values.len() as u32).map(Value).collect(), any: false }
    }

    /// `from` is `to` from now on.
    pub fn set(&mut self, from: Value, to: Value) {
        self.to[from.index()] = to;
        self.any = true;
    }

    /// The name of a value; of values made later, their own.
    pub fn get(&self, value: Value) -> Value {
        let mut at = value;
        while let Some(&to) = self.to.get(at.index()) {
            if to == at {
                break;
            }
            at = to;
        }
        at
    }

    /// Puts the names into the function; says whether anything used one of the old ones.
    pub fn apply(&self, func: &mut Func) -> bool {
        let mut changed = false;
        if self.any {
            rewrite(func, |value| {
                let name = self.get(value);
                changed |= name != value;
                name
            });
        }
        changed
    }
}
