//! A BPF machine for tests: registers, a stack, and as much of the kernel as the random functions call.
//!
//! It shares no code with the IR interpreter. After a call, `r1` to `r5` hold rubbish; memory outside the program's own
//! is an error.

use bpfquery_codegen::interp::Event;
use bpfquery_codegen::ir::{Func, Global, MapData, MapKind};
use bpfquery_isa::{
    AluOp, AtomicOp, Cond, Extend, Helper, Imm64, Insn, Item, Label, Operand, Program, Reg, Size, Width,
};
use std::collections::BTreeMap;

const FRAME: u64 = 0x7000_0000_0000;
const CONTEXT: u64 = 0x7100_0000_0000;
const RODATA: u64 = 0x7200_0000_0000;
const BSS: u64 = 0x7300_0000_0000;
const CELLS: u64 = 0x7400_0000_0000;
const MAPS: u64 = 0x6000_0000_0000;

/// What outlives a run.
pub(crate) struct Kernel {
    maps: Vec<MapData>,
    /// For each map, where the value of each key is.
    index: Vec<BTreeMap<Vec<u8>, u64>>,
    memory: BTreeMap<u64, Vec<u8>>,
    next: u64,
    records: Vec<(u64, bool)>,
    room: u64,
    random: u32,
    sections: [u32; 2],
    kernel: (u64, Vec<u8>),
}

impl Kernel {
    pub(crate) fn new(func: &Func, kernel: (u64, Vec<u8>)) -> Kernel {
        let mut new = Kernel {
            maps: func.maps.clone(),
            index: vec![BTreeMap::new(); func.maps.len()],
            memory: BTreeMap::new(),
            next: CELLS,
            records: Vec::new(),
            room: 0,
            random: 1,
            sections: [bpfquery_codegen::emit::rodata_ref(func).0, bpfquery_codegen::emit::bss_ref(func).0],
            kernel,
        };
        for global in &func.globals {
            let (start, bytes) = match global.section {
                Global::Rodata => (RODATA, global.init.clone()),
                Global::Bss => (BSS, vec![0; global.size as usize]),
            };
            new.memory.insert(start + u64::from(global.offset), bytes);
        }
        for (at, map) in func.maps.iter().enumerate() {
            if matches!(map.kind, MapKind::Array | MapKind::PerCpuArray) {
                for key in 0..map.max_entries {
                    let cell = new.cell(vec![0; map.value_size as usize]);
                    new.index[at].insert(key.to_le_bytes().to_vec(), cell);
                }
            }
        }
        new
    }

    /// The entries of a map by key.
    pub(crate) fn entries(&self, map: usize) -> Vec<(Vec<u8>, Vec<u8>)> {
        self.index[map].iter().map(|(key, cell)| (key.clone(), self.memory[cell].clone())).collect()
    }

    /// The bytes of `.bss`.
    pub(crate) fn bss(&self) -> &[u8] {
        &self.memory[&BSS]
    }

    /// Submitted records in order.
    pub(crate) fn records(&self) -> Vec<Vec<u8>> {
        self.records.iter().filter(|(_, sent)| *sent).map(|(cell, _)| self.memory[cell].clone()).collect()
    }

    fn cell(&mut self, bytes: Vec<u8>) -> u64 {
        let cell = self.next;
        self.next += 0x1_0000;
        self.memory.insert(cell, bytes);
        cell
    }

    /// Runs the program; the result, or what it did wrong.
    pub(crate) fn run(&mut self, program: &Program, event: &Event) -> Result<u64, String> {
        self.memory.insert(CONTEXT, event.context.clone());
        self.memory.insert(FRAME - 512, vec![0x5a; 512]);
        let mut run = Run { kernel: self, event, regs: [0x0bad_0bad_0bad_0bad; 11] };
        run.regs[1] = CONTEXT;
        run.regs[10] = FRAME;
        run.walk(program)
    }

