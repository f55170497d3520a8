//! One run: registers, the stack, and the walk through the blocks.

use super::memory::{Object, POISON, map_handle};
use super::trap::{Fault, Trap};
use super::world::{Store, StoreKind, World};
use super::{Event, helper};
use crate::ir::{Access, BinOp, Block, Cond, Func, Global, Inst, Op, PtrKind, Scan, Terminator, Type, Value};

/// Instructions of one run; what a program without loops cannot reach.
pub const MOST_STEPS: u32 = 1_000_000;

/// Runs the function on one event; the result is the program's.
///
/// # Errors
///
/// The program did what the verifiers forbid: our bug.
pub fn run(func: &Func, world: &mut World, event: &Event) -> Result<i64, Trap> {
    let at = (Block(0), None);
    let trap = |fault, (block, inst)| Trap::new(func, block, inst, fault);
    let mut machine = Machine::new(func, world, event).map_err(|fault| trap(fault, at))?;
    match machine.walk() {
        Ok(result) => Ok(result),
        Err(fault) => Err(trap(fault, machine.at)),
    }
}

pub(super) struct Machine<'a> {
    func: &'a Func,
    pub(super) world: &'a mut World,
    pub(super) event: &'a Event,
    values: Vec<Option<u64>>,
    slots: Vec<Vec<u8>>,
    /// For each map of the function, which of the world's it is.
    maps: Vec<u32>,
    at: (Block, Option<Inst>),
    steps: u32,
}

