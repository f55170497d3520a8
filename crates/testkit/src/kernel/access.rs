//! Random access paths on the running kernel: each query of them compiles and is loaded, for this kernel and portable. Nothing is
//! attached.
//!
//! A portable object may refuse a struct of whose name the kernel has several; that path is loaded for this kernel alone.

use super::Verdict;
use crate::access::{Roots, sql};
use bpfquery::{Options, Target, compile};
use bpfquery_catalog::Kernel;
use bpfquery_diag::{Failure, render};
use bpfquery_host::Live;
use libbpf_rs::ObjectBuilder;
use nix::sys::memfd::{MFdFlags, memfd_create};
use std::fs::File;
use std::io::Write;
use std::os::fd::AsRawFd;

/// Queries in a run of the cases; each has some two dozen paths.
pub(crate) const SEEDS: std::ops::Range<u64> = 0..8;

/// Loads the queries of these seeds. All that are refused are told, each path by itself.
pub(crate) fn run(kernel: &Live, seeds: std::ops::Range<u64>) -> Verdict {
    let btf = match kernel.btf() {
        Ok(btf) => btf,
        Err(failure) => return Verdict::Failed(render(&failure, "")),
    };
    let roots = Roots::of(&btf);
    let mut wrong = Vec::new();
    for seed in seeds {
        let paths = roots.query(seed);
        let target = if seed.is_multiple_of(4) { Target::This } else { Target::Portable };
        if load(&paths, kernel, target).is_err() {
            let each = paths.iter().map(|path| load(std::slice::from_ref(path), kernel, target));
            let refused: Vec<String> = each.filter_map(Result::err).collect();
            let together = || vec![format!("only together: {}", sql(&paths))];
            let several = load(&paths, kernel, Target::This).is_err();
            let refused = if refused.is_empty() && several { together() } else { refused };
            wrong.extend(refused.into_iter().map(|why| format!("seed {seed}, {target:?}: {why}")));
        }
    }
    if wrong.is_empty() { Verdict::Passed } else { Verdict::Failed(wrong.join("\n")) }
}

fn load(paths: &[String], kernel: &Live, target: Target) -> Result<(), String> {
    let sql = sql(paths);
    let compiled = match compile(&sql, kernel, Options { target, ..Options::default() }) {
        Err(Failure::Kernel(_)) if target == Target::Portable && paths.len() == 1 => {
            return load(paths, kernel, Target::This);
        }
        done => done.map_err(|why| render(&why, &sql))?,
    };
    let mut builder = ObjectBuilder::default();
    let types = types_file(&compiled.object).filter(|_| target == Target::This);
    if let Some(file) = &types {
        builder.btf_custom_path(format!("/proc/self/fd/{}", file.as_raw_fd())).map_err(|error| format!("{error:?}"))?;
    }
    let open = builder.open_memory(&compiled.object).map_err(|error| format!("{error:?}"))?;
    super::libbpf::load(open).map(drop).map_err(|why| format!("{sql}\n{why}"))
}

/// The object's own types, by which `run` has an object relocated that was just compiled.
fn types_file(object: &[u8]) -> Option<File> {
    let mut file = File::from(memfd_create(c"types", MFdFlags::MFD_CLOEXEC).ok()?);
    file.write_all(bpfquery_object::elf::types_for_core(object)?).ok()?;
    Some(file)
}