    fn slice(&mut self, address: u64, bytes: u64) -> Result<&mut [u8], String> {
        let bad = || format!("access to {bytes} bytes at {address:#x}");
        let (start, memory) = self.memory.range_mut(..=address).next_back().ok_or_else(bad)?;
        let at = (address - start) as usize;
        memory.get_mut(at..at + bytes as usize).ok_or_else(bad)
    }
}

struct Run<'a> {
    kernel: &'a mut Kernel,
    event: &'a Event,
    regs: [u64; 11],
}

impl Run<'_> {
    fn walk(&mut self, program: &Program) -> Result<u64, String> {
        let labels: BTreeMap<Label, usize> = program
            .items
            .iter()
            .enumerate()
            .filter_map(|(at, item)| match item {
                Item::Label(label) => Some((*label, at)),
                Item::Insn(_) => None,
            })
            .collect();
        let mut at = 0;
        for _ in 0..100_000 {
            let item = program.items.get(at).ok_or("the program runs off its end")?;
            at += 1;
            let Item::Insn(line) = item else { continue };
            line.insn.check().map_err(|error| error.to_string())?;
            if line.insn == Insn::Exit {
                return Ok(self.regs[0]);
            }
            if let Some(label) = self.step(&line.insn).map_err(|what| format!("{:?}: {what}", line.insn))? {
                at = *labels.get(&label).ok_or("a label is nowhere")?;
            }
        }
        Err("the program does not end".to_owned())
    }

    fn get(&self, reg: Reg) -> u64 {
        self.regs[usize::from(reg.number())]
    }

    fn set(&mut self, reg: Reg, value: u64) {
        self.regs[usize::from(reg.number())] = value;
    }

    fn operand(&self, src: Operand) -> u64 {
        match src {
            Operand::Reg(reg) => self.get(reg),
            Operand::Imm(imm) => i64::from(imm) as u64,
        }
    }

    fn step(&mut self, insn: &Insn) -> Result<Option<Label>, String> {
        match *insn {
            Insn::Alu { width, op, dst, src } => {
                let (a, b) = (self.get(dst), self.operand(src));
                self.set(dst, alu(width, op, a, b)?);
            }
            Insn::MovSx { extend, dst, src } => {
                let value = self.get(src);
                let wide = match extend {
                    Extend::W64From8 => i64::from(value as i8),
                    Extend::W64From16 => i64::from(value as i16),
                    Extend::W64From32 => i64::from(value as i32),
                    Extend::W32From8 | Extend::W32From16 => return Err("not made here".to_owned()),
                };
                self.set(dst, wide as u64);
            }
            Insn::Load { size, dst, base, off } => {
                let value = self.load(base, off, size.bytes())?;
                self.set(dst, value);
            }
            Insn::LoadSx { size, dst, base, off } => {
                let value = self.load(base, off, size.size().bytes())?;
                let unused = 64 - size.bits();
                self.set(dst, ((value << unused) as i64 >> unused) as u64);
            }
            Insn::Store { size, base, off, src } => self.store(base, off, size, self.get(src))?,
            Insn::StoreImm { size, base, off, imm } => self.store(base, off, size, i64::from(imm) as u64)?,
            Insn::LoadImm64 { dst, value } => {
                let value = match value {
                    Imm64::Value(value) => value,
                    Imm64::Map(map) => MAPS + u64::from(map.0),
                    Imm64::MapValue { map, offset } => {
                        let [rodata, bss] = self.kernel.sections;
                        let start = if map.0 == rodata { RODATA } else { BSS };
                        assert!(map.0 == rodata || map.0 == bss, "{map:?} is no section");
                        start + u64::from(offset)
                    }
                };
                self.set(dst, value);
            }
            Insn::Atomic { op: AtomicOp::Add, fetch: false, width: Width::W64, base, off, src } => {
                let value = self.load(base, off, 8)?.wrapping_add(self.get(src));
                self.store(base, off, Size::DW, value)?;
            }
            Insn::Jump { target } => return Ok(Some(target)),
            Insn::JumpIf { width, cond, dst, src, target } => {
                let holds = holds(width, cond, self.get(dst), self.operand(src));
                return Ok(holds.then_some(target));
            }
            Insn::Call { helper } => self.call(helper)?,
            Insn::Neg { .. }
            | Insn::Endian { .. }
            | Insn::Atomic { .. }
            | Insn::Exchange { .. }
            | Insn::CompareExchange { .. }
            | Insn::Exit => return Err("not made here".to_owned()),
        }
        Ok(None)
    }

    fn load(&mut self, base: Reg, off: i16, bytes: u32) -> Result<u64, String> {
        let address = self.get(base).wrapping_add_signed(i64::from(off));
        self.aligned(address, bytes)?;
        let bytes = self.kernel.slice(address, u64::from(bytes))?;
        Ok(bytes.iter().rev().fold(0, |value, byte| value << 8 | u64::from(*byte)))
    }

    fn store(&mut self, base: Reg, off: i16, size: Size, value: u64) -> Result<(), String> {
        let address = self.get(base).wrapping_add_signed(i64::from(off));
        self.aligned(address, size.bytes())?;
        if (CONTEXT..BSS).contains(&address) {
            return Err("the context and .rodata are read-only".to_owned());
        }
        let bytes = u64::from(size.bytes());
        self.kernel.slice(address, bytes)?.copy_from_slice(&value.to_le_bytes()[..bytes as usize]);
        Ok(())
    }

    fn aligned(&self, address: u64, bytes: u32) -> Result<(), String> {
        match address % u64::from(bytes) {
            0 => Ok(()),
            _ => Err(format!("{address:#x} is not aligned to {bytes}")),
        }
    }

    fn bytes(&mut self, address: u64, bytes: u64) -> Result<Vec<u8>, String> {
        Ok(self.kernel.slice(address, bytes)?.to_vec())
    }

    fn call(&mut self, helper: Helper) -> Result<(), String> {
        let [_, a, b, c, d, ..] = self.regs;
        let event = self.event;
        let pair = |high: u32, low: u32| u64::from(high) << 32 | u64::from(low);
        let result = match helper {
            Helper::KtimeGetNs => event.ktime_ns,
            Helper::GetSmpProcessorId => u64::from(event.cpu),
            Helper::GetCurrentPidTgid => pair(event.pid, event.tid),
            Helper::GetCurrentUidGid => pair(event.gid, event.uid),
            Helper::GetCurrentTask => event.task,
            Helper::GetCurrentCgroupId => event.cgroup_id,
            Helper::GetPrandomU32 => u64::from(self.random()),
            Helper::GetCurrentComm => {
                // strscpy, as in Linux 6.1: nothing behind the NUL is written.
                let room = event.comm.len().min(b as usize) - 1;
                let end = event.comm.iter().position(|byte| *byte == 0).unwrap_or(room).min(room);
                let to = self.kernel.slice(a, b)?;
                to[..end].copy_from_slice(&event.comm[..end]);
                to[end] = 0;
                0
            }
            Helper::ProbeReadKernel => {
                let (start, memory) = self.kernel.kernel.clone();
                let from = memory.get((c - start) as usize..(c - start + b) as usize).ok_or("bad probe read")?;
                self.kernel.slice(a, b)?.copy_from_slice(from);
                0
            }
            Helper::MapLookupElem => {
                let (map, key) = self.key(a, b)?;
                self.kernel.index[map].get(&key).copied().unwrap_or(0)
            }
            Helper::MapUpdateElem => self.update(a, b, c, d)?,
            Helper::RingbufReserve => self.reserve(b),
            Helper::RingbufSubmit => {
                let record = self.kernel.records.iter_mut().find(|(cell, sent)| *cell == a && !*sent);
                record.ok_or("not a record")?.1 = true;
                0
            }
            other => return Err(format!("{} is not called here", other.name())),
        };
        self.regs[0] = result;
        self.regs[1..6].fill(0xdead_dead_dead_dead);
        Ok(())
    }

    fn random(&mut self) -> u32 {
        self.kernel.random = super::next_random(self.kernel.random);
        self.kernel.random
    }

    fn key(&mut self, map: u64, key: u64) -> Result<(usize, Vec<u8>), String> {
        let map = map.checked_sub(MAPS).filter(|map| *map < self.kernel.maps.len() as u64).ok_or("not a map")? as usize;
        let size = self.kernel.maps[map].key_size;
        Ok((map, self.bytes(key, u64::from(size))?))
    }

    fn update(&mut self, map: u64, key: u64, value: u64, flags: u64) -> Result<u64, String> {
        assert_eq!(flags, 0, "only BPF_ANY is used here");
        let (map, key) = self.key(map, key)?;
        let data = self.kernel.maps[map].clone();
        let value = self.bytes(value, u64::from(data.value_size))?;
        if let Some(&cell) = self.kernel.index[map].get(&key) {
            self.kernel.slice(cell, value.len() as u64)?.copy_from_slice(&value);
            return Ok(0);
        }
        if matches!(data.kind, MapKind::Array | MapKind::PerCpuArray)
            || self.kernel.index[map].len() >= data.max_entries as usize
        {
            // -E2BIG
            return Ok(-7_i64 as u64);
        }
        let cell = self.kernel.cell(value);
        self.kernel.index[map].insert(key, cell);
        Ok(0)
    }

    fn reserve(&mut self, bytes: u64) -> u64 {
        let needed = (bytes + 8).next_multiple_of(8);
        if self.kernel.room + needed >= 4096 {
            return 0;
        }
        self.kernel.room += needed;
        let cell = self.kernel.cell(vec![0xa5; bytes as usize]);
        self.kernel.records.push((cell, false));
        cell
    }
}

