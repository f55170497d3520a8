//! An object against its own manifest: nothing in it that the manifest does not explain.
//!
//! Checked before anything reaches the kernel. What the programs do is the verifier's to judge.

use bpfquery_object::manifest::{GROUPS, HELD, REST, ROWS, Tallies};
use bpfquery_object::{Manifest, section_name};
use bpfquery_plan::{Source, Store};
use libbpf_rs::{AsRawLibbpf, MapType, OpenMap, OpenObject};

/// The error is one sentence without a full stop.
pub(crate) fn validate(open: &OpenObject, manifest: &Manifest) -> Result<(), String> {
    programs(open, manifest)?;
    let mut rows = 0;
    let mut groups = 0;
    let mut rest = 0;
    for map in open.maps() {
        // SAFETY: the map belongs to `open`, which is alive; the path is only compared with NULL.
        if !unsafe { libbpf_sys::bpf_map__pin_path(map.as_libbpf_object().as_ptr()) }.is_null() {
            return Err(format!("its map \"{}\" wants to be pinned", map.name().to_string_lossy()));
        }
        match map.name().to_string_lossy().as_ref() {
            ROWS => {
                rows += 1;
                expect(map.map_type() == MapType::RingBuf, "its map of rows is no ring buffer")?;
            }
            GROUPS => {
                groups += 1;
                check_groups(&map, manifest, false)?;
            }
            REST => {
                rest += 1;
                check_groups(&map, manifest, true)?;
            }
            HELD => expect(
                matches!(map.map_type(), MapType::TaskStorage | MapType::Hash),
                "its map of held rows is of an unexpected kind",
            )?,
            name if name.ends_with(".bss") => check_counters(&map, manifest)?,
            name if name.ends_with(".rodata") || name.ends_with(".data") => {}
            _ => scratch(&map)?,
        }
    }
    match &manifest.user.source {
        Source::Listing { .. } => Err("it is one of information_schema, which needs no object".to_string()),
        Source::Rows { .. } => expect(rows == 1 && groups + rest == 0, "it has no map of rows"),
        Source::Groups { store, .. } => {
            let beside = matches!(store, Store::Slots { rest: Some(_), .. });
            expect(groups == 1 && rest == i32::from(beside) && rows == 0, "it has no map of groups")
        }
    }
}

fn expect(holds: bool, otherwise: &str) -> Result<(), String> {
    if holds { Ok(()) } else { Err(otherwise.to_string()) }
}

/// The programs are the manifest's, each where it says.
fn programs(open: &OpenObject, manifest: &Manifest) -> Result<(), String> {
    let found: Vec<_> = open.progs().collect();
    expect(found.len() == manifest.programs.len(), "it has other programs than its manifest says")?;
    for program in &manifest.programs {
        let known = found.iter().find(|found| *found.name() == *program.name);
        let known = known.ok_or_else(|| format!("it has no program \"{}\"", program.name))?;
        if *known.section() != *section_name(&program.hook) {
            return Err(format!("its program \"{}\" is not one for {}", program.name, program.hook));
        }
    }
    Ok(())
}

fn check_groups(map: &OpenMap<'_>, manifest: &Manifest, rest: bool) -> Result<(), String> {
    let Source::Groups { key, state, store, .. } = &manifest.user.source else {
        return Err("it has a map of groups for a plan of rows".to_string());
    };
    let key_ok = match store {
        Store::Slots { slots, .. } if !rest => {
            map.map_type() == MapType::PercpuArray && map.max_entries() == *slots && map.key_size() == 4
        }
        Store::Slots { .. } | Store::Hash { .. } => map.map_type() == MapType::PercpuHash && map.key_size() == key.size,
        Store::Shared { .. } => map.map_type() == MapType::Hash && map.key_size() == key.size,
    };
    expect(key_ok, "its map of groups has other keys than its manifest says")?;
    expect(map.value_size() == state.size, "its map of groups has other values than its manifest says")
}

fn check_counters(map: &OpenMap<'_>, manifest: &Manifest) -> Result<(), String> {
    let inside = |offset: u32| offset.checked_add(8).is_some_and(|end| end <= map.value_size());
    expect(
        manifest.counters.iter().all(|counter| inside(counter.offset)),
        "its manifest has a counter outside of .bss",
    )?;
    let within = |tallies: &Tallies| tallies.end().is_some_and(|end| end <= map.value_size());
    expect(manifest.tallies.as_ref().is_none_or(within), "its manifest has a tally outside of .bss")
}

/// Room for programs: arrays only, which hold nothing that outlives the run.
fn scratch(map: &OpenMap<'_>) -> Result<(), String> {
    match map.map_type() {
        MapType::Array | MapType::PercpuArray | MapType::Hash | MapType::PercpuHash => Ok(()),
        other => Err(format!("its map \"{}\" is of an unexpected kind: {other:?}", map.name().to_string_lossy())),
    }
}
