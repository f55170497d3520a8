//! The bytes of a snapshot file.
//!
//! A header (magic, version u32, number of sections u32), then that many sections to the file's end, each
//! `tag [u8; 4] · name length u16 · unpacked length u32 · packed length u32 · name · packed bytes`, all little-endian,
//! packed with zlib (whose checksum guards the contents). Sections stand in this order, each at most once but `MBTF`:
//!
//! | tag | name | unpacked |
//! |---|---|---|
//! | `IDNT` | | the identity as JSON |
//! | `FMTS` | | for each event, sorted: category, event (length u16 and bytes), format text (length u32 and bytes) |
//! | `VBTF` | | vmlinux's BTF; optional |
//! | `MBTF` | the module's, ascending | a module's BTF |
//! | `FUNC` | | names of traceable functions, sorted, each with a newline; optional |

use super::{Object, Snapshot};
use crate::kernel::Identity;
use std::collections::BTreeMap;

const MAGIC: [u8; 8] = *b"\x7fBPFQSNP";
const VERSION: u32 = 1;
/// The most a section may unpack to, in bytes; vmlinux's BTF has 5 to 10 MB.
const MAX_UNPACKED: u32 = 128 << 20;
/// zlib never packs tighter than 1032 to 1 (deflate's longest match), so what claims more is no packed data.
const MAX_RATIO: u64 = 1032;
/// Good enough: 9 takes three times as long for 2 % less.
const LEVEL: u8 = 6;

const IDENTITY: [u8; 4] = *b"IDNT";
const FORMATS: [u8; 4] = *b"FMTS";
const VMLINUX_BTF: [u8; 4] = *b"VBTF";
const MODULE_BTF: [u8; 4] = *b"MBTF";
const FUNCTIONS: [u8; 4] = *b"FUNC";

/// Packed bytes, and how many they unpack to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Packed {
    unpacked: u32,
    bytes: Vec<u8>,
}

impl Packed {
    /// Packs; what is larger than a section may be is cut, and then refused when it is unpacked.
    pub(super) fn pack(bytes: &[u8]) -> Packed {
        let unpacked = u32::try_from(bytes.len()).unwrap_or(u32::MAX);
        Packed { unpacked, bytes: miniz_oxide::deflate::compress_to_vec_zlib(bytes, LEVEL) }
    }

    pub(super) fn unpack(&self) -> Result<Vec<u8>, String> {
        if self.unpacked > MAX_UNPACKED || u64::from(self.unpacked) > MAX_RATIO * self.bytes.len() as u64 {
            return Err(format!("a section claims to unpack to {} bytes", self.unpacked));
        }
        let unpacked = miniz_oxide::inflate::decompress_to_vec_zlib_with_limit(&self.bytes, self.unpacked as usize)
            .map_err(|error| format!("a section does not unpack: {error}"))?;
        if unpacked.len() != self.unpacked as usize {
            return Err(format!("a section unpacks to {} bytes, not {}", unpacked.len(), self.unpacked));
        }
        Ok(unpacked)
    }
}

pub(super) fn write(snapshot: &Snapshot) -> Vec<u8> {
    // Serialising a struct of strings, numbers and unit variants cannot fail.
    let identity = Packed::pack(&serde_json::to_vec(&snapshot.identity).unwrap_or_default());
    let formats = Packed::pack(&formats_text(&snapshot.formats));
    let functions = snapshot.traceable.as_ref().map(|functions| {
        let lines: String = functions.iter().flat_map(|name| [name.as_str(), "\n"]).collect();
        Packed::pack(lines.as_bytes())
    });
    let mut sections = vec![(IDENTITY, "", &identity), (FORMATS, "", &formats)];
    sections.extend(snapshot.vmlinux.iter().map(|object| (VMLINUX_BTF, "", &object.packed)));
    sections.extend(snapshot.modules.iter().map(|(name, object)| (MODULE_BTF, name.as_str(), &object.packed)));
    sections.extend(functions.iter().map(|packed| (FUNCTIONS, "", packed)));
    let mut out = MAGIC.to_vec();
    out.extend(VERSION.to_le_bytes());
    out.extend((sections.len() as u32).to_le_bytes());
    for (tag, name, packed) in sections {
        section(&mut out, tag, name, packed);
    }
    out
}

