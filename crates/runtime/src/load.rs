//! From an object's bytes to programs and maps in the kernel.
//!
//! What must hold: `.rodata` is set before loading, because loading freezes it; an error leaves nothing behind.

use crate::refusal::load_failure;
use crate::session::Options;
use crate::validate::validate;
use crate::{clock, messages};
use bpfquery_catalog::{Feature, Identity, Kernel, require, verify_check};
use bpfquery_diag::{Failure, Result, Unsupported};
use bpfquery_object::manifest::{GROUPS, param_bytes};
use bpfquery_object::{Manifest, elf};
use bpfquery_plan::Datum;
use libbpf_rs::{AsRawLibbpf, MapType, Object, ObjectBuilder, OpenObject};
use nix::sys::memfd::{MFdFlags, memfd_create};
use std::fs::File;
use std::io::Write;
use std::os::fd::AsRawFd;
use std::path::Path;

/// What libbpf puts before the names of data sections: as long as the kernel's 15 characters allow.
const NAME: &str = "bpfquery";

/// A loaded object.
pub(crate) struct Loaded {
    pub(crate) object: Object,
    /// CLOCK_REALTIME minus CLOCK_MONOTONIC in ns, the one that the programs know.
    pub(crate) wall_offset: i64,
}

/// What an object says of itself.
pub(crate) fn manifest(bytes: &[u8]) -> Result<Manifest> {
    let section = elf::read_manifest(bytes)?;
    Manifest::from_bytes(&section).map_err(|error| Failure::io("run this object", error))
}

/// Refuses what this kernel cannot run, or would run wrongly.
pub(crate) fn check(manifest: &Manifest, kernel: &dyn Kernel, compiled_here: bool) -> Result<()> {
    let identity = kernel.identity();
    if manifest.arch != identity.arch {
        return Err(Unsupported::new(format!("an object for {}", manifest.arch))
            .detail(format!("this machine is {}", identity.arch))
            .help("compile the query for this machine")
            .into());
    }
    for program in &manifest.programs {
        require(identity, &program.hook).or_else(|_| require(&proven(identity), &program.hook))?;
    }
    if compiled_here {
        return Ok(());
    }
    let mut wrong: Vec<String> = manifest.checks.iter().filter_map(|check| verify_check(check, kernel).err()).collect();
    wrong.dedup();
    if wrong.is_empty() {
        return Ok(());
    }
    let mut refusal = Unsupported::new(format!(
        "this object on {}: compiled for {}, it would read wrong values",
        identity.release, manifest.target
    ));
    refusal.details = wrong;
    Err(refusal.help("compile the query on this machine").into())
}

/// The identity with trampolines only if they work, so that a refusal suggests nothing that would be refused too.
fn proven(identity: &Identity) -> Identity {
    let mut proven = identity.clone();
    if !crate::doctor::trampolines_work() {
        proven.features.remove(&Feature::Trampoline);
    }
    proven
}

/// Opens, sets `.rodata`, loads.
pub(crate) fn load(bytes: &[u8], manifest: &Manifest, options: &Options, kernel: &dyn Kernel) -> Result<Loaded> {
    let refused = |what: String| Failure::io("run this object", what);
    let types = if options.compiled_here { types_file(bytes) } else { None };
    let mut builder = ObjectBuilder::default();
    if let Some(file) = &types {
        // It only fails on a NUL in the path.
        let _ = builder.btf_custom_path(format!("/proc/self/fd/{}", file.as_raw_fd()));
    }
    let named = builder.name(NAME).and_then(|builder| builder.open_memory(bytes));
    let mut open = named.map_err(|error| {
        let said = messages::take();
        refused(said.last().map_or_else(|| error.to_string(), |said| said.trim().to_string()))
    })?;
    validate(&open, manifest).map_err(refused)?;
    let wall_offset = clock::wall_offset_ns();
    set_constants(&mut open, manifest, &options.params, wall_offset).map_err(refused)?;
    if let Some(most) = options.max_groups {
        set_groups(&mut open, most).map_err(refused)?;
    }
    messages::take();
    // SAFETY: `open` is an opened object, and this is its only use while the call lasts.
    let ret = unsafe { libbpf_sys::bpf_object__load(open.as_libbpf_object().as_ptr()) };
    if ret < 0 {
        return Err(load_failure(-ret, &messages::take(), manifest, kernel));
    }
    // SAFETY: the object is loaded, and `open` gives it up.
    let object = unsafe { Object::from_ptr(open.take_ptr()) };
    Ok(Loaded { object, wall_offset })
}

/// Makes room for so many groups, if they are in a hash.
fn set_groups(open: &mut OpenObject, most: u32) -> std::result::Result<(), String> {
    let hash = |map: &libbpf_rs::OpenMapMut<'_>| {
        map.name() == GROUPS && matches!(map.map_type(), MapType::PercpuHash | MapType::Hash)
    };
    match open.maps_mut().find(hash) {
        Some(mut map) => map.set_max_entries(most).map_err(|error| format!("{most} groups: {error}")),
        None => Ok(()),
    }
}

/// The object's own types as a file, from which libbpf takes the places of members. They are the kernel's: the object was
/// compiled for it, by what it says of itself. Reading all of the kernel's types takes libbpf 7 ms and 11 MB. `None` where it
/// reads none, or there is no such file to be had.
fn types_file(bytes: &[u8]) -> Option<File> {
    let types = elf::types_for_core(bytes)?;
    let mut file = File::from(memfd_create(c"bpfquery-types", MFdFlags::MFD_CLOEXEC).ok()?);
    file.write_all(types).ok()?;
    Path::new("/proc/self/fd").exists().then_some(file)
}

fn set_constants(
    open: &mut OpenObject,
    manifest: &Manifest,
    params: &[Datum],
    wall_offset: i64,
) -> std::result::Result<(), String> {
    if params.len() != manifest.params.len() {
        return Err(format!(
            "the query has {} parameters, and {} values are given",
            manifest.params.len(),
            params.len()
        ));
    }
    let mut constants: Vec<(u32, Vec<u8>)> = Vec::new();
    for (parameter, value) in manifest.params.iter().zip(params) {
        if let Some(offset) = parameter.offset {
            let bytes =
                param_bytes(parameter, value).map_err(|error| format!("parameter {}: {error}", parameter.name))?;
            constants.push((offset, bytes));
        }
    }
    let start = clock::monotonic_ns();
    constants.extend(manifest.start_ns.map(|offset| (offset, start.to_le_bytes().to_vec())));
    constants.extend(manifest.wall_offset.map(|offset| (offset, wall_offset.to_le_bytes().to_vec())));
    // A section that nothing refers to is not in the object; then nobody misses what would stand there.
    let Some(mut section) = open.maps_mut().find(|map| map.name().to_string_lossy().ends_with(".rodata")) else {
        return Ok(());
    };
    let data = section.initial_value_mut().ok_or("its .rodata has no bytes")?;
    for (offset, bytes) in constants {
        let place = data.get_mut(offset as usize..).and_then(|rest| rest.get_mut(..bytes.len()));
        place.ok_or("the manifest has a constant outside of .rodata")?.copy_from_slice(&bytes);
    }
    Ok(())
}
