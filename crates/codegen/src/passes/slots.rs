//! Which stack slots an instruction may access.
//!
//! An address made from a slot may go through additions and block parameters: whoever holds it may access the slot. A
//! helper keeps no address beyond its call. A slot whose address is stored somewhere counts as accessed everywhere.

use super::cfg;
use super::facts;
use crate::ir::{BinOp, Block, Func, Inst, Op, SlotId, Value};
use bpfquery_isa::Helper;
use std::collections::BTreeSet;
use std::ops::Range;

/// A set of slots.
pub type Set = BTreeSet<SlotId>;

/// What an instruction does to the stack.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Access {
    /// Writes all these bytes of a slot and reads none of it; may be left out if the last is true.
    Write(SlotId, Range<usize>, bool),
    /// Anything else.
    Other,
}

/// Who holds addresses of slots, and what is read where.
#[derive(Clone, Debug)]
pub struct Slots {
    holders: Vec<Set>,
    /// The byte of the slot that an address names, where it is known.
    places: Vec<Option<(SlotId, i64)>>,
    constants: Vec<Option<i64>>,
    /// Slots whose address is stored.
    escaped: Set,
    /// For each block, the slots that may be read behind its end.
    behind: Vec<Set>,
}

impl Slots {
    /// Follows all addresses.
    pub fn new(func: &Func, order: &[Block]) -> Slots {
        let mut slots = Slots {
            holders: holders(func, order),
            places: places(func, order),
            constants: facts::constants(func),
            escaped: Set::new(),
            behind: vec![Set::new(); func.blocks.len()],
        };
        for &block in order {
            for &inst in &func.block(block).insts {
                if let Op::Store { value, .. } = func.inst(inst).op {
                    slots.escaped.extend(&slots.holders[value.index()]);
                }
            }
        }
        slots.read_later(func, order);
        slots
    }

    /// Whether a later block may read the slot.
    pub fn read_behind(&self, block: Block, slot: SlotId) -> bool {
        self.escaped.contains(&slot) || self.behind[block.index()].contains(&slot)
    }

    /// Slots whose address is stored.
    pub fn escaped(&self) -> &Set {
        &self.escaped
    }

    /// The slots whose address a value may be made from.
    pub fn held(&self, value: Value) -> &Set {
        &self.holders[value.index()]
    }

    /// What an instruction does.
    pub fn access(&self, func: &Func, inst: Inst) -> Access {
        let constant = |value: Value| self.constants[value.index()];
        let (place, bytes, removable) = match &func.inst(inst).op {
            Op::Store { access, base, offset, .. } => {
                let place = self.places[base.index()].map(|(slot, at)| (slot, at + i64::from(*offset)));
                (place, i64::from(access.bytes()), true)
            }
            // These write all bytes, zeroes where they fail (bpf_probe_read_kernel_common and its like,
            // kernel/trace/bpf_trace.c 6.18). get_current_comm does not: Linux 6.1 to 6.3 leave what is behind the name.
            Op::Call { helper: Helper::ProbeReadKernel | Helper::ProbeReadUser | Helper::ProbeRead, args } => {
                match constant(args[1]) {
                    Some(bytes) => (self.places[args[0].index()], bytes, false),
                    None => return Access::Other,
                }
            }
            _ => return Access::Other,
        };
        let Some((slot, at)) = place else { return Access::Other };
        match (usize::try_from(at), usize::try_from(at + bytes)) {
            (Ok(start), Ok(end)) if end <= func.slot(slot).size as usize => {
                Access::Write(slot, start..end, removable && !self.escaped.contains(&slot))
            }
            _ => Access::Other,
        }
    }

    /// The slots that an instruction may access in any way.
    pub fn accessed(&self, func: &Func, inst: Inst) -> Set {
        let op = &func.inst(inst).op;
        let mut slots = Set::new();
        // Making an address is no access.
        if !matches!(op, Op::SlotAddr(_) | Op::Bin(..)) {
            cfg::operands(op, &mut |value: Value| slots.extend(&self.holders[value.index()]));
        }
        slots
    }