fn section(out: &mut Vec<u8>, tag: [u8; 4], name: &str, packed: &Packed) {
    out.extend(tag);
    // Names of modules are at most 56 bytes (MODULE_NAME_LEN).
    out.extend((name.len() as u16).to_le_bytes());
    out.extend(packed.unpacked.to_le_bytes());
    out.extend((packed.bytes.len() as u32).to_le_bytes());
    out.extend(name.as_bytes());
    out.extend(&packed.bytes);
}

fn formats_text(formats: &BTreeMap<(String, String), String>) -> Vec<u8> {
    let mut out = Vec::new();
    for ((category, event), text) in formats {
        for name in [category, event] {
            out.extend((name.len() as u16).to_le_bytes());
            out.extend(name.as_bytes());
        }
        out.extend((text.len() as u32).to_le_bytes());
        out.extend(text.as_bytes());
    }
    out
}

pub(super) fn read(bytes: &[u8]) -> Result<Snapshot, String> {
    let mut input = Input { rest: bytes };
    if input.take(MAGIC.len()).ok() != Some(&MAGIC[..]) {
        return Err("it is not a snapshot of a kernel".to_string());
    }
    match input.u32()? {
        VERSION => {}
        other => return Err(format!("it has version {other}, and this program reads version {VERSION}")),
    }
    let mut snapshot: Option<Snapshot> = None;
    let mut last = (0, String::new());
    for _ in 0..input.u32()? {
        let (tag, name, packed) = input.section()?;
        let place = (rank(tag)?, name);
        if last >= place {
            return Err("its sections are out of order".to_string());
        }
        match (&mut snapshot, tag) {
            (slot @ None, IDENTITY) => *slot = Some(Snapshot::new(identity(&packed)?)),
            (None, _) => return Err("it does not say which kernel it is of".to_string()),
            (Some(snapshot), _) => fill(snapshot, tag, &place.1, packed)?,
        }
        last = place;
    }
    if !input.rest.is_empty() {
        return Err("it goes on behind its last section".to_string());
    }
    snapshot.ok_or_else(|| "it is empty".to_string())
}

/// The place of a section among the others.
fn rank(tag: [u8; 4]) -> Result<u8, String> {
    match tag {
        IDENTITY => Ok(1),
        FORMATS => Ok(2),
        VMLINUX_BTF => Ok(3),
        MODULE_BTF => Ok(4),
        FUNCTIONS => Ok(5),
        other => Err(format!("it has an unknown section {:?}", String::from_utf8_lossy(&other))),
    }
}

fn identity(packed: &Packed) -> Result<Identity, String> {
    serde_json::from_slice(&packed.unpack()?).map_err(|error| format!("the kernel's identity: {error}"))
}

fn fill(snapshot: &mut Snapshot, tag: [u8; 4], name: &str, packed: Packed) -> Result<(), String> {
    match tag {
        FORMATS => snapshot.formats = formats(&packed.unpack()?)?,
        VMLINUX_BTF => snapshot.vmlinux = Some(Object::new(packed)),
        MODULE_BTF => {
            snapshot.modules.insert(name.to_string(), Object::new(packed));
        }
        _ => {
            let text = String::from_utf8(packed.unpack()?).map_err(|_| "names of functions are not UTF-8")?;
            let names: Vec<String> = text.lines().map(str::to_string).collect();
            if !names.is_sorted() {
                return Err("the list of functions is not sorted".to_string());
            }
            snapshot.traceable = Some(names);
        }
    }
    Ok(())
}

fn formats(bytes: &[u8]) -> Result<BTreeMap<(String, String), String>, String> {
    let mut input = Input { rest: bytes };
    let mut formats = BTreeMap::new();
    while !input.rest.is_empty() {
        let category = input.name()?;
        let event = input.name()?;
        let len = input.u32()? as usize;
        let text = utf8(input.take(len)?)?;
        formats.insert((category, event), text);
    }
    Ok(formats)
}

/// What is left to read.
struct Input<'a> {
    rest: &'a [u8],
}

