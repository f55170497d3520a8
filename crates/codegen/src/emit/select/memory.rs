//! Loads, stores and addresses.

use super::{Cheap, Select};
use crate::emit::mach::{Base, Inst, Src, VReg};
use crate::ir::{Access, BinOp, GlobalId, Op, SlotId, Value};
use crate::passes::facts;
use bpfquery_isa::Size;

/// What an address is relative to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Root {
    /// A stack slot.
    Slot(SlotId),
    /// A global variable.
    Global(GlobalId),
    /// Any other pointer.
    Value(Value),
}

impl Select<'_> {
    /// The address as a root and a constant distance from it.
    pub(super) fn address(&self, value: Value) -> (Root, i32) {
        match facts::op_of(self.func, &self.defs, value) {
            Some(Op::SlotAddr(slot)) => (Root::Slot(*slot), 0),
            Some(Op::GlobalAddr(global)) => (Root::Global(*global), 0),
            Some(Op::Bin(op @ (BinOp::Add | BinOp::Sub), base, by)) => {
                let by = self.constants[by.index()].and_then(|by| i16::try_from(by).ok()).map(i32::from);
                match (by, self.address(*base)) {
                    (Some(by), (root @ (Root::Slot(_) | Root::Global(_)), off)) => {
                        (root, if *op == BinOp::Add { off + by } else { off - by })
                    }
                    _ => (Root::Value(value), 0),
                }
            }
            _ => (Root::Value(value), 0),
        }
    }

    pub(super) fn base(&mut self, base: Value, offset: i16) -> (Base, i16) {
        if let (Root::Slot(slot), off) = self.address(base)
            && let Ok(off) = i16::try_from(off + i32::from(offset))
        {
            return (Base::Slot(slot), off);
        }
        (Base::Reg(self.reg(base)), offset)
    }

    pub(super) fn load(&mut self, access: Access, dst: VReg, base: Value, offset: i16) {
        let (base, off) = self.base(base, offset);
        self.emit(Inst::Load { size: size(access), dst, base, off });
    }

    pub(super) fn store(&mut self, access: Access, base: Value, offset: i16, value: Value) {
        let src = match self.stored_constant(access, value) {
            Some(imm) => Src::Imm(imm),
            None => Src::Reg(self.low_bits(value, access.bytes() * 8)),
        };
        let (base, off) = self.base(base, offset);
        self.emit(Inst::Store { size: size(access), base, off, src });
    }

    /// The immediate that stores these low bits of a constant.
    fn stored_constant(&self, access: Access, value: Value) -> Option<i32> {
        let number = self.constants[value.index()]?;
        match access {
            Access::U64 | Access::Task => i32::try_from(number).ok(),
            Access::U32 => Some(number as i32),
            Access::U16 => Some(i32::from(number as i16)),
            Access::U8 => Some(i32::from(number as i8)),
        }
    }

    /// A register whose low `bits` are those of the value; what lies above does not matter.
    pub(super) fn low_bits(&mut self, value: Value, bits: u32) -> VReg {
        let mut value = value;
        while self.regs[value.index()].is_none() {
            match facts::op_of(self.func, &self.defs, value) {
                Some(Op::Extend { bits: kept, value: wide, .. }) if u32::from(*kept) >= bits => value = *wide,
                _ => break,
            }
        }
        self.reg(value)
    }

    pub(super) fn atomic_add(&mut self, base: Value, offset: i16, value: Value) {
        let (base, off) = self.base(base, offset);
        let src = self.reg(value);
        self.emit(Inst::AtomicAdd { base, off, src });
    }

    /// Whether the value costs nothing to name again.
    pub(super) fn is_cheap(&self, value: Value) -> bool {
        matches!(self.cheap(value), Some(Cheap::Imm(_) | Cheap::Core(..)))
    }
}

pub(super) fn size(access: Access) -> Size {
    match access {
        Access::U8 => Size::B,
        Access::U16 => Size::H,
        Access::U32 => Size::W,
        Access::U64 | Access::Task => Size::DW,
    }
}
