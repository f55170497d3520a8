//! What a pass could do wrong, planted behind each pass: the IR verifier refuses all of it.

use bpfquery_codegen::ir::{Block, BlockData, Func, Inst, Op, PtrKind, SlotId, Terminator, Type, Value, parse, verify};
use bpfquery_codegen::passes::shape::Shape;
use bpfquery_codegen::passes::{FINISH, SIMPLIFY};
use bpfquery_isa::Helper;
use std::collections::BTreeSet;

const SEEDS: [&str; 2] = [include_str!("ir/everything.ir"), include_str!("ir/group.ir")];

/// Spoils a right function; none where it has no place for the fault.
type Fault = fn(&mut Func) -> Option<()>;

const FAULTS: &[(&str, Fault)] = &[
    ("a definition is removed", |func| {
        let (block, at, _) = find(func, |func, op| func.result_type(op).is_some() && !matches!(op, Op::Call { .. }))?;
        func.blocks[block.index()].insts.remove(at);
        Some(())
    }),
    ("a definition moves behind its uses", |func| {
        let (block, at, _) = find(func, |_, op| matches!(op, Op::SlotAddr(_) | Op::MapAddr(_)))?;
        let inst = func.blocks[block.index()].insts.remove(at);
        func.blocks[block.index()].insts.push(inst);
        Some(())
    }),
    ("a value is defined twice", |func| {
        let (block, _, inst) = find(func, |_, op| matches!(op, Op::Load { .. }))?;
        let copy = *func.inst(inst);
        func.insts.push(copy);
        let last = Inst(u32::try_from(func.insts.len() - 1).ok()?);
        func.blocks[block.index()].insts.push(last);
        Some(())
    }),
    ("an instruction stands twice", |func| {
        let (block, _, inst) = find(func, |_, op| matches!(op, Op::Store { .. }))?;
        func.blocks[block.index()].insts.push(inst);
        Some(())
    }),
    ("a value is not in the table", |func| {
        let (_, _, inst) = find(func, |_, op| op.operands().next().is_some())?;
        *func.insts[inst.index()].op.operands_mut().next()? = Value(9999);
        Some(())
    }),
    ("a terminator is lost", |func| {
        let block = returning(func)?;
        func.blocks[block.index()].terminator = Terminator::None;
        Some(())
    }),
    ("a jump goes back", |func| {
        let block = returning(func)?;
        let params = func.block(block).params.clone();
        func.blocks[block.index()].terminator = Terminator::Jump(block, params);
        Some(())
    }),
    ("a jump goes nowhere", |func| {
        let block = returning(func)?;
        func.blocks[block.index()].terminator = Terminator::Jump(Block(9999), Vec::new());
        Some(())
    }),
    ("a dead block is left", |func| {
        let block = returning(func)?;
        let copy = BlockData { params: Vec::new(), insts: Vec::new(), ..func.block(block).clone() };
        func.blocks.push(copy);
        Some(())
    }),
    ("an argument is too many", |func| {
        edit_target(func, |args| args.push(Value(0)));
        Some(())
    }),
    ("a parameter is too many", |func| {
        let block = returning(func)?;
        func.values.push(func.values[0]);
        func.blocks[block.index()].params.push(Value(u32::try_from(func.values.len() - 1).ok()?));
        Some(())
    }),
    ("a parameter has another type", |func| {
        let param = func.block_ids().skip(1).find_map(|block| func.block(block).params.first().copied())?;
        func.values[param.index()].ty = Type::ptr(PtrKind::Stack);
        Some(())
    }),
    ("a result has another type", |func| {
        let (_, _, inst) = find(func, |_, op| matches!(op, Op::SlotAddr(_) | Op::MapAddr(_)))?;
        let value = func.inst(inst).result?;
        func.values[value.index()].ty = Type::Int;
        Some(())
    }),
    ("a result is lost", |func| {
        let (_, _, inst) = find(func, |_, op| matches!(op, Op::Call { .. }))?;
        func.insts[inst.index()].result = None;
        Some(())
    }),
    ("the ways of a null test are swapped", |func| {
        let mut blocks = func.blocks.iter_mut();
        let swapped = blocks.find_map(|block| match &mut block.terminator {
            Terminator::BranchNull { null, non_null, .. } => Some((null, non_null)),
            _ => None,
        });
        let (null, non_null) = swapped?;
        std::mem::swap(null, non_null);
        Some(())
    }),
    ("a maybe-null pointer is followed", |func| {
        let (pointer, to) = func.blocks.iter().find_map(|block| match &block.terminator {
            Terminator::BranchNull { pointer, non_null, .. } => Some((*pointer, non_null.0)),
            _ => None,
        })?;
        let address = *func.block(to).params.first()?;
        func.insts
            .iter_mut()
            .flat_map(|inst| inst.op.operands_mut())
            .filter(|v| **v == address)
            .for_each(|v| *v = pointer);
        Some(())
    }),
    ("a store leaves its object", |func| {
        let (_, _, inst) = find(func, |_, op| matches!(op, Op::Store { .. }))?;
        let Op::Store { offset, .. } = &mut func.insts[inst.index()].op else { return None };
        *offset += 4096;
        Some(())
    }),
    ("a store goes to the context", |func| {
        let (_, _, inst) = find(func, |_, op| matches!(op, Op::Store { .. }))?;
        let Op::Store { base, .. } = &mut func.insts[inst.index()].op else { return None };
        *base = Value(0);
        Some(())
    }),
    ("a load from the context is not aligned", |func| {
        let (_, _, inst) = find(func, |_, op| matches!(op, Op::Load { base: Value(0), .. }))?;
        let Op::Load { offset, .. } = &mut func.insts[inst.index()].op else { return None };
        *offset += 1;
        Some(())
    }),
    ("stores to a key are removed", |func| {
        find(func, |_, op| matches!(op, Op::Call { helper: Helper::MapLookupElem, .. }))?;
        while let Some((block, at, _)) = find(func, |func, op| match op {
            Op::Store { base, .. } => func.ty(*base) == Type::ptr(PtrKind::Stack),
            _ => false,
        }) {
            func.blocks[block.index()].insts.remove(at);
        }
        Some(())
    }),
    ("a record is kept", |func| {
        let (_, _, inst) = submit(func)?;
        func.insts[inst.index()].op = Op::Const(0);
        Some(())
    }),
    ("a record is submitted twice", |func| {
        let (block, at, inst) = submit(func)?;
        let mut copy = *func.inst(inst);
        func.values.push(func.values[copy.result?.index()]);
        copy.result = Some(Value(u32::try_from(func.values.len() - 1).ok()?));
        func.insts.push(copy);
        let last = Inst(u32::try_from(func.insts.len() - 1).ok()?);
        func.blocks[block.index()].insts.insert(at, last);
        Some(())
    }),
    ("a record is written after its submission", |func| {
        let (block, at, inst) = submit(func)?;
        func.blocks[block.index()].insts.remove(at);
        let place = func.block(block).insts.iter().position(|&i| match &func.inst(i).op {
            Op::Store { base, .. } => matches!(func.ty(*base), Type::Ptr { kind: PtrKind::Record(_), .. }),
            _ => false,
        })?;
        func.blocks[block.index()].insts.insert(place, inst);
        Some(())
    }),
    ("a call has lost an argument", |func| {
        let (_, _, inst) = find(func, |_, op| matches!(op, Op::Call { args, .. } if !args.is_empty()))?;
        let Op::Call { args, .. } = &mut func.insts[inst.index()].op else { return None };
        args.pop();
        Some(())
    }),
    ("a call gets another map", |func| {
        let (_, _, inst) = find(func, |_, op| matches!(op, Op::MapAddr(_)))?;
        let Op::MapAddr(map) = &mut func.insts[inst.index()].op else { return None };
        map.0 = (map.0 + 1) % u32::try_from(func.maps.len()).ok()?;
        Some(())
    }),
    ("a slot does not exist", |func| {
        let (_, _, inst) = find(func, |_, op| matches!(op, Op::SlotAddr(_)))?;
        func.insts[inst.index()].op = Op::SlotAddr(SlotId(99));
        Some(())
    }),
    ("slots outgrow the stack", |func| {
        func.slots.first_mut()?.size = 512;
        (func.slots.len() > 1).then_some(())
    }),
    ("a pointer is the result", |func| {
        let block = returning(func)?;
        func.blocks[block.index()].terminator = Terminator::Return(Value(0));
        Some(())
    }),
];

