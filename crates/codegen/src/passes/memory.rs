//! Loads of what is known to stand there.
//!
//! - `load p, n` is `v`, if on every way here `v` was loaded from `p, n` or stored there whole, and nothing since may
//!   have written it.
//!
//! - `load p + k, n` is bytes k to k + n of `v`, if `v` stands at `p` in the stack, whole and longer: a shift and a mask. The stack is
//!   written to be read, so that the store may go then.
//!
//! What may write: a store to bytes that overlap, or through another pointer into the same kind of memory; a helper
//! that gets memory, for all memory but slots that it does not get. Other CPUs do not count: a program that reads twice
//! may see one value twice.

use super::cfg::{self, Renames};
use super::facts;
use super::shape::Shape;
use super::slots::Slots;
use crate::ir::{Access, BinOp, Block, Func, Inst, Op, PtrKind, Type, Value};

/// What stands at a place, and the place: pointer, offset, bytes. The latest last.
type Known = Vec<((Value, i16, u32), Value)>;

/// How many places are remembered: what is read again was read not long ago, and compiling stays linear.
const MOST: usize = 48;

/// Names loads after what is known to stand there.
pub fn run(func: &mut Func, shape: &mut Shape) -> bool {
    let cfg = shape.cfg(func);
    let slots = Slots::new(func, cfg);
    let bits = facts::true_bits(func, cfg);
    let mut ends: Vec<Known> = vec![Known::new(); func.blocks.len()];
    let mut renames = Renames::new(func);
    let mut parts = Vec::new();
    for &block in cfg.order() {
        let mut known = meet(cfg.predecessors(block), &ends);
        for &inst in &func.block(block).insts {
            parts.extend(part(func, inst, &known).map(|part| (block, inst, part)));
            step(func, inst, &slots, &bits, &mut known, &mut renames);
        }
        ends[block.index()] = known;
    }
    let changed = !parts.is_empty();
    parts.into_iter().for_each(|(block, inst, part)| take_part(func, block, inst, part));
    renames.apply(func) || changed
}

/// Bytes of a value that is at hand.
struct Part {
    value: Value,
    from: u32,
    bytes: u32,
}

/// What a load from the stack reads of something longer that stands there.
fn part(func: &Func, inst: Inst, known: &Known) -> Option<Part> {
    let Op::Load { access, base, offset } = func.inst(inst).op else { return None };
    let (start, bytes) = (i32::from(offset), access.bytes());
    let holds = |at: i32, long: u32| at <= start && start + bytes as i32 <= at + long as i32 && bytes < long;
    let &((_, at, _), value) =
        known.iter().find(|((other, at, long), _)| *other == base && holds(i32::from(*at), *long))?;
    let stack = func.ty(base) == Type::ptr(PtrKind::Stack) && func.ty(value) == Type::Int;
    stack.then_some(Part { value, from: (start - i32::from(at)) as u32, bytes })
}

fn take_part(func: &mut Func, block: Block, inst: Inst, part: Part) {
    let span = func.inst(inst).span;
    let mut value = part.value;
    if part.from > 0 {
        let (by, amount) = cfg::new_inst(func, Op::Const(i64::from(8 * part.from)), span);
        let (shift, shifted) = cfg::new_inst(func, Op::Bin(BinOp::Lshr, value, amount.unwrap_or(value)), span);
        let insts = &mut func.blocks[block.index()].insts;
        let at = insts.iter().position(|other| *other == inst).unwrap_or(0);
        insts.splice(at..at, [by, shift]);
        value = shifted.unwrap_or(value);
    }
    func.insts[inst.index()].op = Op::Extend { bits: (8 * part.bytes) as u8, signed: false, value };
}

/// What is known at the end of all predecessors.
fn meet(preds: &[Block], ends: &[Known]) -> Known {
    let Some((first, rest)) = preds.split_first() else { return Known::new() };
    let mut known = ends[first.index()].clone();
    for pred in rest {
        known.retain(|place| ends[pred.index()].contains(place));
    }
    known
}

fn step(func: &Func, inst: Inst, slots: &Slots, bits: &[u8], known: &mut Known, renames: &mut Renames) {
    let data = func.inst(inst);
    match &data.op {
        Op::Load { access, base, offset } => {
            // What nobody writes is `gvn`'s business.
            let Some(result) = data.result.filter(|_| !cfg::is_constant_memory(func, *base)) else { return };
            match known.iter().find(|(place, _)| *place == (*base, *offset, access.bytes())) {
                Some(&(_, value)) => renames.set(result, renames.get(value)),
                None => remember(known, (*base, *offset, access.bytes()), result),
            }
        }
        Op::Store { access, base, offset, value } => {
            write(func, known, *base, *offset, *access);
            if u32::from(bits[value.index()]) <= access.bytes() * 8 && func.ty(*value) == Type::Int {
                remember(known, (*base, *offset, access.bytes()), renames.get(*value));
            }
        }
        Op::AtomicAdd { base, offset, .. } => write(func, known, *base, *offset, Access::U64),
        Op::Call { args, .. } if args.iter().any(|arg| func.ty(*arg) != Type::Int) => {
            let reached = slots.accessed(func, inst);
            known.retain(|((base, ..), _)| {
                let held = slots.held(*base);
                let own = func.ty(*base) == Type::ptr(PtrKind::Stack) && !held.is_empty();
                own && !held.meets(reached.with(slots.escaped()))
            });
        }
        Op::Const(_)
        | Op::Bin(..)
        | Op::Extend { .. }
        | Op::SlotAddr(_)
        | Op::MapAddr(_)
        | Op::GlobalAddr(_)
        | Op::Core(_)
        | Op::Scan(_)
        | Op::Call { .. } => {}
    }
}

fn remember(known: &mut Known, place: (Value, i16, u32), value: Value) {
    if known.len() == MOST {
        known.remove(0);
    }
    known.push((place, value));
}

/// Forgets what a write may have changed.
fn write(func: &Func, known: &mut Known, base: Value, offset: i16, access: Access) {
    let (start, end) = (i32::from(offset), i32::from(offset) + access.bytes() as i32);
    known.retain(|&((other, at, bytes), _)| {
        if other == base {
            let at = i32::from(at);
            at + bytes as i32 <= start || end <= at
        } else {
            region(func, other) != region(func, base)
        }
    });
}

/// Memory that no pointer into another region reaches.
fn region(func: &Func, base: Value) -> u8 {
    match func.ty(base) {
        Type::Ptr { kind: PtrKind::Context, .. } => 0,
        Type::Ptr { kind: PtrKind::Stack, .. } => 1,
        Type::Ptr { kind: PtrKind::MapValue(_), .. } => 2,
        Type::Ptr { kind: PtrKind::Record(_), .. } => 3,
        Type::Ptr { kind: PtrKind::Global(_), .. } => 4,
        Type::Ptr { kind: PtrKind::Task, .. } => 6,
        // No one loads from a map itself.
        Type::Ptr { kind: PtrKind::Map(_), .. } | Type::Int => 5,
    }
}
