//! Two stores side by side become one.
//!
//! - `store n p, o, x; store n p, o + n, x >> 8n` is `store 2n p, o, x`.
//! - `store n p, o, c; store n p, o + n, d` is `store 2n p, o, d << 8n | c` for constants, if an immediate holds it.
//! - `store n p, o, x; store n p, o + n, 0` is `store 2n p, o, x`, if `x` has at most `8n` bits.
//! - `store m p, o, 0; store n p, o, x` with `m > n` is `store m p, o, x`, if `x` has at most `8n` bits.
//!
//! Condition: `o` is a multiple of `2n`, and between the two stands nothing that may access the memory. The one store
//! stands where the second stood. A map's value, a record and a slot start at a multiple of 8; variables do in lowering.

use super::cfg::{self, Def};
use super::facts;
use super::shape::Shape;
use crate::ir::{Access, BinOp, Block, Func, Inst, Op, PtrKind, Type, Value};

/// Joins stores.
pub fn run(func: &mut Func, shape: &mut Shape) -> bool {
    let cfg = shape.cfg(func);
    let mut known = Values {
        defs: cfg::definitions(func, cfg),
        constants: facts::constants(func),
        bits: facts::true_bits(func, cfg),
    };
    let mut changed = false;
    for &block in cfg.order() {
        while let Some((first, second, op)) = find(func, block, &known) {
            join(func, block, first, second, op, &mut known);
            changed = true;
        }
    }
    changed
}

fn join(func: &mut Func, block: Block, first: usize, second: usize, op: One, known: &mut Values) {
    let (access, base, offset, what) = op;
    let inst = func.block(block).insts[second];
    let value = match what {
        What::Value(value) => value,
        What::Number(number) => {
            let span = func.inst(inst).span;
            let (constant, value) = cfg::new_inst(func, Op::Const(number), span);
            func.blocks[block.index()].insts.insert(second, constant);
            known.defs.push(Def::Inst(block, constant));
            known.constants.push(Some(number));
            known.bits.push(64);
            // A constant defines a value.
            value.unwrap_or(Value(u32::MAX))
        }
    };
    func.insts[inst.index()].op = Op::Store { access, base, offset, value };
    func.blocks[block.index()].insts.remove(first);
}

/// The one store: its width, pointer, offset and value.
type One = (Access, Value, i16, What);

enum What {
    Value(Value),
    Number(i64),
}

#[derive(Clone, Copy)]
struct Store {
    access: Access,
    base: Value,
    offset: i16,
    value: Value,
}

fn store_of(func: &Func, inst: Inst) -> Option<Store> {
    match func.inst(inst).op {
        Op::Store { access, base, offset, value } => Some(Store { access, base, offset, value }),
        _ => None,
    }
}

/// Two stores of a block that can be one: their places in the list, and the one.
fn find(func: &Func, block: Block, known: &Values) -> Option<(usize, usize, One)> {
    let insts = &func.block(block).insts;
    for (first, &inst) in insts.iter().enumerate() {
        let Some(a) = store_of(func, inst) else { continue };
        for (second, &other) in insts.iter().enumerate().skip(first + 1) {
            let b = store_of(func, other);
            if let Some(b) = b
                && let Some(one) = known.join(func, a, b)
            {
                return Some((first, second, one));
            }
            if blocks(func, a, other, b) {
                break;
            }
        }
    }
    None
}

/// Whether the store may not move behind this instruction.
fn blocks(func: &Func, a: Store, inst: Inst, b: Option<Store>) -> bool {
    match (&func.inst(inst).op, b) {
        (_, Some(b)) if a.base == b.base => {
            let (a_start, b_start) = (i32::from(a.offset), i32::from(b.offset));
            a_start < b_start + b.access.bytes() as i32 && b_start < a_start + a.access.bytes() as i32
        }
        (Op::Load { base, .. }, _) => !cfg::is_constant_memory(func, *base),
        (Op::Call { args, .. }, _) => args.iter().any(|arg| func.ty(*arg) != Type::Int),
        (Op::Store { .. } | Op::AtomicAdd { .. } | Op::Scan(_), _) => true,
        (
            Op::Const(_)
            | Op::Bin(..)
            | Op::Extend { .. }
            | Op::SlotAddr(_)
            | Op::MapAddr(_)
            | Op::GlobalAddr(_)
            | Op::Core(_),
            _,
        ) => false,
    }
}

