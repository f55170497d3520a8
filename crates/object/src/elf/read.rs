//! Finds the manifest and the types in an object that anybody may have made.

use super::MANIFEST_SECTION;
use bpfquery_btf::{CoreKind, Ext};
use bpfquery_diag::{Failure, Result};
use object::{Architecture, Object, ObjectSection};

/// The bytes of the section `.bpfquery`; what they mean, and whether they are sound, is the manifest's to say.
///
/// An error says what the file is instead: no ELF file, not for BPF, not one of ours, damaged.
pub fn read_manifest(bytes: &[u8]) -> Result<Vec<u8>> {
    let refused = |what: String| Failure::io("read the object", what);
    let file = object::File::parse(bytes).map_err(|error| refused(format!("this is not an ELF file: {error}")))?;
    if file.architecture() != Architecture::Bpf || !file.is_64() || !file.is_little_endian() {
        return Err(refused("this is not a little-endian BPF object".into()));
    }
    let section = file
        .section_by_name(MANIFEST_SECTION)
        .ok_or_else(|| refused(format!("it has no {MANIFEST_SECTION} section: bpfquery did not make it")))?;
    let data = section.data().map_err(|error| refused(format!("{MANIFEST_SECTION} is damaged: {error}")))?;
    Ok(data.to_vec())
}

/// The section `.BTF` of an object with CO-RE records, if a loader may look there instead of in the kernel's BTF: its structs
/// then have all members that the records name where they are on the kernel that it was compiled for. What asks whether
/// something exists needs the kernel's own answer.
pub fn types_for_core(bytes: &[u8]) -> Option<&[u8]> {
    let file = object::File::parse(bytes).ok()?;
    let section = |name| file.section_by_name(name)?.data().ok();
    let ext = Ext::read(section(".BTF.ext")?).ok()?;
    let mut records = ext.sections.iter().flat_map(|section| &section.relos).peekable();
    records.peek()?;
    let place = |kind| {
        matches!(
            kind,
            CoreKind::FieldByteOffset | CoreKind::FieldByteSize | CoreKind::FieldLshiftU64 | CoreKind::FieldRshiftU64
        )
    };
    if records.all(|record| place(record.kind)) { section(".BTF") } else { None }
}
