//! Extensions that change nothing.
//!
//! - `zext n x == x`, if `x` has at most `n` bits: a load of so few bytes, a masked or shifted value.
//! - `sext n x == x`, if `x` has fewer than `n` bits: its sign bit is clear.
//! - `sext n (sext m x) == sext m x`, if `n >= m`, is in `fold`.

use super::cfg::Renames;
use super::facts;
use super::shape::Shape;
use crate::ir::{Func, Op};

/// Names extended values after what they extend.
pub fn run(func: &mut Func, shape: &mut Shape) -> bool {
    let known = facts::unsigned_bits(func, shape.cfg(func));
    let mut renames = Renames::new(func);
    for block in &func.blocks {
        for data in block.insts.iter().map(|inst| &func.insts[inst.index()]) {
            let Op::Extend { bits, signed, value } = data.op else { continue };
            let most = if signed { bits - 1 } else { bits };
            if let Some(result) = data.result.filter(|_| known[value.index()] <= most) {
                renames.set(result, value);
            }
        }
    }
    renames.apply(func)
}
