//! From a name to a relation: one file for each kind of probe.
//!
//! What must hold: a relation's columns are what its hook's context really holds on this kernel; what cannot be
//! reached is in `absent`, with the reason. Not checked here: whether this kernel or these privileges can attach it;
//! [`required_features`] says what that takes.

mod advice;
pub(crate) mod function;
pub(crate) mod raw_tracepoint;
pub(crate) mod signature;
pub(crate) mod syscall;
mod timer;
pub(crate) mod tracepoint;

pub use function::obstacle;

use crate::kernel::{Feature, Identity, Kernel};
use crate::listing::Listing;
use crate::name::{Part, RelationName};
use crate::relation::{Access, Builtin, Column, Hook, Relation};
use bpfquery_diag::{Diagnostic, Result, Unsupported, nearest};
use std::collections::BTreeSet;

/// The first words of relations' names, and how each goes on.
const KINDS: [(&str, &str); 10] = [
    ("tracepoint", "tracepoint.CATEGORY.EVENT"),
    ("rawtracepoint", "rawtracepoint.EVENT"),
    ("syscall", "syscall.NAME"),
    ("kprobe", "kprobe.FUNCTION"),
    ("kretprobe", "kretprobe.FUNCTION"),
    ("fentry", "fentry.FUNCTION"),
    ("fexit", "fexit.FUNCTION"),
    ("interval", "interval(DURATION)"),
    ("profile", "profile(HZ)"),
    (Listing::SCHEMA, "information_schema.tables or information_schema.columns"),
];

/// Words that the language's design keeps for relations that are not there yet.
const PLANNED: [&str; 17] = [
    "uprobe",
    "uretprobe",
    "usdt",
    "perf",
    "xdp",
    "tc",
    "packets",
    "tcp_packets",
    "udp_packets",
    "traffic",
    "iter",
    "map",
    "bpf",
    "pcap",
    "file",
    "lsm",
    "kfunc",
];

/// Probes that a refused pattern shows.
const SHOWN: usize = 4;

/// Which columns of a relation somebody asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Need {
    /// All.
    All,
    /// The built-in ones: where it takes long to find out the others, they may be left out.
    Builtins,
}

/// The relation of a name that stands after FROM, with all of its columns.
///
/// # Errors
/// As [`relation_for`].
pub fn relation(kernel: &dyn Kernel, name: &RelationName) -> Result<Relation> {
    relation_for(kernel, name, Need::All)
}

/// The relation of a name that stands after FROM.
///
/// # Errors
/// A diagnostic at the part of the name that is to blame: `unknown-relation`, `unknown-event`, `unknown-function`,
/// `not-traceable`, `ambiguous-name`, `wrong-arguments`, `unsupported-relation`; or what `kernel` could not answer.
pub fn relation_for(kernel: &dyn Kernel, name: &RelationName, need: Need) -> Result<Relation> {
    let Some((first, rest)) = name.parts.split_first() else {
        return Err(Diagnostic::new("unknown-relation", name.span(), "a relation has a name").into());
    };
    if let Some(part) = rest.iter().find(|part| part.text.contains(['*', '?'])) {
        return Err(several(kernel, name, part)?.into());
    }
    match first.text.to_ascii_lowercase().as_str() {
        "interval" => return timer::interval(name),
        "profile" => return timer::profile(name),
        _ => refuse_arguments(name)?,
    }
    match (first.text.to_ascii_lowercase().as_str(), rest) {
        ("tracepoint", [category, event]) => tracepoint::relation(kernel, category, event),
        ("tracepoint", [event]) => Err(tracepoint::without_category(kernel, event)?.into()),
        ("rawtracepoint", [event]) => raw_tracepoint::relation(kernel, event, need),
        ("syscall", [_]) => match syscall::syscall(kernel, name)? {
            Some(call) => Ok(call.relation),
            None => Err(unknown(name, "syscall").into()),
        },
        ("kprobe", [path @ .., function]) => function::relation(kernel, function::Kind::Kprobe, path, function),
        ("kretprobe", [path @ .., function]) => function::relation(kernel, function::Kind::Kretprobe, path, function),
        ("fentry", [path @ .., function]) => function::relation(kernel, function::Kind::Fentry, path, function),
        ("fexit", [path @ .., function]) => function::relation(kernel, function::Kind::Fexit, path, function),
        (Listing::SCHEMA, [listing]) => match Listing::named(&listing.text) {
            Some(listing) => Ok(listing.relation()),
            None => {
                let near = nearest(&listing.text, Listing::ALL.map(Listing::name));
                let fact = format!("there is no \"{}\" in {}", listing.text, Listing::SCHEMA);
                Err(Diagnostic::new("unknown-relation", listing.span, fact).did_you_mean(near).into())
            }
        },
        (_, []) => tracepoint::bare(kernel, first),
        (word, _) => Err(unknown(name, word).into()),
    }
}

/// What a kernel must be able to do for a hook to be attached.
pub fn required_features(hook: &Hook) -> BTreeSet<Feature> {
    match hook {
        Hook::Tracepoint { .. } => BTreeSet::from([Feature::Tracepoint]),
        Hook::RawTracepoint { .. } | Hook::Once => BTreeSet::from([Feature::RawTracepoint]),
        Hook::Kprobe { .. } | Hook::Kretprobe { .. } => BTreeSet::from([Feature::Kprobe]),
        Hook::Fentry { .. } | Hook::Fexit { .. } => BTreeSet::from([Feature::Trampoline, Feature::Btf]),
        Hook::Interval { .. } | Hook::Profile { .. } => BTreeSet::from([Feature::PerfClock]),
        Hook::Listing(_) => BTreeSet::new(),
    }
}