impl<'a> Input<'a> {
    fn take(&mut self, len: usize) -> Result<&'a [u8], String> {
        let (taken, rest) = self.rest.split_at_checked(len).ok_or("it ends in the middle of a section")?;
        self.rest = rest;
        Ok(taken)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], String> {
        let taken = self.take(N)?;
        // `take` gives exactly as many bytes as it was asked for.
        taken.try_into().map_err(|_| "it ends in the middle of a section".to_string())
    }

    fn u16(&mut self) -> Result<u16, String> {
        Ok(u16::from_le_bytes(self.array()?))
    }

    fn u32(&mut self) -> Result<u32, String> {
        Ok(u32::from_le_bytes(self.array()?))
    }

    fn name(&mut self) -> Result<String, String> {
        let len = usize::from(self.u16()?);
        utf8(self.take(len)?)
    }

    fn section(&mut self) -> Result<([u8; 4], String, Packed), String> {
        let tag = self.array()?;
        let name_len = usize::from(self.u16()?);
        let unpacked = self.u32()?;
        let packed_len = self.u32()? as usize;
        let name = utf8(self.take(name_len)?)?;
        let bytes = self.take(packed_len)?.to_vec();
        Ok((tag, name, Packed { unpacked, bytes }))
    }
}

fn utf8(bytes: &[u8]) -> Result<String, String> {
    String::from_utf8(bytes.to_vec()).map_err(|_| "a text in it is not UTF-8".to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernel::{Feature, Kernel};

    fn small() -> Snapshot {
        let identity = Identity {
            release: "6.1.0".into(),
            arch: "x86_64".into(),
            version: (6, 1, 0),
            features: [Feature::Kprobe, Feature::Btf].into(),
        };
        let mut btf = bpfquery_btf::Builder::new();
        let int = btf.plain_int(4, true);
        let proto = btf.func_proto(int, &[("x", int)]);
        btf.func("f", proto, bpfquery_btf::Linkage::Global);
        Snapshot::new(identity)
            .with_format("b", "y", "name: y")
            .with_format("a", "x", "")
            .with_btf(&btf.finish().expect("a small BTF"))
            .with_traceable(["g".to_string(), "f".to_string(), "f".to_string()])
    }

    #[test]
    fn bytes_come_back() {
        let bytes = small().to_bytes();
        let read = Snapshot::from_bytes(&bytes).expect("our own bytes");
        assert_eq!(read.to_bytes(), bytes);
        assert_eq!(read.identity(), small().identity());
        assert_eq!(read.format("b", "y"), Ok(Some("name: y".to_string())));
        assert_eq!(read.events(), Ok(vec![("a".into(), "x".into()), ("b".into(), "y".into())]));
        assert_eq!(read.traceable("f"), Ok(Some(true)));
        assert_eq!(read.traceable("h"), Ok(Some(false)));
        assert!(read.btf().expect("BTF").func_proto("f").is_some());
        assert!(read.module_btf("ext4").expect("no module").is_none());
    }

    #[test]
    fn every_cut_is_an_error_and_no_flipped_bit_a_panic() {
        let bytes = small().to_bytes();
        for len in 0..bytes.len() {
            assert!(Snapshot::from_bytes(&bytes[..len]).is_err(), "cut at {len}");
        }
        for at in 0..bytes.len() {
            for bit in 0..8 {
                let mut hostile = bytes.clone();
                hostile[at] ^= 1 << bit;
                if let Ok(snapshot) = Snapshot::from_bytes(&hostile) {
                    let _ = snapshot.btf();
                }
            }
        }
    }

    #[test]
    fn what_is_wrong_is_said() {
        let check = |bytes: &[u8], expect: &str| match read(bytes) {
            Ok(_) => panic!("read: {expect}"),
            Err(error) => assert!(error.contains(expect), "{error} / {expect}"),
        };
        let bytes = small().to_bytes();
        let changed = |at: usize, new: &[u8]| {
            let mut bytes = bytes.clone();
            bytes[at..at + new.len()].copy_from_slice(new);
            bytes
        };
        check(b"", "not a snapshot");
        check(b"\x7fELF\0\0\0\0\0\0\0\0\0\0\0", "not a snapshot");
        check(&bytes[..24], "middle");
        check(&changed(8, &[9]), "version 9");
        check(&changed(12, &[0]), "goes on behind");
        check(&changed(16, b"FMTS"), "does not say which kernel");
        check(&changed(16, b"XXXX"), "unknown section \"XXXX\"");
        check(&changed(22, &u32::MAX.to_le_bytes()), "claims to unpack");
        check(&changed(22, &1_u32.to_le_bytes()), "does not unpack");
        let mut empty = bytes[..16].to_vec();
        empty[12] = 0;
        check(&empty, "empty");
        let mut twice = bytes.clone();
        twice[12] *= 2;
        twice.extend(&bytes[16..]);
        check(&twice, "out of order");
    }
}
