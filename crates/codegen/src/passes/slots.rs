//! Which stack slots an instruction may access.
//!
//! An address made from a slot may go through additions and block parameters: whoever holds it may access the slot. A
//! helper keeps no address beyond its call. A slot whose address is stored somewhere counts as accessed everywhere.

use super::cfg;
use super::facts;
use super::slot_set::SlotSet;
use crate::ir::{BinOp, Block, Cfg, Func, Inst, Op, SlotId, Value};
use bpfquery_isa::Helper;
use std::ops::Range;

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
    holders: Vec<SlotSet>,
    /// The byte of the slot that an address names, where it is known.
    places: Vec<Option<(SlotId, i64)>>,
    constants: Vec<Option<i64>>,
    /// Slots whose address is stored.
    escaped: SlotSet,
    /// For each block, the slots that may be read behind its end.
    behind: Vec<SlotSet>,
}

impl Slots {
    /// Follows all addresses.
    pub fn new(func: &Func, cfg: &Cfg) -> Slots {
        let mut slots = Slots {
            holders: holders(func, cfg),
            places: places(func, cfg),
            constants: facts::constants(func),
            escaped: SlotSet::default(),
            behind: vec![SlotSet::default(); func.blocks.len()],
        };
        for &inst in cfg.order().iter().flat_map(|&block| &func.block(block).insts) {
            if let Op::Store { value, .. } = func.inst(inst).op {
                slots.escaped.grow(slots.holders[value.index()]);
            }
        }
        slots.read_later(func, cfg);
        slots
    }

    /// Whether a later block may read the slot.
    pub fn read_behind(&self, block: Block, slot: SlotId) -> bool {
        self.escaped.with(self.behind[block.index()]).contains(slot)
    }

    /// Slots whose address is stored.
    pub fn escaped(&self) -> SlotSet {
        self.escaped
    }

    /// The slots whose address a value may be made from.
    pub fn held(&self, value: Value) -> SlotSet {
        self.holders[value.index()]
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
                Access::Write(slot, start..end, removable && !self.escaped.contains(slot))
            }
            _ => Access::Other,
        }
    }

    /// The slots that an instruction may access in any way.
    pub fn accessed(&self, func: &Func, inst: Inst) -> SlotSet {
        match &func.inst(inst).op {
            // Making an address is no access.
            Op::SlotAddr(_) | Op::Bin(..) => SlotSet::default(),
            op => self.all_held(op.operands()),
        }
    }

    /// What an instruction that writes `written` may read: what its other operands hold.
    pub fn also_read(&self, func: &Func, inst: Inst, written: SlotId) -> SlotSet {
        let mut operands = func.inst(inst).op.operands();
        // The address written comes first in stores and in the helpers above.
        let first = operands.next().map_or(SlotSet::default(), |first| self.held(first));
        let rest = self.all_held(operands);
        if first.contains(written) { rest } else { rest.with(first) }
    }

    /// The slots that a terminator passes on or returns; counted as accessed.
    pub fn terminator(&self, func: &Func, block: Block) -> SlotSet {
        self.all_held(func.block(block).terminator.operands())
    }

    fn all_held(&self, values: impl Iterator<Item = Value>) -> SlotSet {
        values.fold(SlotSet::default(), |slots, value| slots.with(self.held(value)))
    }

    fn reads(&self, func: &Func, block: Block) -> SlotSet {
        let read = |&inst: &Inst| match self.access(func, inst) {
            Access::Write(slot, ..) => self.also_read(func, inst, slot),
            Access::Other => self.accessed(func, inst),
        };
        func.block(block).insts.iter().map(read).fold(self.terminator(func, block), SlotSet::with)
    }

    fn read_later(&mut self, func: &Func, cfg: &Cfg) {
        let reads: Vec<SlotSet> = func.block_ids().map(|block| self.reads(func, block)).collect();
        let mut changed = true;
        while changed {
            changed = false;
            for &block in cfg.order().iter().rev() {
                for (target, _) in func.block(block).terminator.targets() {
                    let there = reads[target.index()].with(self.behind[target.index()]);
                    changed |= self.behind[block.index()].grow(there);
                }
            }
        }
    }
}

/// For each value, the slots whose address it may be made from.
fn holders(func: &Func, cfg: &Cfg) -> Vec<SlotSet> {
    let mut holders = vec![SlotSet::default(); func.values.len()];
    let mut changed = true;
    while changed {
        changed = false;
        for &block in cfg.order() {
            for data in func.block(block).insts.iter().map(|&inst| func.inst(inst)) {
                let Some(result) = data.result else { continue };
                let made = match data.op {
                    Op::SlotAddr(slot) => SlotSet::of(slot),
                    Op::Bin(_, a, b) => holders[a.index()].with(holders[b.index()]),
                    _ => continue,
                };
                changed |= holders[result.index()].grow(made);
            }
            let terminator = &func.block(block).terminator;
            for (side, (target, args)) in terminator.targets().enumerate() {
                let params = &func.block(target).params[cfg::implicit_params(terminator, side)..];
                for (param, arg) in params.iter().zip(args) {
                    let made = holders[arg.index()];
                    changed |= holders[param.index()].grow(made);
                }
            }
        }
    }
    holders
}

/// For each value, the byte of a slot that it is the address of, where that is known.
fn places(func: &Func, cfg: &Cfg) -> Vec<Option<(SlotId, i64)>> {
    let constants = facts::constants(func);
    let mut places = vec![None; func.values.len()];
    for &block in cfg.order() {
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
