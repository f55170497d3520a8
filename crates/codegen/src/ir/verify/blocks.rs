//! Blocks, what they name, and where they go.

use super::{At, Checked, fail, uses};
use crate::ir::{Block, Cfg, Func, Op, PtrKind, Terminator, Type};

/// Everything named exists, and each instruction stands in one place.
pub(super) fn check(func: &Func) -> Checked {
    let entry =
        func.blocks.first().map(|entry| entry.params.iter().map(|&p| func.values.get(p.index())).collect::<Vec<_>>());
    match entry.as_deref() {
        Some([Some(param)]) if param.ty == Type::ptr(PtrKind::Context) => {}
        _ => return Err(fail(func, At::Func, "the entry does not take the context, and only that")),
    }
    let mut seen = vec![false; func.insts.len()];
    for block in func.block_ids() {
        check_insts(func, block, &mut seen)?;
        check_names(func, block)?;
    }
    Ok(())
}

/// No cycle, nothing unreachable.
pub(super) fn check_graph(func: &Func, cfg: &Cfg) -> Checked {
    for block in func.block_ids() {
        if cfg.is_reachable(block) {
            check_ways(func, cfg, block)?;
        } else if !func.block(block).is_removed() {
            return Err(fail(func, At::Block(block), "nothing reaches it, and it is not empty"));
        }
    }
    Ok(())
}

fn check_ways(func: &Func, cfg: &Cfg, block: Block) -> Checked {
    let terminator = &func.block(block).terminator;
    if *terminator == Terminator::None {
        return Err(fail(func, At::Terminator(block), "a reachable block does not end"));
    }
    match terminator.targets().find(|(to, _)| cfg.is_back_edge(block, *to)) {
        Some((to, _)) => Err(fail(func, At::Terminator(block), format!("goes back to {to}"))),
        None => Ok(()),
    }
}

fn check_insts(func: &Func, block: Block, seen: &mut [bool]) -> Checked {
    for &inst in &func.block(block).insts {
        match seen.get_mut(inst.index()) {
            None => return Err(fail(func, At::Block(block), format!("{inst} does not exist"))),
            Some(true) => return Err(fail(func, At::Inst(block, inst), "stands in two places")),
            Some(unseen) => *unseen = true,
        }
    }
    Ok(())
}

fn check_names(func: &Func, block: Block) -> Checked {
    let data = func.block(block);
    let defined = data.params.iter().map(|&param| (At::Block(block), param));
    let results = data.insts.iter().filter_map(|&inst| Some((At::Inst(block, inst), func.inst(inst).result?)));
    for (at, value) in defined.chain(results).chain(uses(func, block)) {
        if value.index() >= func.values.len() {
            return Err(fail(func, at, format!("{value} does not exist")));
        }
    }
    for &inst in &data.insts {
        if let Some(name) = missing(func, &func.inst(inst).op) {
            return Err(fail(func, At::Inst(block, inst), format!("{name} does not exist")));
        }
    }
    match data.terminator.targets().find(|(to, _)| to.index() >= func.blocks.len()) {
        Some((to, _)) => Err(fail(func, At::Terminator(block), format!("{to} does not exist"))),
        None => Ok(()),
    }
}

fn missing(func: &Func, op: &Op) -> Option<String> {
    match op {
        Op::SlotAddr(slot) => (slot.index() >= func.slots.len()).then(|| slot.to_string()),
        Op::MapAddr(map) => (map.index() >= func.maps.len()).then(|| map.to_string()),
        Op::GlobalAddr(global) => (global.index() >= func.globals.len()).then(|| global.to_string()),
        Op::Core(core) => (core.index() >= func.cores.len()).then(|| core.to_string()),
        Op::Const(_) | Op::Bin(..) | Op::Extend { .. } | Op::Load { .. } => None,
        Op::Store { .. } | Op::AtomicAdd { .. } | Op::Call { .. } | Op::Scan(_) => None,
    }
}