impl<'a> Machine<'a> {
    fn new(func: &'a Func, world: &'a mut World, event: &'a Event) -> Result<Machine<'a>, Fault> {
        let mut maps = Vec::new();
        for map in &func.maps {
            let at = world.stores.iter().position(|store| store.data == *map);
            let at = at.and_then(|at| u32::try_from(at).ok());
            maps.push(at.ok_or_else(|| Fault::World(format!("the world has no map {}", map.name)))?);
        }
        if event.cpu >= world.cpus {
            return Err(Fault::World(format!("the world has no CPU {}", event.cpu)));
        }
        let slots = func.slots.iter().map(|slot| vec![POISON; slot.size as usize]).collect();
        let values = vec![None; func.values.len()];
        Ok(Machine { func, world, event, values, slots, maps, at: (Block(0), None), steps: 0 })
    }

    fn walk(&mut self) -> Result<i64, Fault> {
        let mut args = vec![Object::Context.address()];
        loop {
            let block = self.at.0;
            let data = self.func.blocks.get(block.index()).ok_or(Fault::Unterminated)?;
            if data.params.len() != args.len() {
                return Err(Fault::Undefined);
            }
            for (&param, arg) in data.params.iter().zip(args) {
                self.set(param, arg);
            }
            for &inst in &data.insts {
                self.at = (block, Some(inst));
                self.step()?;
                self.inst(inst)?;
            }
            self.at = (block, None);
            self.step()?;
            match self.leave(&data.terminator)? {
                Next::Block(to, with) => (self.at, args) = ((to, None), with),
                Next::End(result) => return self.end(result),
            }
        }
    }

    fn step(&mut self) -> Result<(), Fault> {
        self.steps += 1;
        if self.steps > MOST_STEPS { Err(Fault::Steps) } else { Ok(()) }
    }

    fn end(&self, result: u64) -> Result<i64, Fault> {
        let open = |store: &Store| matches!(&store.kind, StoreKind::Ring(ring) if ring.is_open());
        if self.world.stores.iter().any(open) { Err(Fault::Record) } else { Ok(result.cast_signed()) }
    }

    fn inst(&mut self, inst: Inst) -> Result<(), Fault> {
        let data = self.func.inst(inst);
        let result = match &data.op {
            Op::Const(value) => value.cast_unsigned(),
            Op::Bin(op, a, b) => binary(*op, self.get(*a)?, self.get(*b)?),
            Op::Extend { bits, signed, value } => extend(self.get(*value)?, *bits, *signed),
            Op::Load { access, base, offset } => {
                let (address, size) = (self.address(*base, *offset)?, access.bytes().into());
                let bytes = match self.func.ty(*base) == Type::ptr(PtrKind::Task) {
                    // What cannot be read is 0 (BPF_PROBE_MEM, include/linux/filter.h).
                    true => self.world.kernel.read(address, size).unwrap_or_else(|| vec![0; size as usize]),
                    false => self.read(address, size)?,
                };
                little_endian(&bytes)
            }
            Op::Store { access, base, offset, value } => {
                let value = self.get(*value)?;
                self.write(self.address(*base, *offset)?, &value.to_le_bytes()[..access.bytes() as usize])?;
                return Ok(());
            }
            Op::AtomicAdd { base, offset, value } => {
                let (address, value) = (self.address(*base, *offset)?, self.get(*value)?);
                let bytes = self.read(address, Access::U64.bytes().into())?;
                self.write(address, &little_endian(&bytes).wrapping_add(value).to_le_bytes())?;
                return Ok(());
            }
            Op::SlotAddr(slot) => Object::Slot(slot.0).address(),
            Op::MapAddr(map) => map_handle(*self.maps.get(map.index()).ok_or(Fault::Undefined)?),
            Op::GlobalAddr(global) => {
                let global = self.func.globals.get(global.index()).ok_or(Fault::Undefined)?;
                let section = match global.section {
                    Global::Rodata => Object::Rodata,
                    Global::Bss => Object::Bss,
                };
                section.address() + u64::from(global.offset)
            }
            Op::Core(core) => self.func.cores.get(core.index()).ok_or(Fault::Undefined)?.here().into(),
            Op::Scan(scan) => self.scan(scan)?,
            Op::Call { helper, args } => {
                let args = args.iter().map(|&arg| self.get(arg)).collect::<Result<Vec<u64>, Fault>>()?;
                helper::call(self, *helper, &args)?
            }
        };
        let value = data.result.ok_or(Fault::Undefined)?;
        self.set(value, result);
        Ok(())
    }

    fn scan(&self, scan: &Scan) -> Result<u64, Fault> {
        let (text, table) = (self.get(scan.text)?, self.get(scan.table)?);
        let mut state = scan.start.cast_unsigned();
        for at in 0..scan.bytes {
            let stopped = (scan.stop.dead() && state == 0) || (scan.stop.done() && state.cast_signed() < 0);
            if at > 0 && stopped {
                break;
            }
            let byte = little_endian(&self.read(text.wrapping_add(at.into()), 1)?);
            if byte == 0 {
                break;
            }
            let word = |at: u64| Ok(little_endian(&self.read(table.wrapping_add(16 * byte + 8 * at), 8)?));
            state = (state & word(0)?) << 1 | state & word(1)?;
        }
        Ok(state)
    }

    fn leave(&self, terminator: &Terminator) -> Result<Next, Fault> {
        let (to, first) = match terminator {
            Terminator::Jump(to, args) => ((*to, args), None),
            Terminator::Branch { cond, a, b, then, otherwise } => {
                let way = if holds(*cond, self.get(*a)?, self.get(*b)?) { then } else { otherwise };
                ((way.0, &way.1), None)
            }
            Terminator::BranchNull { pointer, null, non_null } => match self.get(*pointer)? {
                0 => ((null.0, &null.1), None),
                address => ((non_null.0, &non_null.1), Some(address)),
            },
            Terminator::Return(value) => return Ok(Next::End(self.get(*value)?)),
            Terminator::None => return Err(Fault::Unterminated),
        };
        let mut args: Vec<u64> = first.into_iter().collect();
        for &arg in to.1 {
            args.push(self.get(arg)?);
        }
        Ok(Next::Block(to.0, args))
    }

    /// The program's own bytes there.
    pub(super) fn read(&self, address: u64, bytes: u64) -> Result<Vec<u8>, Fault> {
        let missing = missing(address, bytes);
        let Some((object, offset)) = Object::of(address) else { return Err(missing) };
        let whole = match object {
            Object::Context => Some(self.event.context.as_slice()),
            Object::Slot(slot) => self.slots.get(slot as usize).map(Vec::as_slice),
            Object::Rodata => Some(self.world.rodata.as_slice()),
            Object::Bss => Some(self.world.bss.as_slice()),
            Object::Cell { map, cell } => match self.world.stores.get(map as usize).map(|store| &store.kind) {
                Some(StoreKind::Map(map)) => map.value(cell, self.event.cpu),
                Some(StoreKind::Ring(ring)) => ring.bytes(cell),
                None => None,
            },
        };
        let range = range(offset, bytes);
        whole.and_then(|whole| whole.get(range?)).map(<[u8]>::to_vec).ok_or(missing)
    }

    /// Writes the program's own memory.
    pub(super) fn write(&mut self, address: u64, bytes: &[u8]) -> Result<(), Fault> {
        let missing = missing(address, bytes.len() as u64);
        let Some((object, offset)) = Object::of(address) else { return Err(missing) };
        let whole = match object {
            Object::Context | Object::Rodata => return Err(Fault::ReadOnly { address }),
            Object::Slot(slot) => self.slots.get_mut(slot as usize).map(Vec::as_mut_slice),
            Object::Bss => Some(self.world.bss.as_mut_slice()),
            Object::Cell { map, cell } => match self.world.stores.get_mut(map as usize).map(|store| &mut store.kind) {
                Some(StoreKind::Map(map)) => map.value_mut(cell, self.event.cpu),
                Some(StoreKind::Ring(ring)) => ring.bytes_mut(cell),
                None => None,
            },
        };
        let range = range(offset, bytes.len() as u64);
        let to = whole.and_then(|whole| whole.get_mut(range?)).ok_or(missing)?;
        to.copy_from_slice(bytes);
        Ok(())
    }

    fn address(&self, base: Value, offset: i16) -> Result<u64, Fault> {
        Ok(self.get(base)?.wrapping_add_signed(offset.into()))
    }

    fn get(&self, value: Value) -> Result<u64, Fault> {
        self.values.get(value.index()).copied().flatten().ok_or(Fault::Undefined)
    }

    fn set(&mut self, value: Value, to: u64) {
        if let Some(at) = self.values.get_mut(value.index()) {
            *at = Some(to);
        }
    }
}

enum Next {
    Block(Block, Vec<u64>),
    End(u64),
}

// Null with an offset is null, too.
fn missing(address: u64, bytes: u64) -> Fault {
    let near = address.cast_signed().unsigned_abs() < 0x8000;
    if near { Fault::Null } else { Fault::OutOfBounds { address, bytes } }
}

fn range(start: u64, bytes: u64) -> Option<std::ops::Range<usize>> {
    Some(usize::try_from(start).ok()?..usize::try_from(start.checked_add(bytes)?).ok()?)
}

fn little_endian(bytes: &[u8]) -> u64 {
    bytes.iter().rev().fold(0, |value, &byte| value << 8 | u64::from(byte))
}

fn extend(value: u64, bits: u8, signed: bool) -> u64 {
    let unused = 64u32.saturating_sub(bits.into());
    let top = value.wrapping_shl(unused);
    if signed { top.cast_signed().wrapping_shr(unused).cast_unsigned() } else { top.wrapping_shr(unused) }
}

// Division by zero is 0 and leaves the dividend for the remainder (Documentation/bpf/standardization/instruction-set.rst).
fn binary(op: BinOp, a: u64, b: u64) -> u64 {
    // Shifts take the low 6 bits, as `wrapping_sh*` of the low 32 bits do.
    #[expect(clippy::cast_possible_truncation, reason = "only the low 6 bits count")]
    let shift = b as u32;
    match op {
        BinOp::Add => a.wrapping_add(b),
        BinOp::Sub => a.wrapping_sub(b),
        BinOp::Mul => a.wrapping_mul(b),
        BinOp::UDiv => a.checked_div(b).unwrap_or(0),
        BinOp::UMod => a.checked_rem(b).unwrap_or(a),
        BinOp::And => a & b,
        BinOp::Or => a | b,
        BinOp::Xor => a ^ b,
        BinOp::Shl => a.wrapping_shl(shift),
        BinOp::Lshr => a.wrapping_shr(shift),
        BinOp::Ashr => a.cast_signed().wrapping_shr(shift).cast_unsigned(),
    }
}

/// Whether the comparison is true.
pub(crate) fn holds(cond: Cond, a: u64, b: u64) -> bool {
    let (signed_a, signed_b) = (a.cast_signed(), b.cast_signed());
    match cond {
        Cond::Eq => a == b,
        Cond::Ne => a != b,
        Cond::Ult => a < b,
        Cond::Ule => a <= b,
        Cond::Ugt => a > b,
        Cond::Uge => a >= b,
        Cond::Slt => signed_a < signed_b,
        Cond::Sle => signed_a <= signed_b,
        Cond::Sgt => signed_a > signed_b,
        Cond::Sge => signed_a >= signed_b,
    }
}
