//! Whole programs: labels, positions, maps, printing, and each error of the assembler.

use bpfquery_isa::*;

const R0: Reg = Reg::R0;
const R1: Reg = Reg::R1;
const R2: Reg = Reg::R2;
const R10: Reg = Reg::R10;

/// Counts read-only opens: the example of the design's case file.
fn example() -> Program {
    let (done, groups) = (Label(2), MapRef(0));
    let mut p = Program::new();
    p.emit(load(Size::W, R1, R1, 32)).span((41, 54)).comment("WHERE flags & 3 = 0");
    p.emit(alu64(AluOp::And, R1, 3)).span((41, 54));
    p.emit(jump_if64(Cond::Ne, R1, 0, done)).span((41, 54));
    p.emit(store_imm(Size::W, R10, -4, 0)).span((7, 15)).comment("count(*)");
    p.emit(mov64(R2, R10));
    p.emit(alu64(AluOp::Add, R2, -4));
    p.emit(load_map(R1, groups));
    p.emit(call(Helper::MapLookupElem));
    p.emit(jump_if64(Cond::Eq, R0, 0, done));
    p.emit(mov64(R1, 1));
    p.emit(atomic(AtomicOp::Add, Width::W64, R0, 0, R1)).core(CoreRef(5));
    p.label(done);
    p.emit(mov64(R0, 0));
    p.emit(exit());
    p
}

#[test]
fn prints_labels_names_and_comments() {
    let text = example().display(&|map| (map == MapRef(0)).then_some("groups")).numbered().to_string();
    let expect = "                                ; WHERE flags & 3 = 0
   0: r1 = *(u32 *)(r1 +32)
   1: r1 &= 3
   2: if r1 != 0 goto b2
                                ; count(*)
   3: *(u32 *)(r10 -4) = 0
   4: r2 = r10
   5: r2 += -4
   6: r1 = map[groups] ll
   8: call bpf_map_lookup_elem
   9: if r0 == 0 goto b2
  10: r1 = 1
  11: lock *(u64 *)(r0 +0) += r1
b2:
  12: r0 = 0
  13: exit
";
    assert_eq!(text, expect);
    assert!(example().to_string().contains("\n  r1 = map[m0] ll\n  call bpf_map_lookup_elem\n"));
}

#[test]
fn assembles_positions_relocations_and_jumps() {
    let assembled = assemble(&example(), 1).unwrap();
    assert_eq!(assembled.insn_count, 14);
    assert_eq!(assembled.code.len(), 14 * 8);
    assert_eq!(example().slots(), 14);
    assert_eq!(assembled.lines, [(Slot(0), (41, 54)), (Slot(3), (7, 15))]);
    assert_eq!(assembled.relocs, [Reloc { slot: Slot(6), map: MapRef(0), kind: RelocKind::Map }]);
    assert_eq!(assembled.cores, [(Slot(11), CoreRef(5))]);
    let decoded = decode_with(&assembled.code, &assembled.relocs).unwrap();
    assert_eq!(decoded[2].1, jump_if64(Cond::Ne, R1, 0, Label(12)));
}

#[test]
fn refuses_what_cannot_be_assembled() {
    let refused = |items: Vec<Item>| assemble(&Program { items }, 1).unwrap_err();
    let insn = |insn| Item::Insn(Line { insn, span: None, comment: None, core: None, purpose: Default::default() });
    let (label, to) = (Item::Label(Label(1)), Label(1));
    assert_eq!(refused(vec![]), AsmError::FallsOffEnd);
    assert_eq!(refused(vec![insn(mov64(R0, 0))]), AsmError::FallsOffEnd);
    assert_eq!(refused(vec![insn(exit()), label.clone()]), AsmError::FallsOffEnd);
    assert_eq!(refused(vec![insn(jump(to))]), AsmError::UndefinedLabel(to));
    assert_eq!(refused(vec![label.clone(), label.clone(), insn(exit())]), AsmError::DuplicateLabel(to));
    assert_eq!(refused(vec![insn(load_map(R1, MapRef(1))), insn(exit())]), AsmError::UnknownMap(MapRef(1)));
    for (bad, why) in [
        (mov64(R10, 0), Invalid::WritesFramePointer),
        (load(Size::B, R10, R1, 0), Invalid::WritesFramePointer),
        (exchange(Width::W64, R1, 0, R10), Invalid::WritesFramePointer),
        (alu64(AluOp::Lsh, R1, 64), Invalid::ShiftTooFar(64)),
        (alu32(AluOp::Arsh, R1, 32), Invalid::ShiftTooFar(32)),
        (alu32(AluOp::Rsh, R1, -1), Invalid::ShiftTooFar(-1)),
        (alu64(AluOp::Div, R1, 0), Invalid::DivisionByZero),
        (alu32(AluOp::SMod, R1, 0), Invalid::DivisionByZero),
    ] {
        assert_eq!(refused(vec![insn(exit()), insn(bad), insn(exit())]), AsmError::Invalid(Slot(1), why), "{bad}");
    }
    assert!(
        assemble(&[alu64(AluOp::Lsh, R1, 63), store(Size::DW, R1, 0, R10), exit()].into_iter().collect(), 0).is_ok()
    );
}

