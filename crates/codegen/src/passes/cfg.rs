//! What the passes ask of a function's shape: order of blocks, predecessors, dominators, definitions, uses.
//!
//! What holds: the answers are those of the function at the time of the call; a pass that changes it asks again.
//! Blocks that the entry does not reach are in no order and dominate nothing.

use crate::ir::{Block, Func, Global, Inst, InstData, Op, PtrKind, Terminator, Type, Value, ValueData};
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

/// Blocks that the entry reaches, each before the blocks it dominates (reverse postorder).
pub fn reverse_postorder(func: &Func) -> Vec<Block> {
    let mut seen = vec![false; func.blocks.len()];
    let mut order = Vec::new();
    // A block is pushed a second time (`true`) to be listed once all it reaches has been.
    let mut stack = vec![(Block(0), false)];
    while let Some((block, done)) = stack.pop() {
        if done {
            order.push(block);
        } else if !std::mem::replace(&mut seen[block.index()], true) {
            stack.push((block, true));
            // The last target is visited first, so the first target ends up next to its source.
            stack.extend(func.block(block).terminator.targets().into_iter().map(|(to, _)| (to, false)));
        }
    }
    order.reverse();
    order
}

/// For each block, the reached blocks that go to it; one that goes there twice is listed twice.
pub fn predecessors(func: &Func, order: &[Block]) -> Vec<Vec<Block>> {
    let mut preds = vec![Vec::new(); func.blocks.len()];
    for &block in order {
        for (target, _) in func.block(block).terminator.targets() {
            preds[target.index()].push(block);
        }
    }
    preds
}

