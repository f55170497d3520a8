//! `interval(DURATION)`: a timer on one CPU. `profile(HZ)`: samples on every CPU.
//!
//! Only the built-in columns. Not checked: that the kernel grants the rate (`kernel.perf_event_max_sample_rate`).

use crate::name::{Argument, Literal, RelationName, parse_duration};
use crate::relation::{Hook, Relation};
use bpfquery_diag::{Diagnostic, Result};

/// The shortest period, in ns: the perf software clock refuses shorter ones (10 µs, `perf_swevent_init_hrtimer` and
/// `perf_swevent_start_hrtimer`, kernel/events/core.c, Linux 6.1, which round up to 10000 ns).
const SHORTEST_NS: i64 = 10_000;

/// Samples per second at most: one each 10 µs.
const MOST_HZ: i64 = 100_000;

pub(super) fn interval(name: &RelationName) -> Result<Relation> {
    let argument = one_argument(name, "interval", "a duration, as in interval('1s')")?;
    let period = match &argument.value {
        Literal::Duration(ns) => Some(*ns),
        Literal::Text(text) => parse_duration(text),
        Literal::Int(_) => None,
    };
    let Some(period) = period else {
        let fact = "interval takes a duration";
        return Err(Diagnostic::new("wrong-arguments", argument.span, fact).help("write interval('1s')").into());
    };
    if period < SHORTEST_NS {
        let fact = "the shortest interval is 10 microseconds";
        return Err(Diagnostic::new("wrong-arguments", argument.span, fact).into());
    }
    Ok(Relation::new(Hook::Interval { period_ns: period.unsigned_abs() }))
}

pub(super) fn profile(name: &RelationName) -> Result<Relation> {
    let argument = one_argument(name, "profile", "samples per second, as in profile(99)")?;
    match argument.value {
        Literal::Int(hz) if (1..=MOST_HZ).contains(&hz) => Ok(Relation::new(Hook::Profile { hz: hz.unsigned_abs() })),
        Literal::Int(_) | Literal::Text(_) | Literal::Duration(_) => {
            let fact = format!("profile takes a whole number of samples per second from 1 to {MOST_HZ}");
            Err(Diagnostic::new("wrong-arguments", argument.span, fact).help("write profile(99)").into())
        }
    }
}

/// The one argument of `WORD(ARGUMENT)`.
fn one_argument<'a>(name: &'a RelationName, word: &str, wants: &str) -> Result<&'a Argument> {
    match (name.parts.as_slice(), name.args.as_deref()) {
        ([_], Some([argument])) => Ok(argument),
        (_, args) => {
            let span = args.unwrap_or_default().iter().fold(name.span(), |all, arg| all.to(arg.span));
            Err(Diagnostic::new("wrong-arguments", span, format!("{word} takes {wants}")).into())
        }
    }
}