#[test]
fn jumps_reach_32767_slots_and_no_further() {
    let jump_over = |fillers: usize, backwards: bool| {
        let mut p = Program::new();
        let label = |p: &mut Program, here: bool| {
            if here {
                p.label(Label(0))
            }
        };
        label(&mut p, backwards);
        if !backwards {
            p.emit(jump_if64(Cond::Eq, R1, 0, Label(0)));
        }
        (0..fillers).for_each(|_| _ = p.emit(mov64(R0, 0)));
        label(&mut p, !backwards);
        p.emit(if backwards { jump(Label(0)) } else { exit() });
        assemble(&p, 0).map(|assembled| decode(&assembled.code).unwrap().len())
    };
    assert_eq!(jump_over(32767, false), Ok(32769));
    assert_eq!(jump_over(32768, false), Err(AsmError::TooFar { from: Slot(0), to: Label(0) }));
    assert_eq!(jump_over(32767, true), Ok(32768));
    assert_eq!(jump_over(32768, true), Err(AsmError::TooFar { from: Slot(32768), to: Label(0) }));
}

#[test]
fn comparisons_negate_and_swap_as_arithmetic_says() {
    let holds = |cond: Cond, a: i64, b: i64| {
        let (ua, ub) = (a as u64, b as u64);
        match cond {
            Cond::Eq => a == b,
            Cond::Ne => a != b,
            Cond::Ugt => ua > ub,
            Cond::Uge => ua >= ub,
            Cond::Ult => ua < ub,
            Cond::Ule => ua <= ub,
            Cond::Sgt => a > b,
            Cond::Sge => a >= b,
            Cond::Slt => a < b,
            Cond::Sle => a <= b,
            Cond::Set => a & b != 0,
        }
    };
    let values = [0, 1, 2, -1, i64::MIN, i64::MAX];
    for cond in Cond::ALL {
        assert_eq!(cond.negate().is_none(), cond == Cond::Set);
        for (a, b) in values.into_iter().flat_map(|a| values.map(|b| (a, b))) {
            assert_eq!(holds(cond.swap(), b, a), holds(cond, a, b), "{cond:?} {a} {b}");
            if let Some(negated) = cond.negate() {
                assert_eq!(holds(negated, a, b), !holds(cond, a, b), "{cond:?} {a} {b}");
            }
        }
    }
}

/// Ids and names against the C header that is installed with the compiler's kernel headers.
#[test]
fn helpers_are_those_of_the_kernel_header() {
    let path = "/usr/include/linux/bpf.h";
    let header = std::fs::read_to_string(path).unwrap_or_else(|error| panic!("{path}: {error}"));
    // Up to 5.19 the list is `FN(name),` from id 0 on; later headers write `FN(name, id, …)`.
    let names: Vec<(u32, String)> = header
        .lines()
        .filter_map(|line| line.trim().strip_prefix("FN(")?.split([',', ')']).next().map(str::trim))
        .zip(0..)
        .map(|(name, id)| (id, format!("bpf_{name}")))
        .collect();
    assert!(names.len() > 200, "{path} lists {} helpers", names.len());
    for helper in Helper::ALL {
        assert_eq!(Helper::from_id(helper.id()), Some(*helper));
        assert!(names.contains(&(helper.id(), helper.name().to_owned())), "{helper:?}");
        let prototype = format!("{}(", helper.name());
        let documented =
            header.lines().find(|line| line.starts_with(" * ") && line.ends_with(')') && line.contains(&prototype));
        let line = documented.unwrap_or_else(|| panic!("{path} does not document {helper:?}"));
        let list = line.split_once('(').map_or("", |(_, rest)| rest.trim_end_matches(')'));
        let args = if list == "void" { 0 } else { list.split(',').count() };
        // trace_printk's `...` stands for three arguments.
        let args = if list.contains("...") { 5 } else { args };
        assert_eq!(usize::from(helper.args()), args, "{line}");
    }
    assert_eq!(Helper::from_id(0), None);
    assert!(Helper::ALL.windows(2).all(|pair| pair[0].id() < pair[1].id()));
}
