//! What compiling may know of a kernel.

use bpfquery_btf::Btf;
use bpfquery_diag::Result;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::sync::Arc;

/// A kernel as the compiler sees it: a snapshot file, or the running kernel looked into lazily. Everything that is
/// not asked for is not read.
pub trait Kernel {
    /// Facts that cost nothing to know.
    fn identity(&self) -> &Identity;
    /// The text of `events/CATEGORY/EVENT/format`; `None` when there is no such event.
    fn format(&self, category: &str, event: &str) -> Result<Option<String>>;
    /// Every event as (category, event), sorted.
    fn events(&self) -> Result<Vec<(String, String)>>;
    /// The categories that have an event of this name, sorted.
    fn categories_of(&self, event: &str) -> Result<Vec<String>>;
    /// vmlinux's BTF.
    fn btf(&self) -> Result<Arc<Btf>>;
    /// A module's BTF, based on vmlinux's; `None` when it is not loaded or has none.
    fn module_btf(&self, module: &str) -> Result<Option<Arc<Btf>>>;
    /// The loaded modules that have BTF, sorted.
    fn modules(&self) -> Result<Vec<String>>;
    /// Whether kprobes can be put on this function: `None` when that is not known (a snapshot taken without rights).
    fn traceable(&self, function: &str) -> Result<Option<bool>>;
    /// Whether a function of this name is in the running kernel's symbols: `None` when that is not known, as in a snapshot.
    fn exists(&self, function: &str) -> Result<Option<bool>> {
        let _ = function;
        Ok(None)
    }
    /// Whether kprobes are refused at this function, though it can be traced otherwise (kernel/kprobes.c calls it blacklisted).
    fn refuses_kprobe(&self, function: &str) -> Result<bool> {
        let _ = function;
        Ok(false)
    }
    /// The names of functions that start so, as far as they can be traced or exist: `vfs_read.isra.0` for `vfs_read.`.
    fn functions_from(&self, start: &str) -> Result<Vec<String>> {
        let _ = start;
        Ok(Vec::new())
    }
    /// What `traceable` says where it costs nothing to know, as in a snapshot; the running kernel's list takes long to read.
    fn traceable_at_once(&self, function: &str) -> Option<bool> {
        let _ = function;
        None
    }
}

/// Which kernel it is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Identity {
    /// `uname -r`.
    pub release: String,
    /// `x86_64`.
    pub arch: String,
    /// Major, minor, patch.
    pub version: (u16, u16, u16),
    /// What it can do.
    pub features: BTreeSet<Feature>,
}

/// What kernels differ in, as far as this compiler cares.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Feature {
    /// kprobes and kretprobes can be attached.
    Kprobe,
    /// BTF trampolines: fentry and fexit.
    Trampoline,
    /// Perf tracepoints.
    Tracepoint,
    /// Raw tracepoints.
    RawTracepoint,
    /// The software clock of perf events.
    PerfClock,
    /// The BPF ring buffer (5.8).
    RingBuffer,
    /// Signed division and sign-extending loads, BPF ISA v4 (6.6).
    IsaV4,
    /// BTF of vmlinux at /sys/kernel/btf/vmlinux.
    Btf,
    /// `recursion_misses` of programs (5.12).
    RecursionMisses,
    /// Task storage for tracing programs (5.12, a10787e6d58c).
    TaskStorage,
}

impl Feature {
    /// All of them, in order.
    pub const ALL: [Feature; 10] = [
        Feature::Kprobe,
        Feature::Trampoline,
        Feature::Tracepoint,
        Feature::RawTracepoint,
        Feature::PerfClock,
        Feature::RingBuffer,
        Feature::IsaV4,
        Feature::Btf,
        Feature::RecursionMisses,
        Feature::TaskStorage,
    ];

    /// What people call it.
    pub fn title(self) -> &'static str {
        match self {
            Feature::Kprobe => "kprobes",
            Feature::Trampoline => "BTF trampolines (fentry, fexit)",
            Feature::Tracepoint => "tracepoints",
            Feature::RawTracepoint => "raw tracepoints",
            Feature::PerfClock => "the perf software clock",
            Feature::RingBuffer => "the BPF ring buffer",
            Feature::IsaV4 => "BPF instruction set v4",
            Feature::Btf => "BTF of the kernel",
            Feature::RecursionMisses => "counters of skipped programs",
            Feature::TaskStorage => "task storage for tracing programs",
        }
    }

    /// The first version of Linux that can have it, on x86-64; `None` for what a build may leave out at any version.
    pub fn since(self) -> Option<&'static str> {
        match self {
            Feature::Kprobe | Feature::Tracepoint | Feature::PerfClock => None,
            Feature::RawTracepoint => Some("4.17"),
            Feature::Btf => Some("5.4"),
            Feature::Trampoline => Some("5.5"),
            Feature::RingBuffer => Some("5.8"),
            Feature::RecursionMisses | Feature::TaskStorage => Some("5.12"),
            Feature::IsaV4 => Some("6.6"),
        }
    }
}