fn alu(width: Width, op: AluOp, a: u64, b: u64) -> Result<u64, String> {
    Ok(match width {
        Width::W64 => match op {
            AluOp::Add => a.wrapping_add(b),
            AluOp::Sub => a.wrapping_sub(b),
            AluOp::Mul => a.wrapping_mul(b),
            AluOp::Div => a.checked_div(b).unwrap_or(0),
            AluOp::Mod => a.checked_rem(b).unwrap_or(a),
            AluOp::Or => a | b,
            AluOp::And => a & b,
            AluOp::Xor => a ^ b,
            AluOp::Lsh => a << (b & 63),
            AluOp::Rsh => a >> (b & 63),
            AluOp::Arsh => (a as i64 >> (b & 63)) as u64,
            AluOp::Mov => b,
            AluOp::SDiv | AluOp::SMod => return Err("not made here".to_owned()),
        },
        Width::W32 => {
            let (x, y) = (a as u32, b as u32);
            u64::from(match op {
                AluOp::Add => x.wrapping_add(y),
                AluOp::Sub => x.wrapping_sub(y),
                AluOp::Mul => x.wrapping_mul(y),
                AluOp::Div => x.checked_div(y).unwrap_or(0),
                AluOp::Mod => x.checked_rem(y).unwrap_or(x),
                AluOp::Or => x | y,
                AluOp::And => x & y,
                AluOp::Xor => x ^ y,
                AluOp::Lsh => x << (y & 31),
                AluOp::Rsh => x >> (y & 31),
                AluOp::Arsh => (x as i32 >> (y & 31)) as u32,
                AluOp::Mov => y,
                AluOp::SDiv | AluOp::SMod => return Err("not made here".to_owned()),
            })
        }
    })
}

fn holds(width: Width, cond: Cond, a: u64, b: u64) -> bool {
    let (a, b) = match width {
        Width::W64 => (a, b),
        // Both orders of the lower halves are those of their sign extensions.
        Width::W32 => (i64::from(a as i32) as u64, i64::from(b as i32) as u64),
    };
    let (x, y) = (a as i64, b as i64);
    match cond {
        Cond::Eq => a == b,
        Cond::Ne => a != b,
        Cond::Ugt => a > b,
        Cond::Uge => a >= b,
        Cond::Ult => a < b,
        Cond::Ule => a <= b,
        Cond::Sgt => x > y,
        Cond::Sge => x >= y,
        Cond::Slt => x < y,
        Cond::Sle => x <= y,
        Cond::Set => a & b != 0,
    }
}
