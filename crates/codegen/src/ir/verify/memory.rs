//! Accesses stay inside, are aligned, and read what was written.
//!
//! For each byte of each slot, the walk keeps whether all paths have written it, and whether to the same bytes each time.
//! Where paths meet, what holds on all of them remains.

use super::helper::{Arg, signature};
use super::place::{Origin, Place, Places};
use super::{At, Checked, fail};
use crate::ir::{Access, Block, Cfg, Func, Op, Scan, SlotId, Type, Value};
use bpfquery_isa::Helper;

/// How much is known of a byte of the stack; more is greater.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Byte {
    /// Not written on some path.
    Unwritten,
    /// Written as far as the kernel's verifier knows; behind a string's NUL it is what was there.
    Perhaps,
    /// Written.
    Written,
}

/// All slots' bytes, one slot behind the other.
type Stack = Vec<Byte>;

pub(super) fn check(func: &Func, cfg: &Cfg, places: &Places) -> Checked {
    let mut starts = vec![0];
    starts.extend(func.slots.iter().scan(0, |end, slot| {
        *end += slot.size as usize;
        Some(*end)
    }));
    let fresh: Stack = vec![Byte::Unwritten; starts[func.slots.len()]];
    let mut ends: Vec<Option<Stack>> = vec![None; func.blocks.len()];
    for &block in cfg.order() {
        if !places.is_reached(block) {
            continue;
        }
        let mut before = cfg.predecessors(block).iter().filter_map(|p| ends[p.index()].as_ref());
        let mut stack = before.next().unwrap_or(&fresh).clone();
        before.for_each(|other| meet(&mut stack, other));
        let mut walk = Walk { func, cfg, places, starts: &starts, stack, block, at: At::Block(block) };
        for &inst in &func.block(block).insts {
            walk.at = At::Inst(block, inst);
            walk.inst(&func.inst(inst).op)?;
        }
        ends[block.index()] = Some(walk.stack);
    }
    Ok(())
}

fn meet(a: &mut Stack, b: &Stack) {
    for (x, y) in a.iter_mut().zip(b) {
        *x = (*x).min(*y);
    }
}

struct Walk<'a> {
    func: &'a Func,
    cfg: &'a Cfg,
    places: &'a Places,
    /// Where each slot begins in the stack, and where the last one ends.
    starts: &'a [usize],
    stack: Stack,
    block: Block,
    at: At,
}

