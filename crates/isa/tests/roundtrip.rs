//! What is encoded, decodes to the same; what decodes, encodes to the same bytes; hostile bytes only give errors.

mod common;

use bpfquery_isa::*;

#[test]
fn every_form_survives_encode_and_decode() {
    let program = common::all_forms();
    let assembled = assemble(&program, 0).expect("every form is valid");
    let decoded = decode(&assembled.code).expect("what we encode, we decode");
    // A decoded label is a slot: 0 for the first label, the exit's for the last.
    let last = Label(assembled.insn_count - 1);
    let slot_of = |label| if label == Label(0) { Label(0) } else { last };
    let expected: Vec<Insn> = program
        .lines()
        .map(|line| match line.insn {
            Insn::Jump { target } => jump(slot_of(target)),
            Insn::JumpIf { width, cond, dst, src, target } => {
                Insn::JumpIf { width, cond, dst, src, target: slot_of(target) }
            }
            insn => insn,
        })
        .collect();
    assert_eq!(decoded.iter().map(|(_, insn)| *insn).collect::<Vec<_>>(), expected);
    assert_eq!(reassemble(&decoded, 0).code, assembled.code);
}

#[test]
fn different_forms_have_different_bytes_and_texts() {
    let forms = common::straight();
    let mut bytes: Vec<Vec<u8>> = forms.iter().map(encoded).collect();
    let mut texts: Vec<String> = forms.iter().map(Insn::to_string).collect();
    for list in [bytes.len(), texts.len()] {
        assert!(list > 1500, "the list of forms has shrunk to {list}");
    }
    bytes.sort();
    texts.sort();
    let (all_bytes, all_texts) = (bytes.len(), texts.len());
    bytes.dedup();
    texts.dedup();
    assert_eq!((bytes.len(), texts.len()), (all_bytes, all_texts));
}

#[test]
fn maps_come_back_through_their_relocations() {
    let map = MapRef(1);
    let program: Program = [load_map(Reg::R1, map), load_map_value(Reg::R2, map, 24), exit()].into_iter().collect();
    let assembled = assemble(&program, 2).unwrap();
    let decoded = decode_with(&assembled.code, &assembled.relocs).unwrap();
    assert_eq!(reassemble(&decoded, 2), assembled);
    assert_eq!(decoded[1], (Slot(2), load_map_value(Reg::R2, map, 24)));
    // Without them the same bytes are plain numbers.
    assert_eq!(decode(&assembled.code).unwrap()[1], (Slot(2), load_imm64(Reg::R2, 24)));
    // A relocation on something else is refused.
    let stray = [Reloc { slot: Slot(4), map, kind: RelocKind::Map }];
    assert_eq!(decode_with(&assembled.code, &stray), Err(DecodeError::BadReloc(Slot(4))));
    let wrong = [Reloc { slot: Slot(2), map, kind: RelocKind::MapValue { offset: 8 } }];
    assert_eq!(decode_with(&assembled.code, &wrong), Err(DecodeError::BadReloc(Slot(2))));
}

/// Every opcode with many values of the other fields, and two random streams of bytes.
#[test]
fn what_decodes_encodes_to_the_same_bytes() {
    let mut accepted = 0;
    let mut random = Xorshift(0x9e37_79b9_7f4a_7c15);
    for code in 0..=u8::MAX {
        for _ in 0..400 {
            accepted += u32::from(check(&slot(code, &mut random)));
        }
    }
    assert!(accepted > 1_000, "only {accepted} of the slots were instructions: the test tries too little");
    for length in 0..2000 {
        let bytes: Vec<u8> = (0..length).map(|_| random.next() as u8).collect();
        let _ = decode(&bytes);
    }
}

/// An instruction of that opcode; the other fields are mostly small, so that many are valid.
fn slot(code: u8, random: &mut Xorshift) -> [u8; 8] {
    let small = [0, 0, 0, 1, 8, 16, 32, 64, 255];
    let mut pick = || small[random.next() as usize % small.len()];
    [code, pick(), pick(), pick() & 1, pick(), 0, 0, 0]
}

/// Puts the slot between constants and an exit, so that jumps have somewhere to go.
fn check(slot: &[u8; 8]) -> bool {
    let filler: Program = (0..40).map(|_| mov64(Reg::R0, 0)).chain([exit()]).collect();
    let filler = assemble(&filler, 0).unwrap().code;
    let bytes = [slot.as_slice(), &filler].concat();
    let Ok(decoded) = decode(&bytes) else { return false };
    assert_eq!(reassemble(&decoded, 0).code, bytes, "{}", decoded[0].1);
    true
}

/// The program that decoded instructions are: a label before each.
fn reassemble(decoded: &[(Slot, Insn)], maps: usize) -> Assembled {
    let mut program = Program::new();
    for (slot, insn) in decoded {
        program.label(Label(slot.0));
        program.emit(*insn);
    }
    assemble(&program, maps).expect("what decodes is valid")
}

fn encoded(insn: &Insn) -> Vec<u8> {
    assemble(&[*insn, exit()].into_iter().collect(), 0).unwrap().code
}

/// A small generator, so that the test tries the same bytes every time.
struct Xorshift(u64);

impl Xorshift {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 >> 24
    }
}
