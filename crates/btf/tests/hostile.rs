//! Bytes that nobody's compiler made: no panic, no hang, and nothing that grows beyond a small multiple of the input.
//!
//! The mutations are the same in every run. Time is held loosely: what must not happen takes hours or for ever.

mod common;

use bpfquery_btf::{Btf, Builder, CoreTypes, Ext, Kind, NewMember, Tag, TypeId};
use std::time::{Duration, Instant};

/// xorshift64, from "Xorshift RNGs", G. Marsaglia, 2003.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    fn below(&mut self, n: usize) -> usize {
        (self.next() % n as u64) as usize
    }
}

/// Asks everything of every type.
fn exercise(btf: &Btf) -> usize {
    let mut work = 0;
    for id in btf.ids().chain([TypeId(u32::MAX), TypeId::VOID]) {
        work += format!("{:?}", btf.kind(id)).len() + btf.name(id).len() + btf.c_type(id).len();
        work += btf.size_of(id).unwrap_or(0) as usize % 7 + btf.pointer(id).iter().count();
        work += btf.proto_of(id).map_or(0, |p| p.params.len());
        let fields = btf.fields(id);
        let mut core = CoreTypes::new(btf);
        core.whole(id);
        let _ = core.enumerator(id, 1);
        for field in fields.iter().take(8) {
            work += btf.field(id, field.name).iter().count() + btf.field_at(id, &field.path).iter().count();
            if let Some(load) = field.bits.and_then(|bits| bits.load(4)) {
                work += load.size as usize;
            }
            let mut path = field.path.clone();
            work += core.field(id, &path).is_ok() as usize;
            path.push(1);
            work += core.field(id, &path).is_ok() as usize;
        }
        let mut builder = Builder::new();
        if let (Ok(specs), Ok(bytes)) = (core.finish(&mut builder), builder.finish()) {
            work += specs.len();
            Btf::parse(bytes).expect("what is written can be read");
        }
    }
    work + btf.functions().count() + btf.find(Tag::Struct, "task").iter().count()
}

#[test]
fn mutated_types() {
    let (good, _) = common::sample();
    let mut random = Random(0x5eed);
    let (mut parsed, mut work) = (0, 0);
    for _ in 0..10_000 {
        let mut bytes = good.clone();
        for _ in 0..1 + random.below(4) {
            mutate(&mut bytes, &mut random);
        }
        if let Ok(btf) = Btf::parse(bytes) {
            parsed += 1;
            work += exercise(&btf);
        }
    }
    // The mutations are of use only if many get past the header.
    assert!(parsed > 2_500 && work > 50_000, "{parsed} of 10000 were read, {work} answers");
}

#[test]
fn mutated_ext() {
    let (_, good) = common::sample();
    let mut random = Random(0xbeef);
    let mut parsed = 0;
    for _ in 0..20_000 {
        let mut bytes = good.clone();
        mutate(&mut bytes, &mut random);
        parsed += usize::from(Ext::read(&bytes).is_ok());
    }
    assert!((1_000..20_000).contains(&parsed), "{parsed} of 20000 were read");
}

#[test]
fn every_prefix() {
    let (types, ext) = common::sample();
    for len in 0..types.len() {
        assert!(Btf::parse(types[..len].to_vec()).is_err(), "the first {len} bytes are not a whole section");
    }
    for len in 0..ext.len() {
        assert!(Ext::read(&ext[..len]).is_err(), "the first {len} bytes are not a whole section");
    }
}

fn mutate(bytes: &mut Vec<u8>, random: &mut Random) {
    let at = random.below(bytes.len());
    match random.below(8) {
        0 => bytes[at] = 0xff,
        1 => bytes[at] ^= 1 << random.below(8),
        2 => bytes[at] = random.next() as u8,
        3 => bytes.truncate(at.max(1)),
        // Aligned words are ids, offsets, counts and kinds: small ones are the most interesting.
        4 | 5 => word(bytes, at, random.below(64) as u32),
        6 => word(bytes, at, random.next() as u32),
        _ => word(bytes, at, (random.below(24) as u32) << 24 | random.below(4) as u32),
    }
}

fn word(bytes: &mut [u8], at: usize, value: u32) {
    if let Some(place) = bytes.get_mut(at / 4 * 4..at / 4 * 4 + 4) {
        place.copy_from_slice(&value.to_le_bytes());
    }
}

/// Builds BTF with a builder, and asks everything of it within a second or two.
fn bounded(name: &str, build: impl FnOnce(&mut Builder)) -> Btf {
    let mut builder = Builder::new();
    build(&mut builder);
    let btf = Btf::parse(builder.finish().expect("within limits")).expect("well-formed");
    let start = Instant::now();
    exercise(&btf);
    assert!(start.elapsed() < Duration::from_secs(60), "{name} took {:?}", start.elapsed());
    btf
}