    /// What an instruction that writes `written` may read: what its other operands hold.
    pub fn also_read(&self, func: &Func, inst: Inst, written: SlotId) -> Set {
        let mut slots = Set::new();
        let mut first = true;
        cfg::operands(&func.inst(inst).op, &mut |value: Value| {
            // The address written comes first in stores and in the helpers above.
            if !std::mem::take(&mut first) || !self.holders[value.index()].contains(&written) {
                slots.extend(&self.holders[value.index()]);
            }
        });
        slots
    }

    /// The slots that a terminator passes on or returns; counted as accessed.
    pub fn terminator(&self, func: &Func, block: Block) -> Set {
        let mut slots = Set::new();
        cfg::terminator_operands(&func.block(block).terminator, &mut |value| {
            slots.extend(&self.holders[value.index()])
        });
        slots
    }

    fn reads(&self, func: &Func, block: Block) -> Set {
        let mut slots = self.terminator(func, block);
        for &inst in &func.block(block).insts {
            match self.access(func, inst) {
                Access::Write(slot, ..) => slots.extend(self.also_read(func, inst, slot)),
                Access::Other => slots.extend(self.accessed(func, inst)),
            }
        }
        slots
    }

    fn read_later(&mut self, func: &Func, order: &[Block]) {
        let reads: Vec<Set> = func.block_ids().map(|block| self.reads(func, block)).collect();
        let mut changed = true;
        while changed {
            changed = false;
            for &block in order.iter().rev() {
                for (target, _) in func.block(block).terminator.targets() {
                    let there = reads[target.index()].union(&self.behind[target.index()]).copied().collect();
                    changed |= grow(&mut self.behind[block.index()], there);
                }
            }
        }
    }
}

/// Adds slots; says whether any was new.
pub fn grow(slots: &mut Set, more: Set) -> bool {
    let before = slots.len();
    slots.extend(more);
    slots.len() > before
}

/// For each value, the slots whose address it may be made from.
fn holders(func: &Func, order: &[Block]) -> Vec<Set> {
    let mut holders: Vec<Set> = vec![Set::new(); func.values.len()];
    let mut changed = true;
    while changed {
        changed = false;
        for &block in order {
            for &inst in &func.block(block).insts {
                let data = func.inst(inst);
                let Some(result) = data.result else { continue };
                let made = match &data.op {
                    Op::SlotAddr(slot) => Set::from([*slot]),
                    Op::Bin(_, a, b) => holders[a.index()].union(&holders[b.index()]).copied().collect(),
                    _ => continue,
                };
                changed |= grow(&mut holders[result.index()], made);
            }
            let terminator = &func.block(block).terminator;
            for (side, (target, args)) in terminator.targets().enumerate() {
                let params = &func.block(target).params[cfg::implicit_params(terminator, side)..];
                for (param, arg) in params.iter().zip(args) {
                    let made = holders[arg.index()].clone();
                    changed |= grow(&mut holders[param.index()], made);
                }
            }
        }
    }
    holders
}

/// For each value, the byte of a slot that it is the address of, where that is known.
fn places(func: &Func, order: &[Block]) -> Vec<Option<(SlotId, i64)>> {
    let constants = facts::constants(func);
    let mut places = vec![None; func.values.len()];
    for &block in order {
        for data in func.block(block).insts.iter().map(|&inst| func.inst(inst)) {
            let place = match data.op {
                Op::SlotAddr(slot) => Some((slot, 0)),
                Op::Bin(BinOp::Add, a, b) => match (places[a.index()], constants[b.index()]) {
                    (Some((slot, at)), Some(by)) => Some((slot, at + by)),
                    _ => None,
                },
                _ => None,
            };
            data.result.into_iter().for_each(|result| places[result.index()] = place);
        }
    }
    places
}
