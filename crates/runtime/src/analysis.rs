//! What a run cost: time in programs, entries and memory of maps.
//!
//! What must hold: nobody's settings are changed. The kernel times programs as long as a descriptor of BPF_ENABLE_STATS is open
//! (since 5.8, d46edd671a14); it is closed with the session, however that ends.

use crate::memory::{MapMemory, kind, short};
use bpfquery_diag::{Failure, Result, Unsupported};
use bpfquery_object::Manifest;
use libbpf_rs::{MapCore, MapType, Object};
use nix::errno::Errno;
use std::os::fd::{AsFd, AsRawFd, FromRawFd, OwnedFd};

/// What a run cost, as the kernel counted it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Analysis {
    /// The programs, in the manifest's order.
    pub programs: Vec<ProgramCost>,
    /// The maps, in the object's order.
    pub maps: Vec<MapCost>,
}

/// What a program cost.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProgramCost {
    /// Its name.
    pub name: String,
    /// Where it is attached, as a relation's name.
    pub hook: String,
    /// How often it ran.
    pub runs: u64,
    /// Time in it, ns; the kernel's clock takes a part of it.
    pub ns: u64,
    /// Instructions behind the verifier.
    pub instructions: u32,
    /// Bytes of machine code; 0 where the kernel interprets.
    pub machine_code: u32,
    /// Instructions that the verifier walked through; 0 before 5.16.
    pub verified: u32,
}

/// What a map held in the end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MapCost {
    /// Name, kind, room; the bytes are those that the kernel says.
    pub map: MapMemory,
    /// Entries in use; `None` where all always are.
    pub entries: Option<u64>,
}

/// Has the kernel time every program until the descriptor is closed.
pub(crate) fn time_programs() -> Result<OwnedFd> {
    // SAFETY: there is no memory in it.
    let fd = unsafe { libbpf_sys::bpf_enable_stats(libbpf_sys::BPF_STATS_RUN_TIME) };
    match Errno::from_raw(-fd) {
        // SAFETY: the kernel has just made it, for nobody else.
        _ if fd >= 0 => Ok(unsafe { OwnedFd::from_raw_fd(fd) }),
        Errno::EPERM => Err(Unsupported::new("timing programs with these privileges")
            .detail("BPF_ENABLE_STATS asks for CAP_SYS_ADMIN")
            .help("run it as root")
            .into()),
        errno => Err(Failure::io("have the kernel time programs", errno)),
    }
}

/// Looks at programs that nothing runs any more, and at their maps.
pub(crate) fn of(object: &Object, manifest: &Manifest) -> Result<Analysis> {
    let hook = |name: &str| {
        let program = manifest.programs.iter().find(|program| program.name == name);
        program.map_or_else(String::new, |program| program.hook.to_string())
    };
    let programs = object.progs().map(|program| {
        let name = program.name().to_string_lossy().into_owned();
        program_cost(hook(&name), name, program.as_fd().as_raw_fd())
    });
    let programs = programs.collect::<Result<Vec<_>>>()?;
    let maps = object.maps().map(|map| map_cost(&map)).collect::<Result<Vec<_>>>()?;
    Ok(Analysis { programs, maps })
}

fn program_cost(hook: String, name: String, fd: i32) -> Result<ProgramCost> {
    let mut info = libbpf_sys::bpf_prog_info::default();
    let mut size = size_of_val(&info) as u32;
    // SAFETY: the structure is as large as is said; the kernel writes no more.
    let ret = unsafe { libbpf_sys::bpf_prog_get_info_by_fd(fd, &raw mut info, &raw mut size) };
    if ret < 0 {
        return Err(Failure::io("ask the kernel for a program's cost", Errno::from_raw(-ret)));
    }
    Ok(ProgramCost {
        name,
        hook,
        runs: info.run_cnt,
        ns: info.run_time_ns,
        instructions: info.xlated_prog_len / 8,
        machine_code: info.jited_prog_len,
        verified: info.verified_insns,
    })
}

fn map_cost(map: &libbpf_rs::MapImpl<'_>) -> Result<MapCost> {
    let fd = map.as_fd().as_raw_fd();
    let path = format!("/proc/self/fdinfo/{fd}");
    let text = std::fs::read_to_string(&path).map_err(|error| Failure::io(format!("read {path}"), error))?;
    let memlock = text.lines().find_map(|line| line.strip_prefix("memlock:"));
    let memory = MapMemory {
        name: short(&map.name().to_string_lossy()),
        kind: kind(map.map_type()),
        max_entries: map.max_entries(),
        bytes: memlock.and_then(|bytes| bytes.trim().parse().ok()).unwrap_or(0),
    };
    let counted = matches!(map.map_type(), MapType::Hash | MapType::PercpuHash);
    Ok(MapCost { map: memory, entries: counted.then(|| map.keys().count() as u64) })
}
