//! What the running kernel can do, found out by trying, as `bpfquery doctor` does.

use super::Skip;
use bpfquery_catalog::Hook;
use bpfquery_runtime::{Finding, State, probe_features};

/// The findings.
pub(crate) struct Features(Vec<Finding>);

impl Features {
    pub(crate) fn probe() -> Features {
        Features(probe_features())
    }

    /// A line for each finding.
    pub(crate) fn lines(&self) -> Vec<String> {
        let line = |finding: &Finding| {
            let mark = if finding.state == State::Works { "works  " } else { "missing" };
            format!("{mark} {}: {}", finding.what, finding.detail)
        };
        self.0.iter().map(line).collect()
    }

    /// Why a query on this hook cannot run, if it cannot.
    pub(crate) fn missing(&self, hook: &Hook) -> Option<Skip> {
        let needed = needed(hook);
        let found = self.0.iter().find(|finding| finding.what == needed);
        match found {
            Some(finding) if finding.state == State::Works => None,
            Some(finding) => Some(Skip::Feature(needed.to_string(), finding.detail.clone())),
            None => Some(Skip::Feature(needed.to_string(), "nothing probes it".to_string())),
        }
    }

    /// Why a program for this hook cannot be loaded, if it cannot. That of a kprobe can be where no kprobe can be attached, for
    /// uprobes have the same type.
    pub(crate) fn unloadable(&self, hook: &Hook) -> Option<Skip> {
        match hook {
            Hook::Kprobe { .. } | Hook::Kretprobe { .. } => None,
            _ => self.missing(hook),
        }
    }

    /// Whether a feature works; `None` for what is none.
    pub(crate) fn works(&self, name: &str) -> Option<bool> {
        self.0.iter().find(|finding| finding.what == name).map(|finding| finding.state == State::Works)
    }
}

/// The finding that decides about a hook.
fn needed(hook: &Hook) -> &'static str {
    match hook {
        Hook::Tracepoint { .. } => "tracepoints",
        Hook::RawTracepoint { .. } => "raw tracepoints",
        Hook::Kprobe { .. } | Hook::Kretprobe { .. } => "kprobes",
        Hook::Fentry { .. } | Hook::Fexit { .. } => "BTF trampolines",
        Hook::Interval { .. } | Hook::Profile { .. } => "perf software clock",
        Hook::Once => "test runs",
        Hook::Listing(_) => "nothing",
    }
}