/// Refuses a hook that this kernel cannot attach.
///
/// # Errors
/// [`Unsupported`] with the first missing feature and what to use instead.
pub fn require(identity: &Identity, hook: &Hook) -> Result<()> {
    let missing = required_features(hook).into_iter().find(|feature| !identity.features.contains(feature));
    match missing {
        Some(feature) => Err(lacks(identity, hook, feature).into()),
        None => Ok(()),
    }
}

fn lacks(identity: &Identity, hook: &Hook, feature: Feature) -> Unsupported {
    let detail = format!("kernel {} cannot attach {hook}", identity.release);
    let refusal = match feature.since() {
        Some(version) => Unsupported::new(feature.title()).since(version),
        None => Unsupported::new(feature.title()),
    };
    refusal.detail(detail).help(instead(identity, hook))
}

/// What else shows about the same.
fn instead(identity: &Identity, hook: &Hook) -> String {
    let has = |feature| identity.features.contains(&feature);
    match hook {
        Hook::Kprobe { function, .. } if has(Feature::Trampoline) => format!("use fentry.{function}"),
        Hook::Kretprobe { function, .. } if has(Feature::Trampoline) => format!("use fexit.{function}"),
        Hook::Fentry { function, .. } if has(Feature::Kprobe) => format!("use kprobe.{function}"),
        Hook::Fexit { function, .. } if has(Feature::Kprobe) => format!("use kretprobe.{function}"),
        Hook::Kprobe { .. }
        | Hook::Kretprobe { .. }
        | Hook::Fentry { .. }
        | Hook::Fexit { .. }
        | Hook::Tracepoint { .. }
        | Hook::RawTracepoint { .. }
        | Hook::Interval { .. }
        | Hook::Profile { .. }
        | Hook::Listing(_)
        | Hook::Once => "look for a tracepoint with `bpfquery list 'tracepoint.*'`".to_string(),
    }
}

impl Relation {
    /// The relation of a query without FROM: one row.
    pub fn once() -> Relation {
        Relation::new(Hook::Once)
    }

    /// A relation with the built-in columns only.
    pub(crate) fn new(hook: Hook) -> Relation {
        let columns = Builtin::ALL.into_iter().map(Column::builtin).collect();
        Relation { name: hook.to_string(), hook, columns, absent: Vec::new() }
    }
}

/// A pattern: how many there are, and some of them.
fn several(kernel: &dyn Kernel, name: &RelationName, part: &Part) -> Result<Diagnostic> {
    let (mut count, mut first) = (0_usize, Vec::new());
    crate::discover(kernel, &name.path(), &mut |met| {
        count += 1;
        if first.len() < SHOWN {
            first.push(format!("{}.{}", met.schema, met.name));
        }
        Ok(std::ops::ControlFlow::Continue(()))
    })?;
    if count == 0 {
        let fact = format!("no probe of this kernel is named like \"{}\"", name.path());
        return Ok(Diagnostic::new("unknown-relation", part.span, fact));
    }
    let more = if count > first.len() { ", …" } else { "" };
    let fact = format!("\"{}\" names {count} probes, and only one at a time is supported yet", name.path());
    Ok(Diagnostic::new("unsupported-relation", part.span, fact)
        .detail(format!("{}{more}", first.join(", ")))
        .help(format!("name one of them; `bpfquery list '{}'` shows all", name.path())))
}

/// Eight bytes of the context.
fn slot(offset: u16) -> Access {
    Access::Context { offset, size: 8 }
}

fn refuse_arguments(name: &RelationName) -> Result<()> {
    match name.args.as_deref() {
        None => Ok(()),
        Some(args) => {
            let span = args.iter().fold(name.span(), |all, arg| all.to(arg.span));
            let fact = format!("{} takes no arguments", name.path());
            Err(Diagnostic::new("wrong-arguments", span, fact).into())
        }
    }
}

fn unknown(name: &RelationName, word: &str) -> Diagnostic {
    let span = name.parts.first().map_or_else(|| name.span(), |part| part.span);
    if PLANNED.contains(&word) {
        let fact = format!("relation \"{}\" is not supported yet", name.path());
        return Diagnostic::new("unsupported-relation", span, fact).help(kinds());
    }
    let known = KINDS.iter().find(|(kind, _)| *kind == word);
    match known {
        Some((kind, form)) => {
            Diagnostic::new("unknown-relation", name.span(), format!("\"{}\" names no {kind}", name.path()))
                .help(format!("write {form}"))
        }
        None => {
            let near = nearest(word, KINDS.iter().map(|(kind, _)| *kind));
            let refusal = Diagnostic::new("unknown-relation", span, format!("there is no kind of relation \"{word}\""));
            match near {
                Some(_) => refusal.did_you_mean(near),
                None => refusal.help(kinds()),
            }
        }
    }
}

fn kinds() -> String {
    let forms: Vec<&str> = KINDS.iter().map(|(_, form)| *form).collect();
    format!("relations are {}, or a unique event name", forms.join(", "))
}

/// A part's text with its place, as an unknown something.
fn unknown_part(code: &'static str, what: &str, part: &Part) -> Diagnostic {
    Diagnostic::new(code, part.span, format!("{what} \"{}\" does not exist in this kernel", part.text))
}
