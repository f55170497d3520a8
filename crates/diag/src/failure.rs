//! The shapes of failure, and the exit code of each.

use crate::Diagnostic;
use std::fmt;

/// What every stage returns.
pub type Result<T> = std::result::Result<T, Failure>;

/// The kernel, or these privileges, cannot do what the query needs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unsupported {
    /// What is missing: `ring buffer`, `kprobes`, `CAP_BPF`.
    pub feature: String,
    /// The kernel version that first had it, where it is one of versions: `5.8`.
    pub since: Option<&'static str>,
    /// What the kernel said, or what was found.
    pub details: Vec<String>,
    /// What to use or do instead.
    pub helps: Vec<String>,
}

impl Unsupported {
    /// A missing feature.
    pub fn new(feature: impl Into<String>) -> Unsupported {
        Unsupported { feature: feature.into(), since: None, details: Vec::new(), helps: Vec::new() }
    }

    /// The same with the version that has it.
    #[must_use]
    pub fn since(mut self, version: &'static str) -> Unsupported {
        self.since = Some(version);
        self
    }

    /// The same with one more fact.
    #[must_use]
    pub fn detail(mut self, detail: impl Into<String>) -> Unsupported {
        self.details.push(detail.into());
        self
    }

    /// The same with advice.
    #[must_use]
    pub fn help(mut self, help: impl Into<String>) -> Unsupported {
        self.helps.push(help.into());
        self
    }
}

/// Why there is no result.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Failure {
    /// The query is wrong.
    Query(Box<Diagnostic>),
    /// The kernel cannot.
    Kernel(Box<Unsupported>),
    /// We are wrong: the pass that noticed, and what it saw.
    Bug {
        /// The pass or stage that noticed.
        pass: &'static str,
        /// What it saw.
        detail: String,
    },
    /// A file, a pipe or a child process failed.
    Io {
        /// What was tried: `write q.bpf.o`.
        doing: String,
        /// What the system said.
        error: String,
    },
}

impl Failure {
    /// A bug found by `pass`.
    pub fn bug(pass: &'static str, detail: impl Into<String>) -> Failure {
        Failure::Bug { pass, detail: detail.into() }
    }

    /// A failed system operation.
    pub fn io(doing: impl Into<String>, error: impl fmt::Display) -> Failure {
        Failure::Io { doing: doing.into(), error: error.to_string() }
    }

    /// The exit code of the command line: 2 wrong query, 3 the kernel cannot, 101 our bug, 1 the rest.
    pub fn exit_code(&self) -> u8 {
        match self {
            Failure::Query(_) => 2,
            Failure::Kernel(_) => 3,
            Failure::Bug { .. } => 101,
            Failure::Io { .. } => 1,
        }
    }
}

impl From<Diagnostic> for Failure {
    fn from(diagnostic: Diagnostic) -> Failure {
        Failure::Query(Box::new(diagnostic))
    }
}

impl From<Unsupported> for Failure {
    fn from(unsupported: Unsupported) -> Failure {
        Failure::Kernel(Box::new(unsupported))
    }
}
