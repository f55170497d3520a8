//! Each instruction has operands and a result of the right types.

use super::{At, Checked, fail, helper, uses};
use crate::ir::{Access, BinOp, Block, Cfg, Func, Global, Inst, Op, PtrKind, Scan, Terminator, Type, Value};

pub(super) fn check(func: &Func, cfg: &Cfg) -> Checked {
    for &block in cfg.order() {
        check_nullable(func, block)?;
        for &inst in &func.block(block).insts {
            check_result(func, block, inst)?;
            let fault = inst_fault(func, &func.inst(inst).op);
            fault.map_or(Ok(()), |message| Err(fail(func, At::Inst(block, inst), message)))?;
        }
        let fault = terminator_fault(func, &func.block(block).terminator);
        fault.map_or(Ok(()), |message| Err(fail(func, At::Terminator(block), message)))?;
    }
    Ok(())
}

fn check_nullable(func: &Func, block: Block) -> Checked {
    let mut tested = matches!(func.block(block).terminator, Terminator::BranchNull { .. });
    for (at, value) in uses(func, block) {
        // What `br.null` tests is its first operand.
        let is_test = at == At::Terminator(block) && std::mem::take(&mut tested);
        if matches!(func.ty(value), Type::Ptr { nullable: true, .. }) && !is_test {
            return Err(fail(func, at, format!("{value} may be null")));
        }
    }
    Ok(())
}

fn check_result(func: &Func, block: Block, inst: Inst) -> Checked {
    let data = func.inst(inst);
    let at = At::Inst(block, inst);
    match (data.result, func.result_type(&data.op)) {
        (None, None) => Ok(()),
        (Some(_), None) => Err(fail(func, at, "defines a value, but has none")),
        (None, Some(_)) => Err(fail(func, at, "does not define its value")),
        (Some(value), Some(ty)) if func.ty(value) == ty => Ok(()),
        (Some(value), Some(ty)) => {
            Err(fail(func, at, format!("{value} has the type `{}`, but the instruction gives `{ty}`", func.ty(value))))
        }
    }
}

fn inst_fault(func: &Func, op: &Op) -> Option<String> {
    match op {
        Op::Const(_) | Op::SlotAddr(_) | Op::MapAddr(_) | Op::GlobalAddr(_) | Op::Core(_) => None,
        Op::Bin(op, a, b) => bin_fault(func, *op, *a, *b),
        Op::Extend { bits: 8 | 16 | 32, value, .. } => int_fault(func, *value),
        Op::Extend { bits, .. } => Some(format!("{bits} bits are not 8, 16 or 32")),
        Op::Load { access: Access::Task, base, .. } if func.ty(*base) != Type::ptr(PtrKind::Task) => {
            Some(format!("{base} leads to no task"))
        }
        Op::Load { base, .. } => match func.ty(*base) {
            Type::Int => Some(format!("{base} is not a pointer")),
            Type::Ptr { kind: PtrKind::Map(_), .. } => Some(format!("{base} is a map")),
            Type::Ptr { .. } => None,
        },
        Op::Store { access, base, value, .. } => store_fault(func, *access, *base, *value),
        Op::AtomicAdd { base, value, .. } => match func.ty(*base) {
            Type::Ptr { kind: PtrKind::MapValue(_), .. } => int_fault(func, *value),
            Type::Ptr { kind: PtrKind::Global(global), .. } if func.global(global).section == Global::Bss => {
                int_fault(func, *value)
            }
            ty => Some(format!("{base} is `{ty}`, which atomic additions do not go to")),
        },
        Op::Call { helper, args } => helper::fault(func, *helper, args),
        Op::Scan(scan) => scan_fault(func, scan),
    }
}

fn scan_fault(func: &Func, scan: &Scan) -> Option<String> {
    let readable =
        |kind| matches!(kind, PtrKind::Stack | PtrKind::MapValue(_) | PtrKind::Record(_) | PtrKind::Global(_));
    match (func.ty(scan.text), func.ty(scan.table)) {
        (Type::Ptr { kind, .. }, _) if !readable(kind) => Some(format!("{} is no memory for text", scan.text)),
        (Type::Int, _) => Some(format!("{} is not a pointer", scan.text)),
        (_, Type::Ptr { kind: PtrKind::Global(global), .. }) if func.global(global).section == Global::Rodata => {
            (scan.bytes == 0).then(|| "no byte is looked at".to_owned())
        }
        _ => Some(format!("{} is no table in `.rodata`", scan.table)),
    }
}

fn bin_fault(func: &Func, op: BinOp, a: Value, b: Value) -> Option<String> {
    match (op, func.ty(a)) {
        (_, Type::Int) => int_fault(func, b),
        (BinOp::Add | BinOp::Sub, Type::Ptr { kind: PtrKind::Map(_) | PtrKind::Task, .. }) => {
            Some(format!("{a} cannot be moved"))
        }
        (BinOp::Add | BinOp::Sub, Type::Ptr { .. }) => int_fault(func, b),
        (_, Type::Ptr { .. }) => Some(format!("{a} is a pointer")),
    }
}

fn store_fault(func: &Func, access: Access, base: Value, value: Value) -> Option<String> {
    let Type::Ptr { kind, .. } = func.ty(base) else { return Some(format!("{base} is not a pointer")) };
    match kind {
        _ if access == Access::Task => Some("tasks are not stored".to_owned()),
        PtrKind::Context => Some("the context is read-only".to_owned()),
        PtrKind::Map(_) => Some(format!("{base} is a map")),
        PtrKind::Task => Some("the kernel's memory is read-only".to_owned()),
        PtrKind::Global(global) if func.global(global).section == Global::Rodata => {
            Some("`.rodata` is read-only".to_owned())
        }
        PtrKind::Stack if access == Access::U64 => None,
        PtrKind::Stack | PtrKind::MapValue(_) | PtrKind::Record(_) | PtrKind::Global(_) => int_fault(func, value),
    }
}

fn terminator_fault(func: &Func, terminator: &Terminator) -> Option<String> {
    match terminator {
        Terminator::Jump(..) | Terminator::None => None,
        Terminator::Branch { a, b, .. } => int_fault(func, *a).or_else(|| int_fault(func, *b)),
        Terminator::BranchNull { pointer, .. } => match func.ty(*pointer) {
            Type::Ptr { nullable: true, .. } => None,
            ty => Some(format!("{pointer} is `{ty}`, which is never null")),
        },
        Terminator::Return(value) => int_fault(func, *value),
    }
}

fn int_fault(func: &Func, value: Value) -> Option<String> {
    match func.ty(value) {
        Type::Int => None,
        Type::Ptr { .. } => Some(format!("{value} is a pointer")),
    }
}
