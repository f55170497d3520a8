//! The relocatable ELF object that libbpf, bpftool and this project load.
//!
//! What holds:
//! - Same [`ObjectInput`], same bytes.
//! - The layout is the one that clang and libbpf agree on: a section per program type, `.maps` with BTF-defined maps,
//!   data sections, `license`, `.BTF`, `.BTF.ext`; and `.bpfquery`, which loaders pass over.
//! - A reader of hostile bytes gives an error, never a panic.
//!
//! Not checked: what only the kernel knows (whether the program passes the verifier, whether a section's name is
//! one that the loader attaches).

mod input;

mod check;

mod btf;

mod write;

mod read;

pub use input::{CoreInput, DataInput, DataSection, MapInput, ObjectInput, ProgramInput, SourceText, Variable};
pub use read::{read_manifest, types_for_core};
pub use write::write;

/// The section with the manifest. It is not loaded into the kernel.
pub const MANIFEST_SECTION: &str = ".bpfquery";