/// For each value, where it is defined.
pub fn definitions(func: &Func, order: &[Block]) -> Vec<Def> {
    let mut defs = vec![Def::None; func.values.len()];
    for &block in order {
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
pub fn use_counts(func: &Func, order: &[Block]) -> Vec<u32> {
    let mut counts = vec![0; func.values.len()];
    for &block in order {
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
    match op {
        Op::Const(_) | Op::SlotAddr(_) | Op::MapAddr(_) | Op::GlobalAddr(_) | Op::Core(_) => {}
        Op::Bin(_, a, b) => {
            f(*a);
            f(*b);
        }
        Op::Extend { value, .. } => f(*value),
        Op::Load { base, .. } => f(*base),
        Op::Store { base, value, .. } | Op::AtomicAdd { base, value, .. } => {
            f(*base);
            f(*value);
        }
        Op::Call { args, .. } => args.iter().copied().for_each(f),
    }
}

/// Replaces each operand of an instruction.
pub fn map_operands(op: &mut Op, f: &mut impl FnMut(Value) -> Value) {
    match op {
        Op::Const(_) | Op::SlotAddr(_) | Op::MapAddr(_) | Op::GlobalAddr(_) | Op::Core(_) => {}
        Op::Bin(_, a, b) => {
            *a = f(*a);
            *b = f(*b);
        }
        Op::Extend { value, .. } => *value = f(*value),
        Op::Load { base, .. } => *base = f(*base),
        Op::Store { base, value, .. } | Op::AtomicAdd { base, value, .. } => {
            *base = f(*base);
            *value = f(*value);
        }
        Op::Call { args, .. } => args.iter_mut().for_each(|arg| *arg = f(*arg)),
    }
}

/// Calls `f` with each value that a terminator names, block arguments included.
pub fn terminator_operands(terminator: &Terminator, f: &mut impl FnMut(Value)) {
    match terminator {
        Terminator::Branch { a, b, .. } => {
            f(*a);
            f(*b);
        }
        Terminator::BranchNull { pointer, .. } => f(*pointer),
        Terminator::Return(value) => f(*value),
        Terminator::Jump(..) | Terminator::None => {}
    }
    for (_, args) in terminator.targets() {
        args.iter().copied().for_each(&mut *f);
    }
}

/// Replaces each value that a terminator names.
pub fn map_terminator(terminator: &mut Terminator, f: &mut impl FnMut(Value) -> Value) {
    match terminator {
        Terminator::Branch { a, b, .. } => {
            *a = f(*a);
            *b = f(*b);
        }
        Terminator::BranchNull { pointer, .. } => *pointer = f(*pointer),
        Terminator::Return(value) => *value = f(*value),
        Terminator::Jump(..) | Terminator::None => {}
    }
    for (_, args) in targets_mut(terminator) {
        args.iter_mut().for_each(|arg| *arg = f(*arg));
    }
}

/// The targets with their arguments, to be changed.
pub fn targets_mut(terminator: &mut Terminator) -> Vec<(&mut Block, &mut Vec<Value>)> {
    match terminator {
        Terminator::Jump(block, args) => vec![(block, args)],
        Terminator::Branch { then, otherwise, .. } => {
            vec![(&mut then.0, &mut then.1), (&mut otherwise.0, &mut otherwise.1)]
        }
        Terminator::BranchNull { null, non_null, .. } => {
            vec![(&mut null.0, &mut null.1), (&mut non_null.0, &mut non_null.1)]
        }
        Terminator::Return(_) | Terminator::None => Vec::new(),
    }
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

/// The dominator tree.
#[derive(Clone, Debug)]
pub struct Dominators {
    /// Position in reverse postorder; `u32::MAX` if not reached.
    position: Vec<u32>,
    /// Immediate dominator; the entry's is itself.
    parent: Vec<Block>,
    /// When a walk of the tree enters and leaves a block: what it enters in between is dominated.
    span: Vec<(u32, u32)>,
}

impl Dominators {
    /// By Cooper, Harvey and Kennedy's iteration.
    pub fn new(func: &Func, order: &[Block]) -> Dominators {
        let mut position = vec![u32::MAX; func.blocks.len()];
        for (at, block) in order.iter().enumerate() {
            position[block.index()] = at as u32;
        }
        let preds = predecessors(func, order);
        let unknown = vec![Block(u32::MAX); func.blocks.len()];
        let mut dominators = Dominators { position, parent: unknown, span: vec![(1, 0); func.blocks.len()] };
        dominators.parent[0] = Block(0);
        let mut changed = true;
        while changed {
            changed = false;
            for &block in order.iter().skip(1) {
                // The deepest first: each meeting then only goes on from where the last one ended.
                let known =
                    preds[block.index()].iter().rev().copied().filter(|p| dominators.parent[p.index()].0 != u32::MAX);
                let meet = known.reduce(|a, b| dominators.meet(a, b)).unwrap_or(Block(0));
                changed |= dominators.parent[block.index()] != meet;
                dominators.parent[block.index()] = meet;
            }
        }
        dominators.number(order);
        dominators
    }

    /// A block's span begins with its number in a walk of the tree and ends behind those of all below it.
    fn number(&mut self, order: &[Block]) {
        let mut below = vec![1_u32; self.parent.len()];
        for &block in order.iter().skip(1).rev() {
            below[self.parent[block.index()].index()] += below[block.index()];
        }
        let mut free = vec![0_u32; self.parent.len()];
        for &block in order {
            let start = match self.parent(block) {
                None => 0,
                Some(parent) => free[parent.index()],
            };
            self.parent(block).into_iter().for_each(|parent| free[parent.index()] += below[block.index()]);
            free[block.index()] = start + 1;
            self.span[block.index()] = (start, start + below[block.index()]);
        }
    }

    fn meet(&self, mut a: Block, mut b: Block) -> Block {
        while a != b {
            while self.position[a.index()] > self.position[b.index()] {
                a = self.parent[a.index()];
            }
            while self.position[b.index()] > self.position[a.index()] {
                b = self.parent[b.index()];
            }
        }
        a
    }

    /// The nearest block that every way to `block` passes before it; `None` for the entry.
    pub fn parent(&self, block: Block) -> Option<Block> {
        (block != Block(0)).then(|| self.parent[block.index()])
    }

    /// Whether every way to `b` passes `a` (a block dominates itself).
    pub fn dominates(&self, a: Block, b: Block) -> bool {
        let (start, end) = self.span[a.index()];
        a == b || (start..end).contains(&self.span[b.index()].0)
    }

    /// The nearest block that dominates both.
    pub fn common(&self, a: Block, b: Block) -> Block {
        self.meet(a, b)
    }
}

/// A new instruction that no block lists yet, with its result.
pub fn new_inst(func: &mut Func, op: Op, span: bpfquery_diag::Span) -> (Inst, Option<Value>) {
    let result = func.result_type(&op).map(|ty| new_value(func, ty));
    let inst = Inst(func.insts.len() as u32);
    func.insts.push(InstData { op, result, span });
    (inst, result)
}

/// A new value that nothing defines yet.
pub fn new_value(func: &mut Func, ty: Type) -> Value {
    let value = Value(func.values.len() as u32);
    func.values.push(ValueData { ty });
    value
}

/// Empties the blocks that the entry does not reach; says whether there were any.
pub fn remove_unreachable(func: &mut Func) -> bool {
    let mut reached = vec![false; func.blocks.len()];
    reverse_postorder(func).into_iter().for_each(|block| reached[block.index()] = true);
    let mut changed = false;
    for (block, reached) in func.blocks.iter_mut().zip(reached) {
        if !reached && block.terminator != Terminator::None {
            block.params.clear();
            block.insts.clear();
            block.terminator = Terminator::None;
            block.cold = false;
            changed = true;
        }
    }
    changed
}

/// Whether the instruction may be left out if its result is not used, and be done at any place that its operands reach.
pub fn is_pure(func: &Func, op: &Op) -> bool {
    match op {
        Op::Const(_) | Op::SlotAddr(_) | Op::MapAddr(_) | Op::GlobalAddr(_) | Op::Core(_) => true,
        Op::Bin(..) | Op::Extend { .. } => true,
        Op::Load { base, .. } => is_constant_memory(func, *base),
        Op::Call { helper, .. } => is_stable(*helper),
        Op::Store { .. } | Op::AtomicAdd { .. } => false,
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
