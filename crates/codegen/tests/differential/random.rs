//! Random functions that the IR verifier accepts.

use bpfquery_codegen::ir::{
    Access, BinOp, Block, Builder, Cond, Context, CoreReloc, CoreWhat, Func, Global, GlobalData, GlobalId, MapData,
    MapId, MapKind, SlotId, Type, Value,
};
use bpfquery_isa::Helper;

/// Xorshift: the same seed gives the same function on every machine.
pub(crate) struct Random(u64);

impl Random {
    pub(crate) fn new(seed: u64) -> Random {
        Random(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    pub(crate) fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    pub(crate) fn below(&mut self, bound: u64) -> u64 {
        (self.next() >> 11) % bound
    }

    pub(crate) fn chance(&mut self, percent: u64) -> bool {
        self.below(100) < percent
    }

    pub(crate) fn pick<T: Copy>(&mut self, from: &[T]) -> T {
        from[self.below(from.len() as u64) as usize]
    }

    pub(crate) fn number(&mut self) -> i64 {
        match self.below(8) {
            0 => self.pick(&[0, 1, -1, 2, 8, 255, 256, 0xffff, 0xffff_ffff, 0x8000_0000, i64::MAX, i64::MIN]),
            1 => 1 << self.below(64),
            2 => (1_u64 << self.below(64)).wrapping_sub(1) as i64,
            3 => self.next() as i64,
            4 => i64::from(self.next() as i32),
            5 => i64::from(self.next() as u32),
            _ => self.below(64) as i64,
        }
    }
}

const BIN_OPS: [BinOp; 11] = [
    BinOp::Add,
    BinOp::Sub,
    BinOp::Mul,
    BinOp::UDiv,
    BinOp::UMod,
    BinOp::And,
    BinOp::Or,
    BinOp::Xor,
    BinOp::Shl,
    BinOp::Lshr,
    BinOp::Ashr,
];

const CONDS: [Cond; 10] =
    [Cond::Eq, Cond::Ne, Cond::Ult, Cond::Ule, Cond::Ugt, Cond::Uge, Cond::Slt, Cond::Sle, Cond::Sgt, Cond::Sge];

const ACCESSES: [Access; 4] = [Access::U8, Access::U16, Access::U32, Access::U64];

const SIMPLE_CALLS: [Helper; 7] = [
    Helper::GetCurrentPidTgid,
    Helper::GetCurrentUidGid,
    Helper::GetCurrentTask,
    Helper::GetCurrentCgroupId,
    Helper::GetSmpProcessorId,
    Helper::KtimeGetNs,
    Helper::GetPrandomU32,
];

/// Bytes of the context, of each slot and of the global variables.
pub(crate) const CONTEXT: u32 = 64;
const SLOT: u32 = 16;

/// The function of a seed.
pub(crate) fn function(seed: u64) -> Func {
    let mut random = Random::new(seed);
    let (builder, context) = Builder::new("random", Context { bytes: CONTEXT, words_only: true });
    let budget = 5 + random.below(60);
    let mut maker = Maker::new(builder, context, random, budget);
    let mut pool = maker.start();
    maker.stretch(&mut pool, 3);
    maker.finish(&pool);
    maker.builder.finish()
}

/// Values that may be used here.
#[derive(Clone)]
struct Pool {
    ints: Vec<Value>,
    values: Vec<(Value, u32)>,
}

struct Maker {
    builder: Builder,
    random: Random,
    context: Value,
    slots: Vec<SlotId>,
    maps: Vec<MapId>,
    ring: MapId,
    bss: GlobalId,
    rodata: GlobalId,
    budget: u64,
}

impl Maker {
    fn new(mut builder: Builder, context: Value, random: Random, budget: u64) -> Maker {
        let slots = (0..4).map(|at| builder.slot(format!("s{at}"), SLOT)).collect();
        let map = |name: &str, kind, key_size, value_size, max_entries| MapData {
            name: name.to_owned(),
            kind,
            key_size,
            value_size,
            max_entries,
        };
        let maps = vec![
            builder.map(map("hash", MapKind::Hash, 8, 16, 2)),
            builder.map(map("counts", MapKind::PerCpuArray, 4, 16, 2)),
        ];
        let ring = builder.map(map("ring", MapKind::RingBuffer, 0, 0, 4096));
        let global = |name: &str, section, init: Vec<u8>| GlobalData {
            name: name.to_owned(),
            section,
            offset: 0,
            size: 64,
            init,
        };
        let bss = builder.global(global("bss", Global::Bss, Vec::new()));
        let rodata =
            builder.global(global("rodata", Global::Rodata, (0..64_u8).map(|at| at.wrapping_mul(37)).collect()));
        Maker { builder, random, context, slots, maps, ring, bss, rodata, budget }
    }

    fn start(&mut self) -> Pool {
        let mut pool = Pool { ints: Vec::new(), values: Vec::new() };
        for _ in 0..1 + self.random.below(6) {
            let at = 8 * self.random.below(u64::from(CONTEXT / 8)) as i16;
            pool.ints.push(self.builder.load(Access::U64, self.context, at));
        }
        for slot in self.slots.clone() {
            for at in (0..SLOT as i16).step_by(8) {
                let value = self.int(&pool);
                let base = self.builder.slot_addr(slot);
                self.builder.store(Access::U64, base, at, value);
            }
        }
        pool
    }

    /// What is in the pool can be seen behind the program.
    fn finish(&mut self, pool: &Pool) {
        let bss = self.builder.global_addr(self.bss);
        let all = if self.random.chance(50) { pool.ints.clone() } else { vec![self.int(pool)] };
        for (at, value) in all.iter().rev().take(7).enumerate() {
            self.builder.store(Access::U64, bss, at as i16 * 8, *value);
        }
        let mut sum = self.builder.iconst(7);
        for &value in &all {
            sum = self.builder.bin(BinOp::Xor, sum, value);
        }
        self.builder.ret(sum);
    }

    fn stretch(&mut self, pool: &mut Pool, depth: u32) {
        for _ in 0..2 + self.random.below(12) {
            if self.budget == 0 {
                return;
            }
            self.budget -= 1;
            self.step(pool, depth);
        }
    }

    fn step(&mut self, pool: &mut Pool, depth: u32) {
        match self.random.below(if depth > 0 { 24 } else { 17 }) {
            0..6 => self.arithmetic(pool),
            6..8 => self.extension(pool),
            8 => self.load(pool),
            9..11 => self.memory(pool),
            11 => self.simple_call(pool),
            12 => self.bytes_call(),
            13 => self.update(pool),
            14 => self.record(pool),
            15 => self.core(pool),
            16 => self.value_access(pool),
            17..20 => self.diamond(pool, depth),
            20 => self.early_return(pool),
            21 => self.truth(pool, depth),
            _ => self.look_up(pool, depth),
        }
    }

    fn int(&mut self, pool: &Pool) -> Value {
        if pool.ints.is_empty() || self.random.chance(30) {
            let number = self.random.number();
            return self.builder.iconst(number);
        }
        // New values are used more often than old ones, and old ones live long.
        let recent = pool.ints.len().saturating_sub(4);
        let at = if self.random.chance(60) { recent } else { 0 };
        self.random.pick(&pool.ints[at..])
    }

    fn arithmetic(&mut self, pool: &mut Pool) {
        let (a, b) = (self.int(pool), self.int(pool));
        let op = self.random.pick(&BIN_OPS);
        pool.ints.push(self.builder.bin(op, a, b));
    }

    fn extension(&mut self, pool: &mut Pool) {
        let value = self.int(pool);
        let (bits, signed) = (self.random.pick(&[8, 16, 32, 32]), self.random.chance(50));
        pool.ints.push(self.builder.extend(bits, signed, value));
    }

    fn load(&mut self, pool: &mut Pool) {
        if self.random.chance(50) {
            let at = 8 * self.random.below(u64::from(CONTEXT / 8)) as i16;
            return pool.ints.push(self.builder.load(Access::U64, self.context, at));
        }
        let global = self.random.pick(&[self.bss, self.rodata]);
        let base = self.builder.global_addr(global);
        let (access, at) = self.place(64);
        let base = self.moved(base, at);
        pool.ints.push(self.builder.load(access, base.0, base.1));
    }

    /// An aligned access to so many bytes.
    fn place(&mut self, bytes: u32) -> (Access, i16) {
        let access = self.random.pick(&ACCESSES);
        let places = bytes / access.bytes();
        (access, (self.random.below(u64::from(places)) * u64::from(access.bytes())) as i16)
    }

    /// The same place as pointer arithmetic, now and then.
    fn moved(&mut self, base: Value, at: i16) -> (Value, i16) {
        if self.random.chance(70) {
            return (base, at);
        }
        let by = i64::from(at);
        if self.random.chance(50) {
            (self.builder.bin_imm(BinOp::Add, base, by), 0)
        } else {
            let there = self.builder.bin_imm(BinOp::Add, base, by + 8);
            (self.builder.bin_imm(BinOp::Sub, there, 8), 0)
        }
    }

    fn memory(&mut self, pool: &mut Pool) {
        let slot = self.random.pick(&self.slots.clone());
        let base = self.builder.slot_addr(slot);
        let (access, at) = self.place(SLOT);
        let (base, at) = self.moved(base, at);
        if self.random.chance(50) {
            pool.ints.push(self.builder.load(access, base, at));
        } else {
            let value = self.int(pool);
            self.builder.store(access, base, at, value);
        }
    }

    fn simple_call(&mut self, pool: &mut Pool) {
        let helper = self.random.pick(&SIMPLE_CALLS);
        pool.ints.push(self.builder.call(helper, &[]));
    }

    fn bytes_call(&mut self) {
        let slot = self.random.pick(&self.slots.clone());
        let to = self.builder.slot_addr(slot);
        let bytes = self.builder.iconst(i64::from(SLOT));
        if self.random.chance(50) {
            self.builder.call(Helper::GetCurrentComm, &[to, bytes]);
        } else {
            let from = self.builder.iconst(super::KERNEL as i64);
            self.builder.call(Helper::ProbeReadKernel, &[to, bytes, from]);
        }
    }

    /// A key for a map, mostly one that is there.
    fn key(&mut self, pool: &Pool) -> Value {
        let slot = self.random.pick(&self.slots.clone());
        let base = self.builder.slot_addr(slot);
        let number = self.random.below(3) as i64;
        let value = if self.random.chance(80) { self.builder.iconst(number) } else { self.int(pool) };
        self.builder.store(Access::U64, base, 0, value);
        base
    }

    fn update(&mut self, pool: &mut Pool) {
        let map = self.random.pick(&self.maps.clone());
        let key = self.key(pool);
        let slot = self.random.pick(&self.slots.clone());
        let value = self.builder.slot_addr(slot);
        let map = self.builder.map_addr(map);
        let flags = self.builder.iconst(0);
        let result = self.builder.call(Helper::MapUpdateElem, &[map, key, value, flags]);
        pool.ints.push(result);
    }

    fn look_up(&mut self, pool: &mut Pool, depth: u32) {
        let map = self.random.pick(&self.maps.clone());
        let key = self.key(pool);
        let address = self.builder.map_addr(map);
        let found = self.builder.call(Helper::MapLookupElem, &[address, key]);
        let absent = if self.random.chance(50) { self.builder.cold_block() } else { self.builder.block() };
        let join = self.builder.block();
        let result = self.builder.param(join, Type::Int);
        let none = self.int(pool);
        let value = self.builder.non_null(found, absent, &[]);
        let mut inner = pool.clone();
        inner.values.push((value, 16));
        self.value_access(&mut inner);
        self.stretch(&mut inner, depth - 1);
        self.go(join, &inner);
        self.builder.switch_to(absent);
        self.builder.jump(join, &[none]);
        self.builder.switch_to(join);
        pool.ints.push(result);
    }

    fn value_access(&mut self, pool: &mut Pool) {
        let Some(&(base, bytes)) = pool.values.last() else { return };
        let (access, at) = self.place(bytes);
        match self.random.below(3) {
            0 => {
                let (base, at) = self.moved(base, at);
                pool.ints.push(self.builder.load(access, base, at));
            }
            1 => {
                let value = self.int(pool);
                let (base, at) = self.moved(base, at);
                self.builder.store(access, base, at, value);
            }
            _ => {
                let value = self.int(pool);
                self.builder.atomic_add(base, at / 8 * 8, value);
            }
        }
    }

    fn record(&mut self, pool: &mut Pool) {
        let ring = self.builder.map_addr(self.ring);
        let (bytes, flags) = (self.builder.iconst(16), self.builder.iconst(0));
        let record = self.builder.call(Helper::RingbufReserve, &[ring, bytes, flags]);
        let full = self.builder.cold_block();
        let join = self.builder.block();
        let record = self.builder.non_null(record, full, &[]);
        for at in [0, 8] {
            let value = self.int(pool);
            self.builder.store(Access::U64, record, at, value);
        }
        let flags = self.builder.iconst(0);
        self.builder.call(Helper::RingbufSubmit, &[record, flags]);
        self.builder.jump(join, &[]);
        self.builder.switch_to(full);
        self.builder.jump(join, &[]);
        self.builder.switch_to(join);
    }

    fn core(&mut self, pool: &mut Pool) {
        let local = self.random.pick(&[0, 1, 8, 24, 56, 1234]);
        let core = self.builder.core(CoreReloc {
            what: CoreWhat::ByteOffset,
            object: "vmlinux".to_owned(),
            root: 1,
            members: vec![local],
            text: format!("x.f{local}"),
            local,
            guess: None,
        });
        let value = self.int(pool);
        let op = self.random.pick(&[BinOp::Add, BinOp::Shl, BinOp::Ashr, BinOp::Lshr, BinOp::Sub, BinOp::And]);
        pool.ints.push(self.builder.bin(op, value, core));
    }

    /// Goes to a block with as many integers as it has parameters.
    fn go(&mut self, block: Block, pool: &Pool) {
        let params = self.builder.func().block(block).params.len();
        let args: Vec<Value> = (0..params).map(|_| self.int(pool)).collect();
        self.builder.jump(block, &args);
    }

    fn branch(&mut self, pool: &Pool, then: Block, otherwise: Block) {
        let (cond, a) = (self.random.pick(&CONDS), self.int(pool));
        let b = if self.random.chance(50) {
            let number = self.random.number();
            self.builder.iconst(number)
        } else {
            self.int(pool)
        };
        self.builder.branch(cond, a, b, then, otherwise);
    }

    fn diamond(&mut self, pool: &mut Pool, depth: u32) {
        let (then, otherwise, join) = (self.builder.block(), self.builder.block(), self.builder.block());
        let params: Vec<Value> = (0..self.random.below(4)).map(|_| self.builder.param(join, Type::Int)).collect();
        if self.random.chance(30) {
            // One side is the join itself, perhaps with arguments.
            let (cond, a, b) = (self.random.pick(&CONDS), self.int(pool), self.int(pool));
            let args: Vec<Value> = params.iter().map(|_| self.int(pool)).collect();
            self.builder.branch_with(cond, a, b, (then, &[]), (join, &args));
        } else {
            self.branch(pool, then, otherwise);
            self.side(otherwise, join, pool, depth);
        }
        self.side(then, join, pool, depth);
        self.builder.switch_to(join);
        pool.ints.extend(params);
    }

    fn side(&mut self, block: Block, join: Block, pool: &Pool, depth: u32) {
        self.builder.switch_to(block);
        let mut inner = pool.clone();
        self.stretch(&mut inner, depth - 1);
        self.go(join, &inner);
    }

    /// A truth value that is made by one branch and tested by the next.
    fn truth(&mut self, pool: &mut Pool, depth: u32) {
        let (yes, no, test) = (self.builder.block(), self.builder.block(), self.builder.block());
        let truth = self.builder.param(test, Type::Int);
        self.branch(pool, yes, no);
        for (block, number) in [(yes, 1), (no, 0)] {
            self.builder.switch_to(block);
            if self.random.chance(30) {
                self.memory(&mut pool.clone());
            }
            let number = self.builder.iconst(number);
            self.builder.jump(test, &[number]);
        }
        self.builder.switch_to(test);
        if self.random.chance(20) {
            pool.ints.push(truth);
        }
        let (then, otherwise, join) = (self.builder.block(), self.builder.block(), self.builder.block());
        let zero = self.builder.iconst(0);
        self.builder.branch(Cond::Ne, truth, zero, then, otherwise);
        self.side(then, join, pool, depth);
        self.side(otherwise, join, pool, depth);
        self.builder.switch_to(join);
    }

    fn early_return(&mut self, pool: &mut Pool) {
        let (leave, stay) = (self.builder.block(), self.builder.block());
        self.branch(pool, leave, stay);
        self.builder.switch_to(leave);
        let value = self.int(pool);
        self.builder.ret(value);
        self.builder.switch_to(stay);
    }
}
