//! Builds a function block by block.
//!
//! The builder writes at the end of the current block. It types every value as it is made; that what it makes is
//! right as a whole is the verifier's business.

use super::dominance::Dominance;
use super::{
    Access, Args, BinOp, Block, BlockData, Cond, Context, CoreId, CoreReloc, Func, GlobalData, GlobalId, Inst,
    InstData, MapData, MapId, Op, PtrKind, Scan, SlotData, SlotId, Terminator, Type, Value, ValueData,
};
use bpfquery_diag::Span;
use bpfquery_isa::{Helper, Purpose};

/// Writes a [`Func`].
#[derive(Debug)]
pub struct Builder {
    func: Func,
    current: Block,
    span: Span,
    purpose: Purpose,
    dominance: Dominance,
}

fn next(len: usize) -> u32 {
    // Queries are bounded far below 2^32 of anything.
    u32::try_from(len).unwrap_or(u32::MAX)
}

impl Builder {
    /// A function with its entry block, whose one parameter is the context pointer.
    pub fn new(name: impl Into<String>, context: Context) -> (Builder, Value) {
        let func = Func {
            name: name.into(),
            context,
            blocks: Vec::new(),
            insts: Vec::new(),
            values: Vec::new(),
            slots: Vec::new(),
            maps: Vec::new(),
            globals: Vec::new(),
            cores: Vec::new(),
        };
        let (span, purpose, dominance) = (Span::default(), Purpose::Work, Dominance::default());
        let mut builder = Builder { func, current: Block(0), span, purpose, dominance };
        let entry = builder.block();
        let ctx = builder.param(entry, Type::ptr(PtrKind::Context));
        (builder, ctx)
    }

    /// The finished function.
    pub fn finish(self) -> Func {
        self.func
    }

    /// What has been built so far.
    pub fn func(&self) -> &Func {
        &self.func
    }

    /// What follows comes from this place in the SQL.
    pub fn set_span(&mut self, span: Span) {
        self.span = span;
    }

    /// The place in the SQL that what follows comes from.
    pub fn span(&self) -> Span {
        self.span
    }

    /// What follows is there for this; what was before.
    pub fn set_purpose(&mut self, purpose: Purpose) -> Purpose {
        std::mem::replace(&mut self.purpose, purpose)
    }

    /// A new, empty block.
    pub fn block(&mut self) -> Block {
        let block = Block(next(self.func.blocks.len()));
        self.dominance.block();
        self.func.blocks.push(BlockData {
            params: Vec::new(),
            insts: Vec::new(),
            terminator: Terminator::None,
            span: self.span,
            cold: false,
        });
        block
    }

    /// A new, empty block that hardly ever runs.
    pub fn cold_block(&mut self) -> Block {
        let block = self.block();
        self.func.blocks[block.index()].cold = true;
        block
    }

    /// The blocks from this one on hardly ever run, as far as there are any yet.
    pub fn chill(&mut self, from: usize) {
        self.func.blocks.iter_mut().skip(from).for_each(|block| block.cold = true);
    }

    /// One more parameter of a block.
    pub fn param(&mut self, block: Block, ty: Type) -> Value {
        let value = self.value(ty);
        self.func.blocks[block.index()].params.push(value);
        value
    }

    /// Goes on at the end of this block.
    pub fn switch_to(&mut self, block: Block) {
        self.dominance.begin(block);
        self.current = block;
    }

    /// Whether every way to the current block passes this one: what was computed there is known here. Ways to the current
    /// block that are written later, other than from below it, must not be.
    pub fn is_behind(&mut self, block: Block) -> bool {
        self.dominance.dominates(block, self.current)
    }

    /// The block that is being written.
    pub fn current(&self) -> Block {
        self.current
    }

    /// Whether the current block has its terminator.
    pub fn is_terminated(&self) -> bool {
        self.func.block(self.current).terminator != Terminator::None
    }

    fn value(&mut self, ty: Type) -> Value {
        let value = Value(next(self.func.values.len()));
        self.func.values.push(ValueData { ty });
        value
    }

    fn push(&mut self, op: Op) -> Option<Value> {
        let result = self.func.result_type(&op).map(|ty| self.value(ty));
        let inst = Inst(next(self.func.insts.len()));
        self.func.insts.push(InstData { op, result, span: self.span, purpose: self.purpose });
        self.func.blocks[self.current.index()].insts.push(inst);
        result
    }

    fn define(&mut self, op: Op) -> Value {
        // Every op passed here defines a value; see `Func::result_type`.
        self.push(op).unwrap_or(Value(u32::MAX))
    }

    /// A constant.
    pub fn iconst(&mut self, value: i64) -> Value {
        self.define(Op::Const(value))
    }

    /// `a op b`.
    pub fn bin(&mut self, op: BinOp, a: Value, b: Value) -> Value {
        self.define(Op::Bin(op, a, b))
    }

    /// `a op constant`.
    pub fn bin_imm(&mut self, op: BinOp, a: Value, b: i64) -> Value {
        let b = self.iconst(b);
        self.bin(op, a, b)
    }

