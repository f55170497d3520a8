//! Many groups to the last event, made and counted by two processors at once: in states of each CPU, and in states that CPUs share.

use crate::lab::{Check, Lab, Verdict, ensure, passed};
use crate::load::{Load, Tally};
use crate::query::Query;
use nix::sys::signal::Signal;
use serde::Deserialize;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

/// The checks of this file.
pub(crate) const CHECKS: &[Check] = &[
    ("exact/short-windows", |lab| short_windows(lab, Store::PerCpu)),
    ("exact/racing-keys", |lab| racing_keys(lab, Store::PerCpu, 4000)),
    ("exact/full-map", |lab| full_map(lab, Store::PerCpu, lab.calls.max(20_000))),
    ("exact/shared-windows", |lab| short_windows(lab, Store::Shared)),
    ("exact/shared-racing-keys", |lab| racing_keys(lab, Store::Shared, 60_000)),
    ("exact/shared-full-map", |lab| full_map(lab, Store::Shared, 80_000)),
    ("exact/shared-few-keys", shared_few_keys),
];

/// Where the groups are.
#[derive(Clone, Copy)]
enum Store {
    PerCpu,
    Shared,
}

/// Groups that a shared map has room for: the fewest that are many.
const MANY: &str = "65537";

impl Store {
    fn args(self) -> &'static [&'static str] {
        match self {
            Store::PerCpu => &[],
            Store::Shared => &["--max-groups", MANY],
        }
    }

    /// A query on this store, live.
    fn query(self, lab: &Lab, sql: &str) -> Result<Query, String> {
        Query::live(lab, &[self.args(), &["--format", "json", "-e", sql]].concat())
    }
}

#[derive(Debug, Deserialize)]
struct Key {
    bucket: Option<String>,
    k: u64,
    n: u64,
}

/// Windows that close ten times a second, whose groups are deleted while others are made, by a reader that sleeps once.
fn short_windows(lab: &Lab, store: Store) -> Verdict {
    let each = lab.calls.max(5000);
    let mut load = Load::new(lab, 2, &["burst", &each.to_string(), &each.to_string()])?;
    let sql = format!(
        "select tumble(interval '100 milliseconds') as bucket, args.pid % 50 as k, count(*) as n \
         from tracepoint.syscalls.sys_enter_getpgid where pid in {} group by bucket, args.pid % 50",
        load.list()
    );
    let query = store.query(lab, &sql)?;
    load.go()?;
    std::thread::sleep(Duration::from_millis(300));
    query.signal(Signal::SIGSTOP)?;
    std::thread::sleep(Duration::from_millis(250));
    query.signal(Signal::SIGCONT)?;
    load.finish()?;
    let rows: Vec<Key> = query.interrupt()?.whole()?.rows()?;
    let mut by_key = BTreeMap::<u64, u64>::new();
    rows.iter().for_each(|row| *by_key.entry(row.k).or_default() += row.n);
    let right = by_key.len() == 50 && by_key.values().all(|n| *n == 2 * each / 50);
    ensure(right, || format!("each of 50 keys should have {}: {by_key:?}", 2 * each / 50))?;
    let places: BTreeSet<(&str, u64)> =
        rows.iter().map(|row| (row.bucket.as_deref().unwrap_or_default(), row.k)).collect();
    ensure(places.len() == rows.len(), || "a window was given twice".to_string())?;
    let windows = places.iter().map(|(bucket, _)| bucket).collect::<BTreeSet<_>>().len();
    ensure(windows >= 3, || format!("{windows} windows"))?;
    passed(format!("{} in {} groups of {windows} windows, 50 keys with {} each", 2 * each, rows.len(), 2 * each / 50))
}

fn by_argument(lab: &Lab, store: Store, each: u64) -> Result<(Vec<Key>, u64), String> {
    let mut load = Load::new(lab, 2, &["burst", "0", &each.to_string()])?;
    let sql = format!(
        "select args.pid as k, count(*) as n from tracepoint.syscalls.sys_enter_getpgid where pid in {} group by args.pid",
        load.list()
    );
    let query = store.query(lab, &sql)?;
    load.go()?;
    load.finish()?;
    let ended = query.interrupt()?.expect(0)?;
    Ok((ended.rows()?, ended.lost()?))
}

/// Two processors make the same groups at the same time, as many as fit nearly: no event is lost to the other's group.
fn racing_keys(lab: &Lab, store: Store, each: u64) -> Verdict {
    let (rows, lost) = by_argument(lab, store, each)?;
    let wrong = rows.iter().filter(|row| row.n != 2).count();
    ensure((rows.len() as u64, wrong, lost) == (each, 0, 0), || {
        format!("{} groups, {wrong} without 2 events, {lost} lost", rows.len())
    })?;
    passed(format!("{each} groups made by two processors at once, 2 events in each"))
}

/// More groups than the map holds: what is not in one is reported.
fn full_map(lab: &Lab, store: Store, each: u64) -> Verdict {
    let (rows, lost) = by_argument(lab, store, each)?;
    let counted: u64 = rows.iter().map(|row| row.n).sum();
    ensure(counted + lost == 2 * each && lost > 0, || {
        format!("{counted} counted + {lost} lost = {} of {}", counted + lost, 2 * each)
    })?;
    if let Store::Shared = store {
        // Of a map that CPUs share nothing is held back for one of them.
        ensure(rows.len().to_string() == MANY, || format!("{} groups of {MANY}", rows.len()))?;
    }
    passed(format!("{counted} counted in {} groups + {lost} reported lost = {}", rows.len(), 2 * each))
}

#[derive(Debug, Deserialize)]
struct Few {
    k: i64,
    n: u64,
    odd: u64,
    h: Vec<Bucket>,
}

#[derive(Debug, Deserialize)]
struct Bucket {
    low: Option<u64>,
    count: u64,
}

/// Two processors add to the same few states at the same time: a count, one of some rows, a histogram.
fn shared_few_keys(lab: &Lab) -> Verdict {
    let each = lab.calls.max(10_000) / 4 * 4;
    let quarter = each / 4;
    let mut load = Load::new(lab, 2, &["burst", "0", &each.to_string()])?;
    let sql = format!(
        "select args.pid / {quarter} as k, count(*) as n, count(*) filter (where args.pid % 2 = 1) as odd, hist(args.pid) as h \
         from tracepoint.syscalls.sys_enter_getpgid where pid in {} group by k order by k",
        load.list()
    );
    let query = Store::Shared.query(lab, &sql)?;
    load.go()?;
    let whole = Tally::all(&load.finish()?).ok_or("no tallies")?;
    let rows: Vec<Few> = query.interrupt()?.whole()?.rows()?;
    let counts: Vec<(i64, u64, u64)> = rows.iter().map(|row| (row.k, row.n, row.odd)).collect();
    let expect: Vec<(i64, u64, u64)> = (0..4).map(|k| (k, 2 * quarter, quarter)).collect();
    ensure(counts == expect, || format!("counted {counts:?}, not {expect:?}"))?;
    let mut hist = BTreeMap::<String, u64>::new();
    for bucket in rows.iter().flat_map(|row| &row.h) {
        *hist.entry(bucket.low.map_or_else(|| "neg".to_string(), |low| low.to_string())).or_default() += bucket.count;
    }
    ensure(hist == whole.hist, || format!("spread {hist:?}, but the load did {:?}", whole.hist))?;
    passed(format!(
        "{} events of two processors at once in 4 groups and {} buckets, none missing",
        2 * each,
        hist.len()
    ))
}
