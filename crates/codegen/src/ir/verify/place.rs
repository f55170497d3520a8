//! Where each pointer may point: which object, and between which bytes.
//!
//! The function has no cycle, so one walk in topological order finds all. A parameter may come from several places.

use super::range::{Range, Ranges};
use crate::ir::{BinOp, Block, Cfg, Func, Global, GlobalId, MapId, Op, PtrKind, SlotId, Terminator, Type, Value};
use bpfquery_isa::Helper;
use std::collections::BTreeMap;

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

/// Bytes of it, from the least to the greatest possible; `None` where the offset has no bounds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Place {
    pub(super) origin: Origin,
    pub(super) offset: Option<(i64, i64)>,
}

/// The places of all pointers.
#[derive(Debug)]
pub(super) struct Places {
    /// For each value, in order; none for integers.
    pointers: Vec<Vec<Place>>,
    ranges: Ranges,
    record_sizes: BTreeMap<Value, Option<i64>>,
}

impl Places {
    /// Whether the block is ever entered, as far as constants tell.
    pub(super) fn is_reached(&self, block: Block) -> bool {
        self.ranges.is_reached(block)
    }

    pub(super) fn of(&self, value: Value) -> impl Iterator<Item = Place> {
        self.pointers[value.index()].iter().copied()
    }

    /// The bounds of an integer in this block.
    pub(super) fn range(&self, func: &Func, cfg: &Cfg, block: Block, value: Value) -> Range {
        self.ranges.of(func, cfg, block, value)
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
    let ranges = Ranges::new(func, cfg);
    let mut places = Places { pointers: vec![Vec::new(); func.values.len()], ranges, record_sizes: BTreeMap::new() };
    for param in func.blocks.first().into_iter().flat_map(|entry| &entry.params) {
        places.pointers[param.index()] = start(Origin::Context);
    }
    for &block in cfg.order() {
        for &inst in &func.block(block).insts {
            let data = func.inst(inst);
            if let Some(result) = data.result {
                define(func, cfg, &mut places, block, result, &data.op);
            }
        }
        pass_on(func, &mut places, block);
    }
    places
}

fn start(origin: Origin) -> Vec<Place> {
    vec![Place { origin, offset: Some((0, 0)) }]
}

fn define(func: &Func, cfg: &Cfg, places: &mut Places, block: Block, result: Value, op: &Op) {
    let set = match op {
        Op::SlotAddr(slot) => start(Origin::Slot(*slot)),
        Op::MapAddr(map) => start(Origin::Map(*map)),
        Op::GlobalAddr(global) => start(Origin::Global(*global)),
        Op::Bin(_, a, _) if places.pointers[a.index()].is_empty() => return,
        Op::Bin(op, a, b) => moved(&places.pointers[a.index()], *op, places.range(func, cfg, block, *b)),
        Op::Call { helper: Helper::RingbufReserve, args } => {
            let size = args.get(1).and_then(|&size| places.range(func, cfg, block, size).exact());
            places.record_sizes.insert(result, size);
            start(Origin::Record(result))
        }
        Op::Call { .. } => match func.ty(result) {
            Type::Ptr { kind: PtrKind::MapValue(map), .. } => start(Origin::MapValue(map)),
            Type::Ptr { .. } | Type::Int => return,
        },
        Op::Const(_) | Op::Extend { .. } | Op::Load { .. } | Op::Core(_) | Op::Scan(_) => return,
        Op::Store { .. } | Op::AtomicAdd { .. } => return,
    };
    places.pointers[result.index()] = set;
}

fn moved(from: &[Place], op: BinOp, by: Range) -> Vec<Place> {
    // Farther than any object is long counts as without bounds, as in the kernel (BPF_MAX_VAR_OFF).
    const FAR: i64 = 1 << 29;
    let near = |n: u64| i64::try_from(n).ok().filter(|n| *n < FAR);
    let by = by.exact().map(|n| (n, n)).or_else(|| near(by.min).zip(near(by.max)));
    let step = |(min, max): (i64, i64), (least, most): (i64, i64)| match op {
        BinOp::Sub => min.checked_sub(most).zip(max.checked_sub(least)),
        _ => min.checked_add(least).zip(max.checked_add(most)),
    };
    let step = |place: &Place| Place { offset: place.offset.zip(by).and_then(|(at, by)| step(at, by)), ..*place };
    let mut moved: Vec<Place> = from.iter().map(step).collect();
    moved.sort_unstable();
    moved.dedup();
    moved
}

fn pass_on(func: &Func, places: &mut Places, block: Block) {
    let terminator = &func.block(block).terminator;
    for (i, (to, args)) in terminator.targets().enumerate() {
        let tested = match terminator {
            Terminator::BranchNull { pointer, .. } if i == 1 => Some(pointer),
            _ => None,
        };
        for (param, arg) in func.block(to).params.iter().zip(tested.into_iter().chain(args)) {
            for at in 0..places.pointers[arg.index()].len() {
                let place = places.pointers[arg.index()][at];
                let known = &mut places.pointers[param.index()];
                if let Err(at) = known.binary_search(&place) {
                    known.insert(at, place);
                }
            }
        }
    }
}
