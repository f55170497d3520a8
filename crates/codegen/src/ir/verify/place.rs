//! Where each pointer may point: which object, and at which byte if that is known.
//!
//! The function has no cycle, so one walk in topological order finds all. A parameter may come from several places.

use crate::ir::{BinOp, Block, Cfg, Func, Global, GlobalId, MapId, Op, PtrKind, SlotId, Terminator, Type, Value};
use bpfquery_isa::Helper;
use std::collections::{BTreeMap, BTreeSet};

/// What a pointer points into.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Origin {
    Context,
    Slot(SlotId),
    Map(MapId),
    MapValue(MapId),
    /// The record that the call with this result reserved.
    Record(Value),
    Global(GlobalId),
}

/// A byte of it; `None` where the offset is computed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Place {
    pub(super) origin: Origin,
    pub(super) offset: Option<i64>,
}

/// The places of all pointers, and the values of all constants.
#[derive(Debug, Default)]
pub(super) struct Places {
    pointers: BTreeMap<Value, BTreeSet<Place>>,
    constants: BTreeMap<Value, i64>,
    record_sizes: BTreeMap<Value, Option<i64>>,
}

impl Places {
    pub(super) fn of(&self, value: Value) -> impl Iterator<Item = Place> {
        self.pointers.get(&value).into_iter().flatten().copied()
    }

    pub(super) fn constant(&self, value: Value) -> Option<i64> {
        self.constants.get(&value).copied()
    }

    /// The object's bytes, where they are known.
    pub(super) fn size(&self, func: &Func, origin: Origin) -> Option<i64> {
        match origin {
            Origin::Context => Some(func.context.bytes.into()),
            Origin::Slot(slot) => Some(func.slot(slot).size.into()),
            Origin::Map(_) => Some(0),
            Origin::MapValue(map) => Some(func.map(map).value_size.into()),
            Origin::Record(reserve) => self.record_sizes.get(&reserve).copied().flatten(),
            Origin::Global(global) => Some(func.global(global).size.into()),
        }
    }
}

impl Place {
    /// How a message names it.
    pub(super) fn text(self, func: &Func) -> String {
        match self.origin {
            Origin::Context => "the context".to_owned(),
            Origin::Slot(slot) => slot.to_string(),
            Origin::Map(map) => map.to_string(),
            Origin::MapValue(map) => format!("a value of {map}"),
            Origin::Record(reserve) => format!("the record {reserve}"),
            Origin::Global(global) => match func.global(global).section {
                Global::Rodata => format!("{global} in `.rodata`"),
                Global::Bss => format!("{global} in `.bss`"),
            },
        }
    }
}

/// Follows every pointer of the function.
pub(super) fn places(func: &Func, cfg: &Cfg) -> Places {
    let mut places = Places::default();
    for param in func.blocks.first().into_iter().flat_map(|entry| &entry.params) {
        places.pointers.insert(*param, BTreeSet::from([Place { origin: Origin::Context, offset: Some(0) }]));
    }
    for &block in cfg.order() {
        for &inst in &func.block(block).insts {
            let data = func.inst(inst);
            if let Some(result) = data.result {
                define(func, &mut places, result, &data.op);
            }
        }
        pass_on(func, &mut places, block);
    }
    places
}

fn define(func: &Func, places: &mut Places, result: Value, op: &Op) {
    let whole = |origin| BTreeSet::from([Place { origin, offset: Some(0) }]);
    let set = match op {
        Op::Const(value) => {
            places.constants.insert(result, *value);
            return;
        }
        Op::SlotAddr(slot) => whole(Origin::Slot(*slot)),
        Op::MapAddr(map) => whole(Origin::Map(*map)),
        Op::GlobalAddr(global) => whole(Origin::Global(*global)),
        Op::Bin(op, a, b) => match places.pointers.get(a) {
            Some(from) => moved(from, *op, places.constant(*b)),
            None => return,
        },
        Op::Call { helper: Helper::RingbufReserve, args } => {
            let size = args.get(1).and_then(|&size| places.constant(size));
            places.record_sizes.insert(result, size);
            whole(Origin::Record(result))
        }
        Op::Call { .. } => match func.ty(result) {
            Type::Ptr { kind: PtrKind::MapValue(map), .. } => whole(Origin::MapValue(map)),
            Type::Ptr { .. } | Type::Int => return,
        },
        Op::Extend { .. } | Op::Load { .. } | Op::Core(_) | Op::Store { .. } | Op::AtomicAdd { .. } => return,
    };
    places.pointers.insert(result, set);
}

fn moved(from: &BTreeSet<Place>, op: BinOp, by: Option<i64>) -> BTreeSet<Place> {
    let by = if op == BinOp::Sub { by.and_then(i64::checked_neg) } else { by };
    let step = |place: &Place| Place { offset: place.offset.zip(by).and_then(|(a, b)| a.checked_add(b)), ..*place };
    from.iter().map(step).collect()
}

fn pass_on(func: &Func, places: &mut Places, block: Block) {
    let terminator = &func.block(block).terminator;
    for (i, (to, args)) in terminator.targets().into_iter().enumerate() {
        let mut args = args.to_vec();
        if let (Terminator::BranchNull { pointer, .. }, 1) = (terminator, i) {
            args.insert(0, *pointer);
        }
        for (&param, arg) in func.block(to).params.iter().zip(args) {
            let from = places.pointers.get(&arg).cloned().unwrap_or_default();
            if !from.is_empty() {
                places.pointers.entry(param).or_default().extend(from);
            }
        }
    }
}
