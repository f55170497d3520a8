//! Each reserved record is given back exactly once on every path.

use super::place::{Origin, Places};
use super::{At, Checked, VerifyError, fail};
use crate::ir::{Block, Cfg, Func, Op, Terminator, Type, Value};
use bpfquery_isa::Helper;
use std::collections::BTreeMap;

/// Where a record is in its life; one that is not in the table is not there (not yet, or null).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Life {
    /// Reserved, perhaps in vain.
    Untested,
    /// Ours.
    Live,
    /// Submitted or discarded.
    Gone,
}

/// By the reserving call's result.
type Records = BTreeMap<Value, Life>;

pub(super) fn check(func: &Func, cfg: &Cfg, places: &Places) -> Checked {
    let mut starts: BTreeMap<Block, Records> = BTreeMap::new();
    for &block in cfg.order() {
        let mut records = starts.remove(&block).unwrap_or_default();
        for &inst in &func.block(block).insts {
            let data = func.inst(inst);
            for value in data.op.operands() {
                check_use(func, places, &records, At::Inst(block, inst), value)?;
            }
            step(func, places, &mut records, &data.op, data.result);
        }
        for value in func.block(block).terminator.operands() {
            check_use(func, places, &records, At::Terminator(block), value)?;
        }
        leave(func, block, &records, &mut starts)?;
    }
    Ok(())
}

fn check_use(func: &Func, places: &Places, records: &Records, at: At, value: Value) -> Checked {
    if let Type::Ptr { nullable: true, .. } | Type::Int = func.ty(value) {
        return Ok(());
    }
    for place in places.of(value) {
        let Origin::Record(reserve) = place.origin else { continue };
        match records.get(&reserve) {
            Some(Life::Live) => {}
            Some(Life::Gone) => return Err(fail(func, at, format!("the record {reserve} is gone"))),
            Some(Life::Untested) | None => return Err(fail(func, at, format!("there is no record {reserve}"))),
        }
    }
    Ok(())
}

fn step(func: &Func, places: &Places, records: &mut Records, op: &Op, result: Option<Value>) {
    let Op::Call { helper, args } = op else { return };
    match (helper, result) {
        (Helper::RingbufReserve, Some(result)) if func.ty(result) != Type::Int => {
            records.insert(result, Life::Untested);
        }
        (Helper::RingbufSubmit | Helper::RingbufDiscard, _) => {
            for place in places.of(args[0]) {
                if let Origin::Record(reserve) = place.origin {
                    records.insert(reserve, Life::Gone);
                }
            }
        }
        _ => {}
    }
}

fn leave(func: &Func, block: Block, records: &Records, starts: &mut BTreeMap<Block, Records>) -> Checked {
    let at = At::Terminator(block);
    let terminator = &func.block(block).terminator;
    let tested = match terminator {
        Terminator::BranchNull { pointer, .. } => Some(*pointer),
        _ => None,
    };
    if let Terminator::Return(_) = terminator {
        let kept = records.iter().find(|(_, life)| **life != Life::Gone);
        return match kept {
            Some((reserve, _)) => Err(fail(func, at, format!("the record {reserve} is never given back"))),
            None => Ok(()),
        };
    }
    for (i, (to, _)) in terminator.targets().enumerate() {
        let mut here = records.clone();
        if let Some(pointer) = tested.filter(|pointer| here.contains_key(pointer)) {
            match i {
                0 => drop(here.remove(&pointer)),
                _ => drop(here.insert(pointer, Life::Live)),
            }
        }
        arrive(func, at, to, here, starts)?;
    }
    Ok(())
}

// Where paths meet, a record lives on all of them or on none; "gone" on one and "never there" on another is gone.
fn arrive(func: &Func, at: At, to: Block, here: Records, starts: &mut BTreeMap<Block, Records>) -> Checked {
    let Some(known) = starts.get_mut(&to) else {
        starts.insert(to, here);
        return Ok(());
    };
    let all: Vec<Value> = known.keys().chain(here.keys()).copied().collect();
    for reserve in all {
        match (known.get(&reserve).copied(), here.get(&reserve).copied()) {
            (a, b) if a == b => {}
            (Some(Life::Gone) | None, Some(Life::Gone) | None) => drop(known.insert(reserve, Life::Gone)),
            _ => return Err(differs(func, at, to, reserve)),
        }
    }
    Ok(())
}

fn differs(func: &Func, at: At, to: Block, reserve: Value) -> VerifyError {
    fail(func, at, format!("the record {reserve} is there on one path to {to} and not on another"))
}
