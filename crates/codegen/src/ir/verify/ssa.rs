//! One definition per value, before every use.

use super::{At, Checked, fail};
use crate::ir::{Block, Cfg, Func, MapId, PtrKind, Terminator, Type, Value};

/// Where a value is defined: the block, and how many instructions of it stand before.
type Definition = (Block, usize);

pub(super) fn check(func: &Func, cfg: &Cfg) -> Checked {
    let definitions = definitions(func, cfg)?;
    for &block in cfg.order() {
        let data = func.block(block);
        for (at, &inst) in data.insts.iter().enumerate() {
            for value in func.inst(inst).op.operands() {
                check_use(func, cfg, &definitions, (block, at), At::Inst(block, inst), value)?;
            }
        }
        for value in data.terminator.operands() {
            check_use(func, cfg, &definitions, (block, data.insts.len()), At::Terminator(block), value)?;
        }
        check_arguments(func, block)?;
    }
    Ok(())
}

fn definitions(func: &Func, cfg: &Cfg) -> Result<Vec<Option<Definition>>, super::VerifyError> {
    let mut definitions = vec![None; func.values.len()];
    for &block in cfg.order() {
        let data = func.block(block);
        let params = data.params.iter().map(|&param| (At::Block(block), param, 0));
        let results = data.insts.iter().enumerate();
        let results = results.filter_map(|(i, &inst)| Some((At::Inst(block, inst), func.inst(inst).result?, i + 1)));
        for (at, value, position) in params.chain(results) {
            if definitions[value.index()].replace((block, position)).is_some() {
                return Err(fail(func, at, format!("{value} is defined twice")));
            }
        }
    }
    Ok(definitions)
}

fn check_use(
    func: &Func,
    cfg: &Cfg,
    definitions: &[Option<Definition>],
    (block, at): Definition,
    place: At,
    value: Value,
) -> Checked {
    match definitions[value.index()] {
        None => Err(fail(func, place, format!("{value} is not defined"))),
        Some((home, position)) if home == block && position <= at => Ok(()),
        Some((home, _)) if home != block && cfg.dominates(home, block) => Ok(()),
        Some((home, _)) => Err(fail(func, place, format!("{value} of {home} is not defined on every path to here"))),
    }
}

fn check_arguments(func: &Func, block: Block) -> Checked {
    let at = At::Terminator(block);
    for (i, (to, args)) in func.block(block).terminator.targets().enumerate() {
        let mut types: Vec<(String, Type)> = args.iter().map(|&arg| (arg.to_string(), func.ty(arg))).collect();
        if let (Terminator::BranchNull { pointer, .. }, 1) = (&func.block(block).terminator, i) {
            types.insert(0, (pointer.to_string(), non_null(func.ty(*pointer))));
        }
        let params = &func.block(to).params;
        if types.len() != params.len() {
            let message = format!("{} arguments for the {} parameters of {to}", types.len(), params.len());
            return Err(fail(func, at, message));
        }
        for (&param, (name, ty)) in params.iter().zip(types) {
            if func.ty(param) != ty && !alike(func, func.ty(param), ty) {
                let message = format!("{name} is `{ty}`, but {param} of {to} is `{}`", func.ty(param));
                return Err(fail(func, at, message));
            }
        }
    }
    Ok(())
}

/// Whether these are values of two maps that are as long as each other: the kernel looks at each way on its own (regsafe,
/// kernel/bpf/verifier.c, Linux 6.12).
fn alike(func: &Func, a: Type, b: Type) -> bool {
    match (a, b) {
        (
            Type::Ptr { kind: PtrKind::MapValue(a), nullable: false },
            Type::Ptr { kind: PtrKind::MapValue(b), nullable: false },
        ) => {
            // A parameter that nobody uses may name a map that is not there.
            let size = |map: MapId| func.maps.get(map.index()).map(|map| map.value_size);
            size(a).is_some() && size(a) == size(b)
        }
        _ => false,
    }
}

fn non_null(ty: Type) -> Type {
    match ty {
        Type::Ptr { kind, .. } => Type::ptr(kind),
        Type::Int => Type::Int,
    }
}