struct Values {
    defs: Vec<Def>,
    constants: Vec<Option<i64>>,
    bits: Vec<u8>,
}

impl Values {
    fn join(&self, func: &Func, a: Store, b: Store) -> Option<One> {
        if let Some(one) = self.over_zero(a, b) {
            return Some(one);
        }
        let bytes = a.access.bytes();
        let wide = Access::of_bytes(2 * bytes)?;
        let (low, high) = if a.offset < b.offset { (a, b) } else { (b, a) };
        let adjacent = i32::from(low.offset) + bytes as i32 == i32::from(high.offset);
        let aligned = i32::from(low.offset) % (2 * bytes as i32) == 0 && self.starts_aligned(func, a.base);
        if a.base != b.base || a.access != b.access || !adjacent || !aligned {
            return None;
        }
        let what = self.value(func, low.value, high.value, 8 * bytes)?;
        Some((wide, a.base, low.offset, what))
    }

    /// A store into zeros that the one before it left.
    fn over_zero(&self, a: Store, b: Store) -> Option<One> {
        let into = a.base == b.base && a.offset == b.offset && a.access.bytes() > b.access.bytes();
        if !into || self.constants[a.value.index()] != Some(0) {
            return None;
        }
        let fits = u32::from(self.bits[b.value.index()]) <= 8 * b.access.bytes();
        let value = match self.constants[b.value.index()] {
            Some(number) => What::Number(number & ((1 << (8 * b.access.bytes())) - 1)),
            None if fits => What::Value(b.value),
            None => return None,
        };
        Some((a.access, a.base, a.offset, value))
    }

    fn starts_aligned(&self, func: &Func, base: Value) -> bool {
        let whole = !matches!(facts::op_of(func, &self.defs, base), Some(Op::Bin(..)));
        let kind = match func.ty(base) {
            Type::Ptr { kind, .. } => kind,
            Type::Int => return false,
        };
        whole
            && match kind {
                PtrKind::Stack | PtrKind::MapValue(_) | PtrKind::Record(_) => true,
                PtrKind::Global(global) => func.global(global).offset.is_multiple_of(8),
                PtrKind::Context | PtrKind::Map(_) | PtrKind::Task => false,
            }
    }

    /// The one value of `2 * bits` bits that `low` and `high` are the halves of.
    fn value(&self, func: &Func, low: Value, high: Value, bits: u32) -> Option<What> {
        match (self.constants[low.index()], self.constants[high.index()]) {
            (Some(low), Some(high)) => {
                let mask = (1_i64 << bits) - 1;
                let number = (high & mask) << bits | (low & mask);
                // A narrower constant is stored as well sign-extended.
                let unused = 64 - 2 * bits;
                let number = number << unused >> unused;
                return i32::try_from(number).is_ok().then_some(What::Number(number));
            }
            (None, Some(0)) if u32::from(self.bits[low.index()]) <= bits => return Some(What::Value(low)),
            _ => {}
        }
        let (low, high) = (self.bare(func, low, bits), self.bare(func, high, bits));
        match facts::op_of(func, &self.defs, high)? {
            Op::Bin(BinOp::Lshr | BinOp::Ashr, x, by) => {
                let by = self.constants[by.index()]?;
                (by == i64::from(bits) && self.bare(func, *x, 2 * bits) == low).then_some(What::Value(*x))
            }
            _ => None,
        }
    }

    /// The value without extensions that keep its low bits.
    fn bare(&self, func: &Func, value: Value, bits: u32) -> Value {
        match facts::op_of(func, &self.defs, value) {
            Some(Op::Extend { bits: kept, value, .. }) if u32::from(*kept) >= bits => self.bare(func, *value, bits),
            _ => value,
        }
    }
}