impl Walk<'_> {
    fn inst(&mut self, op: &Op) -> Checked {
        match op {
            Op::Load { access, base, offset } => self.load(*access, *base, *offset),
            Op::Store { access, base, offset, .. } => {
                self.access(*base, *offset, access.bytes(), false)?;
                self.write(*base, (*offset).into(), access.bytes().into(), Byte::Written);
                Ok(())
            }
            Op::AtomicAdd { base, offset, .. } => self.access(*base, *offset, 8, true),
            Op::Call { helper, args } => self.call(*helper, args),
            Op::Scan(scan) => {
                for place in self.places.of(scan.text) {
                    self.bounds(place, 0, scan.bytes.into())?;
                    self.direct(place, 1)?;
                    self.read(place, 0, scan.bytes.into(), Byte::Perhaps)?;
                }
                self.places.of(scan.table).try_for_each(|place| self.bounds(place, 0, Scan::TABLE.into()))
            }
            Op::Const(_) | Op::Bin(..) | Op::Extend { .. } => Ok(()),
            Op::SlotAddr(_) | Op::MapAddr(_) | Op::GlobalAddr(_) | Op::Core(_) => Ok(()),
        }
    }

    fn load(&self, access: Access, base: Value, offset: i16) -> Checked {
        self.access(base, offset, access.bytes(), false)?;
        for place in self.places.of(base) {
            self.read(place, offset.into(), access.bytes().into(), Byte::Perhaps)?;
        }
        Ok(())
    }

    fn access(&self, base: Value, offset: i16, bytes: u32, atomic: bool) -> Checked {
        for place in self.places.of(base) {
            self.bounds(place, offset.into(), bytes.into())?;
            self.direct(place, bytes)?;
            let align = match place.origin {
                Origin::Context | Origin::Slot(_) => bytes,
                _ if atomic => 8,
                Origin::Map(_) | Origin::MapValue(_) | Origin::Record(_) | Origin::Global(_) => 1,
            };
            let at = place.offset.map(|(at, _)| at + i64::from(offset));
            if let Some(at) = at.filter(|at| at % i64::from(align) != 0) {
                let text = place.text(self.func);
                return Err(self.error(format!("{at} of {text} is not aligned to {align}")));
            }
        }
        Ok(())
    }

    // What the kernel allows helpers, but not loads and stores.
    fn direct(&self, place: Place, bytes: u32) -> Checked {
        let fixed = place.offset.is_some_and(|(min, max)| min == max);
        match place.origin {
            Origin::Context if place.offset != Some((0, 0)) => {
                Err(self.error("a context pointer that was moved is followed"))
            }
            Origin::Context if self.func.context.words_only && bytes != 8 => {
                Err(self.error("only words may be loaded from the context"))
            }
            Origin::Slot(slot) if !fixed => Err(self.error(format!("the offset in {slot} is computed"))),
            _ => Ok(()),
        }
    }

    fn call(&mut self, helper: Helper, args: &[Value]) -> Checked {
        let signature = signature(helper).unwrap_or(&[]);
        for (&arg, &value) in signature.iter().zip(args) {
            match arg {
                Arg::Key => self.source(value, self.map_bytes(args[0], true))?,
                Arg::Element => self.source(value, self.map_bytes(args[0], false))?,
                Arg::Source(size) => {
                    let size = self.size(args[size])?;
                    self.source(value, size.1)?;
                }
                Arg::Destination(size) => {
                    let size = self.size(args[size])?;
                    self.destination(helper, value, size)?;
                }
                Arg::Keyed { .. }
                | Arg::Storage
                | Arg::Ring
                | Arg::Record
                | Arg::Context
                | Arg::Task
                | Arg::Address
                | Arg::Int => {}
            }
        }
        let size = |value| self.places.range(self.func, self.cfg, self.block, value).exact();
        if helper == Helper::RingbufReserve && size(args[1]).is_none_or(|size| size <= 0) {
            return Err(self.error("a record's size must be a positive constant"));
        }
        Ok(())
    }

    // At least and at most so many bytes; the kernel wants to know (BPF_MAX_VAR_SIZ).
    fn size(&self, value: Value) -> Result<(i64, i64), super::VerifyError> {
        let range = self.places.range(self.func, self.cfg, self.block, value);
        match (i64::try_from(range.min), i64::try_from(range.max)) {
            (Ok(min), Ok(max)) if min > 0 && max < 1 << 29 => Ok((min, max)),
            _ => Err(self.error(format!("the size {value} is not surely positive and bounded"))),
        }
    }

    fn map_bytes(&self, map: Value, key: bool) -> i64 {
        match self.func.ty(map) {
            Type::Ptr { kind: crate::ir::PtrKind::Map(map), .. } => {
                let map = self.func.map(map);
                i64::from(if key { map.key_size } else { map.value_size })
            }
            Type::Ptr { .. } | Type::Int => 0,
        }
    }

    fn source(&self, value: Value, bytes: i64) -> Checked {
        for place in self.places.of(value) {
            self.bounds(place, 0, bytes)?;
            self.read(place, 0, bytes, Byte::Written)?;
        }
        Ok(())
    }

    fn destination(&mut self, helper: Helper, value: Value, (least, most): (i64, i64)) -> Checked {
        for place in self.places.of(value) {
            self.bounds(place, 0, most)?;
        }
        // The kernel's verifier takes all bytes as written (ARG_PTR_TO_UNINIT_MEM); a string read writes up to its NUL,
        // and so does get_current_comm in Linux 6.1 to 6.3.
        let string = matches!(
            helper,
            Helper::ProbeReadStr | Helper::ProbeReadUserStr | Helper::ProbeReadKernelStr | Helper::GetCurrentComm
        );
        self.write(value, 0, least, if string { Byte::Perhaps } else { Byte::Written });
        Ok(())
    }

    fn bounds(&self, place: Place, offset: i64, bytes: i64) -> Checked {
        let text = || place.text(self.func);
        let Some((min, max)) = place.offset else {
            return Err(self.error(format!("the offset in {} has no bounds", text())));
        };
        let Some(size) = self.places.size(self.func, place.origin) else {
            return Err(self.error(format!("the size of {} is not known", text())));
        };
        let (start, end) = (min + offset, max + offset + bytes);
        if start >= 0 && end <= size {
            return Ok(());
        }
        Err(self.error(format!("bytes {start} to {end} of {}, which has {size}", text())))
    }

    // At a computed offset any of the bytes may be meant, so all must be there.
    fn read(&self, place: Place, offset: i64, bytes: i64, least: Byte) -> Checked {
        let (Origin::Slot(slot), Some((min, max))) = (place.origin, place.offset) else { return Ok(()) };
        let range = range(min + offset, max - min + bytes);
        let start = range.start;
        let slots_bytes = &self.stack[self.bytes(slot)];
        let byte = slots_bytes.get(range).and_then(|bytes| bytes.iter().position(|&byte| byte < least));
        match byte.map(|at| start + at) {
            None => Ok(()),
            Some(at) if slots_bytes[at] == Byte::Unwritten => {
                Err(self.error(format!("byte {at} of {slot} may not have been written")))
            }
            Some(at) => Err(self.error(format!("byte {at} of {slot} may be behind a string's end"))),
        }
    }

    // Only where there is no doubt about the place does a write count. A string leaves what was written before.
    fn write(&mut self, base: Value, offset: i64, bytes: i64, as_what: Byte) {
        let mut places = self.places.of(base);
        let (Some(place), None) = (places.next(), places.next()) else { return };
        let (Origin::Slot(slot), Some((at, most))) = (place.origin, place.offset) else { return };
        if at != most {
            return;
        }
        let slots_bytes = self.bytes(slot);
        for byte in self.stack[slots_bytes].get_mut(range(at + offset, bytes)).into_iter().flatten() {
            *byte = (*byte).max(as_what);
        }
    }

    fn bytes(&self, slot: SlotId) -> std::ops::Range<usize> {
        self.starts[slot.index()]..self.starts[slot.index() + 1]
    }

    fn error(&self, message: impl Into<String>) -> super::VerifyError {
        fail(self.func, self.at, message)
    }
}

fn range(start: i64, bytes: i64) -> std::ops::Range<usize> {
    // Bounds were checked, so neither is negative.
    let start = usize::try_from(start).unwrap_or(0);
    start..start + usize::try_from(bytes).unwrap_or(0)
}