/// The first instruction of that kind that matters: a store, a call, or one whose value is used.
fn find(func: &Func, is: impl Fn(&Func, &Op) -> bool) -> Option<(Block, usize, Inst)> {
    let mut used: BTreeSet<Value> = BTreeSet::new();
    for block in &func.blocks {
        used.extend(block.insts.iter().flat_map(|&inst| func.inst(inst).op.operands()));
        used.extend(block.terminator.operands());
    }
    let matters = |inst: Inst| func.inst(inst).result.is_none_or(|value| used.contains(&value));
    let has_effect = |inst: Inst| matches!(func.inst(inst).op, Op::Call { .. });
    let right = |inst: Inst| is(func, &func.inst(inst).op) && (matters(inst) || has_effect(inst));
    func.block_ids().find_map(|block| {
        let at = func.block(block).insts.iter().position(|&inst| right(inst))?;
        Some((block, at, func.block(block).insts[at]))
    })
}

fn submit(func: &Func) -> Option<(Block, usize, Inst)> {
    find(func, |_, op| matches!(op, Op::Call { helper: Helper::RingbufSubmit, .. }))
}

fn returning(func: &Func) -> Option<Block> {
    func.block_ids().find(|&block| matches!(func.block(block).terminator, Terminator::Return(_)))
}

fn edit_target(func: &mut Func, edit: fn(&mut Vec<Value>)) {
    for block in &mut func.blocks {
        match &mut block.terminator {
            Terminator::Jump(_, args) => return edit(args),
            Terminator::Branch { then, .. } => return edit(&mut then.1),
            Terminator::BranchNull { null, .. } => return edit(&mut null.1),
            Terminator::Return(_) | Terminator::None => {}
        }
    }
}

/// Plants all faults; the names of those that the function has a place for.
fn plant(func: &Func, behind: &str) -> BTreeSet<&'static str> {
    let mut planted = BTreeSet::new();
    for (name, fault) in FAULTS {
        let mut spoiled = func.clone();
        if fault(&mut spoiled).is_some() {
            assert!(verify(&spoiled).is_err(), "behind {behind}, {name}, and the verifier accepts\n{spoiled}");
            planted.insert(*name);
        }
    }
    planted
}

#[test]
fn faults_behind_each_pass_are_refused() {
    let mut funcs = SEEDS.map(|seed| parse(seed).expect("the text is well-formed"));
    for (name, pass) in SIMPLIFY.iter().chain(FINISH) {
        let mut planted = BTreeSet::new();
        for func in &mut funcs {
            pass(func, &mut Shape::default());
            verify(func).unwrap_or_else(|e| panic!("behind {name}: {e}\n{func}"));
            planted.extend(plant(func, name));
        }
        assert_eq!(planted.len(), FAULTS.len(), "behind {name}, only {planted:?}");
    }
}
