//! Constant distances move into the offsets of loads and stores.
//!
//! - `load (p + c), n == load p, c + n`, if `c + n` fits 16 bits; so for `store` and `atomic_add`.

use super::cfg::definitions;
use super::facts;
use super::shape::Shape;
use crate::ir::{BinOp, Func, Op, Value};

/// Folds additions into offsets.
pub fn run(func: &mut Func, shape: &mut Shape) -> bool {
    let defs = definitions(func, shape.cfg(func));
    let constants = facts::constants(func);
    let sum = |func: &Func, base: Value, offset: i16| match *facts::op_of(func, &defs, base)? {
        Op::Bin(BinOp::Add, pointer, by) => {
            let offset = constants[by.index()]?.checked_add(offset.into())?;
            Some((pointer, i16::try_from(offset).ok()?))
        }
        _ => None,
    };
    let mut changed = false;
    for at in 0..func.insts.len() {
        let (base, offset) = match &func.insts[at].op {
            Op::Load { base, offset, .. } | Op::Store { base, offset, .. } | Op::AtomicAdd { base, offset, .. } => {
                (*base, *offset)
            }
            _ => continue,
        };
        let Some((pointer, sum)) = sum(func, base, offset) else { continue };
        match &mut func.insts[at].op {
            Op::Load { base, offset, .. } | Op::Store { base, offset, .. } | Op::AtomicAdd { base, offset, .. } => {
                (*base, *offset) = (pointer, sum);
            }
            _ => continue,
        }
        changed = true;
    }
    changed
}
