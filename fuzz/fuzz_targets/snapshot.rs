//! Any bytes as a snapshot: refused, or queries compile or are refused; never a panic, never a `bug:`.
//!
//! A file is packed, so hardly any change to one survives its checksum. An input that is no file is therefore read as what a
//! file unpacks to: the length of an event's format (u16), the format, and a BTF; in front of these, the number of a query.
#![no_main]

use bpfquery::{Options, compile};
use bpfquery_btf::Btf;
use bpfquery_catalog::{Feature, Identity, Kernel, Snapshot};
use bpfquery_diag::{Failure, Result};
use libfuzzer_sys::fuzz_target;
use std::sync::Arc;

const QUERIES: [&str; 8] = [
    "select * from sched_switch",
    "select str(args.filename), dfd from tracepoint.syscalls.sys_enter_openat",
    "select * from kprobe.vfs_open where path is not null",
    "select str(args.path -> dentry -> d_name.name), ppid from kprobe.vfs_open",
    "select hist(retval), sum(retval) from kretprobe.vfs_read where comm = 'dd' group by pid",
    "select ppid, prev_comm, count(*), max(prev_state) from tracepoint.sched.sched_switch group by 1, 2",
    "select * from rawtracepoint.sched_switch",
    "select * from fexit.vfs_read",
];

fuzz_target!(|bytes: &[u8]| {
    match Snapshot::from_bytes(bytes) {
        Ok(snapshot) => QUERIES.iter().for_each(|query| checked(query, &snapshot)),
        Err(_) => {
            if let Some((query, kernel)) = Unpacked::read(bytes) {
                checked(QUERIES[usize::from(query) % QUERIES.len()], &kernel);
            }
        }
    }
});

fn checked(query: &str, kernel: &dyn Kernel) {
    if let Err(Failure::Bug { pass, detail }) = compile(query, kernel, Options::default()) {
        panic!("bug: {pass}: {detail}: {query}");
    }
}

/// A kernel with one format, whatever event is asked for, and one BTF.
struct Unpacked {
    identity: Identity,
    format: String,
    btf: Option<Arc<Btf>>,
}

impl Unpacked {
    fn read(bytes: &[u8]) -> Option<(u8, Unpacked)> {
        let (query, bytes) = bytes.split_first()?;
        let (length, rest) = bytes.split_first_chunk::<2>()?;
        let (format, btf) = rest.split_at_checked(u16::from_le_bytes(*length).into())?;
        let kernel = Unpacked {
            identity: Identity {
                release: "6.12.0".to_string(),
                arch: "x86_64".to_string(),
                version: (6, 12, 0),
                features: Feature::ALL.into(),
            },
            format: String::from_utf8_lossy(format).into_owned(),
            btf: Btf::parse(btf.to_vec()).ok().map(Arc::new),
        };
        Some((*query, kernel))
    }
}

impl Kernel for Unpacked {
    fn identity(&self) -> &Identity {
        &self.identity
    }

    fn format(&self, _: &str, _: &str) -> Result<Option<String>> {
        Ok(Some(self.format.clone()))
    }

    fn events(&self) -> Result<Vec<(String, String)>> {
        Ok(vec![("sched".to_string(), "sched_switch".to_string())])
    }

    fn categories_of(&self, _: &str) -> Result<Vec<String>> {
        Ok(vec!["sched".to_string()])
    }

    fn btf(&self) -> Result<Arc<Btf>> {
        self.btf.clone().ok_or_else(|| Failure::io("read the BTF", "it is damaged"))
    }

    fn module_btf(&self, _: &str) -> Result<Option<Arc<Btf>>> {
        Ok(None)
    }

    fn modules(&self) -> Result<Vec<String>> {
        Ok(Vec::new())
    }

    fn traceable(&self, _: &str) -> Result<Option<bool>> {
        Ok(Some(true))
    }
}