#[test]
fn cycles() {
    let btf = bounded("typedef of itself", |b| {
        b.typedef("t", TypeId(1));
    });
    assert_eq!((btf.skip(TypeId(1)), btf.size_of(TypeId(1))), (TypeId::VOID, None));
    bounded("array of itself", |b| {
        b.ptr(TypeId::VOID);
        b.array(TypeId(3), 2);
    });
    let btf = bounded("struct that contains itself", |b| {
        b.structure("s", 4, &[NewMember::new("s", TypeId(1), 0), NewMember::new("", TypeId(1), 0)]);
    });
    let mut core = CoreTypes::new(&btf);
    core.field(TypeId(1), &[0, 0, 0]).expect("the path itself is finite");
    assert!(core.finish(&mut Builder::new()).is_err(), "no type can contain itself");
    bounded("pointer to itself", |b| {
        b.ptr(TypeId(1));
    });
}

/// Anonymous structs that hold the next one twice have 2^60 members.
#[test]
fn doubling() {
    bounded("doubling", |b| {
        for n in 1..60 {
            b.structure("", 4, &[NewMember::new("", TypeId(n + 1), 0), NewMember::new("", TypeId(n + 1), 0)]);
        }
        b.structure("", 4, &[NewMember::new("x", TypeId::VOID, 0)]);
    });
}

/// A chain that is deeper than any stack.
#[test]
fn deep() {
    let mut builder = Builder::new();
    let mut last = builder.plain_int(4, true);
    for _ in 0..100_000 {
        last = builder.array(last, 1);
    }
    let btf = Btf::parse(builder.finish().expect("within limits")).expect("well-formed");
    assert_eq!(btf.size_of(last), None);
    assert!(btf.c_type(last).len() < 1000);
    let mut core = CoreTypes::new(&btf);
    core.whole(last);
    assert!(core.finish(&mut Builder::new()).is_err());
}

/// Ids and strings that do not exist are found when the section is read.
#[test]
fn dangling() {
    for (bytes, expect) in [
        (one_type([0, 2 << 24, 7]), "BTF mentions type 7, and has only 2 of them"),
        (one_type([9, 2 << 24, 0]), "BTF mentions the string at 9, and its strings end at 1"),
        (
            one_type([0, 31 << 24, 0]),
            "BTF type number 1 (kind 31) is unknown or goes beyond the end of the type section",
        ),
        (
            one_type([0, 4 << 24 | 1, 0]),
            "BTF type number 1 (kind 4) is unknown or goes beyond the end of the type section",
        ),
        (b"\xeb\x9f\x01\x00".to_vec(), "big-endian BTF is not supported"),
        (b"\x7fELF".to_vec(), "this is not BTF: no magic number, or too short"),
        (Vec::new(), "this is not BTF: no magic number, or too short"),
    ] {
        assert_eq!(Btf::parse(bytes).expect_err(expect).message, expect);
    }
}

/// A section of one type of three words.
fn one_type(words: [u32; 3]) -> Vec<u8> {
    let header = [0x0001_eb9f, 24, 0, 12, 12, 1];
    let mut bytes: Vec<u8> = header.iter().chain(&words).flat_map(|w| w.to_le_bytes()).collect();
    bytes.push(0);
    bytes
}

/// A kind that this code does not know is stepped over where the section describes it (Linux 7.2), and is no data.
#[test]
fn unknown_kind_with_layout() {
    let mut layout = vec![[0_u8; 4]; 31];
    layout.push([4, 8, 0, 0]); // Kind 31: one word, and two for each element.
    let types = [0, 31 << 24 | 2, 0, 1, 2, 3, 4, 5, 0, 2 << 24, 1];
    let (types_len, layout_len) = (types.len() as u32 * 4, layout.len() as u32 * 4);
    let header = [0x0001_eb9f, 32, 0, types_len, types_len + layout_len, 1, types_len, layout_len];
    let mut bytes: Vec<u8> = header.iter().chain(&types).flat_map(|w| w.to_le_bytes()).collect();
    bytes.extend(layout.concat());
    bytes.push(0);
    let btf = Btf::parse(bytes).expect("the layout tells the size");
    assert_eq!(btf.next_id(), 3);
    assert!(matches!(btf.kind(TypeId(1)), Kind::Unknown(31)));
    assert!(matches!(btf.kind(TypeId(2)), Kind::Ptr(TypeId(1))));
}