    /// The low `bits` of `value`, extended to 64. All 64 bits: the value itself.
    pub fn extend(&mut self, bits: u8, signed: bool, value: Value) -> Value {
        if bits >= 64 { value } else { self.define(Op::Extend { bits, signed, value }) }
    }

    /// `*(access *)(base + offset)`.
    pub fn load(&mut self, access: Access, base: Value, offset: i16) -> Value {
        self.define(Op::Load { access, base, offset })
    }

    /// `*(access *)(base + offset) = value`.
    pub fn store(&mut self, access: Access, base: Value, offset: i16, value: Value) {
        self.push(Op::Store { access, base, offset, value });
    }

    /// `lock *(u64 *)(base + offset) += value`.
    pub fn atomic_add(&mut self, base: Value, offset: i16, value: Value) {
        self.push(Op::AtomicAdd { base, offset, value });
    }

    /// A new stack slot of at least `size` bytes.
    pub fn slot(&mut self, name: impl Into<String>, size: u32) -> SlotId {
        let slot = SlotId(next(self.func.slots.len()));
        self.func.slots.push(SlotData { name: name.into(), size: size.next_multiple_of(8) });
        slot
    }

    /// The address of a stack slot.
    pub fn slot_addr(&mut self, slot: SlotId) -> Value {
        self.define(Op::SlotAddr(slot))
    }

    /// Starts with the tables of another program of the same object, so that both number them alike.
    pub fn adopt(&mut self, other: &Func) {
        self.func.maps.clone_from(&other.maps);
        self.func.globals.clone_from(&other.globals);
        self.func.cores.clone_from(&other.cores);
    }

    /// Declares a map, unless it is one that is known.
    pub fn map(&mut self, map: MapData) -> MapId {
        let known = self.func.maps.iter().position(|known| *known == map);
        let id = MapId(next(known.unwrap_or(self.func.maps.len())));
        if known.is_none() {
            self.func.maps.push(map);
        }
        id
    }

    /// A map, as helpers take it.
    pub fn map_addr(&mut self, map: MapId) -> Value {
        self.define(Op::MapAddr(map))
    }

    /// Declares a global variable.
    pub fn global(&mut self, global: GlobalData) -> GlobalId {
        let id = GlobalId(next(self.func.globals.len()));
        self.func.globals.push(global);
        id
    }

    /// The address of a global variable.
    pub fn global_addr(&mut self, global: GlobalId) -> Value {
        self.define(Op::GlobalAddr(global))
    }

    /// A number that the loader fills in.
    pub fn core(&mut self, reloc: CoreReloc) -> Value {
        let known = self.func.cores.iter().position(|core| *core == reloc);
        let id = CoreId(next(known.unwrap_or(self.func.cores.len())));
        if known.is_none() {
            self.func.cores.push(reloc);
        }
        self.define(Op::Core(id))
    }

    /// Calls a helper.
    pub fn call<const N: usize>(&mut self, helper: Helper, args: &[Value; N]) -> Value {
        self.define(Op::Call { helper, args: Args::new(*args) })
    }

    /// The state in which an automaton leaves a text.
    pub fn scan(&mut self, scan: Scan) -> Value {
        self.define(Op::Scan(scan))
    }

    fn terminate(&mut self, terminator: Terminator) {
        let span = self.span;
        for (target, _) in terminator.targets() {
            self.dominance.way(self.current, target);
        }
        let block = &mut self.func.blocks[self.current.index()];
        block.terminator = terminator;
        block.span = span;
    }

    /// Goes on in `block`.
    pub fn jump(&mut self, block: Block, args: &[Value]) {
        self.terminate(Terminator::Jump(block, args.to_vec()));
    }

    /// Two ways, without arguments.
    pub fn branch(&mut self, cond: Cond, a: Value, b: Value, then: Block, otherwise: Block) {
        self.branch_with(cond, a, b, (then, &[]), (otherwise, &[]));
    }

    /// Two ways, with arguments.
    pub fn branch_with(
        &mut self,
        cond: Cond,
        a: Value,
        b: Value,
        then: (Block, &[Value]),
        otherwise: (Block, &[Value]),
    ) {
        let then = (then.0, then.1.to_vec());
        let otherwise = (otherwise.0, otherwise.1.to_vec());
        self.terminate(Terminator::Branch { cond, a, b, then, otherwise });
    }

    /// Tests a maybe-null pointer; makes the block that goes on with the address and switches to it.
    pub fn non_null(&mut self, pointer: Value, null: Block, null_args: &[Value]) -> Value {
        let go_on = self.block();
        let kind = match self.func.ty(pointer) {
            Type::Ptr { kind, .. } => Type::ptr(kind),
            Type::Int => Type::Int,
        };
        let address = self.param(go_on, kind);
        self.terminate(Terminator::BranchNull {
            pointer,
            null: (null, null_args.to_vec()),
            non_null: (go_on, Vec::new()),
        });
        self.switch_to(go_on);
        address
    }

    /// Ends the program.
    pub fn ret(&mut self, value: Value) {
        self.terminate(Terminator::Return(value));
    }
}
