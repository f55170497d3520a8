//! Figures of programs on the running kernel, held against a checked-in list: a query whose program grows fails a test.
//!
//! ```text
//! kernel 6.18.44
//! size/count-by-comm instructions 43 translated 60 stack 24 helpers 4 look-ups 2 processed 66 states 5
//! ```
//!
//! `instructions` are eight-byte slots as compiled for this kernel, `translated` what the kernel makes of them; `helpers` are
//! calls that stand in the program, `look-ups` those among them that look into a map; `processed` and `states` are the
//! verifier's work. All programs of a query are added up; of `stack` bytes the most counts.
//!
//! What must hold: on the release that the list was made on every figure is the same. On another one none is greater by more
//! than a tenth: a kernel's fix may move its verifier a little. Not checked: time; `bpfquery-bench` measures that.

use super::{Features, libbpf};
use crate::case::read_all;
use crate::check::{PIDS, with_pids};
use bpfquery::{Options, Target, compile};
use bpfquery_catalog::Kernel;
use bpfquery_diag::Failure;
use bpfquery_host::Live;
use bpfquery_isa::{Helper, Insn};
use libbpf_rs::ObjectBuilder;
use libbpf_rs::query::{ProgInfoIter, ProgInfoQueryOptions};
use std::collections::BTreeMap;
use std::fmt::{Display, Formatter};
use std::os::fd::AsFd;
use std::path::Path;

/// The directory of cases whose programs are counted, and that of benchmarks.
const CASES: &str = "size/";
const BENCH: &str = "bench/";

/// BPF_LOG_STATS of include/linux/bpf_verifier.h: what the verifier did, without how.
const STATISTICS: u32 = 4;

/// The size of an instruction in the kernel.
const SLOT: usize = 8;

/// Names of figures, in the order of a line.
const NAMES: [&str; 7] = ["instructions", "translated", "stack", "helpers", "look-ups", "processed", "states"];

/// A query's figures, or the code of the error that it ends with.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Entry {
    Loads([u64; NAMES.len()]),
    Refused(String),
}

/// A list: the kernel's release, and an entry for each query.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct List {
    release: String,
    entries: BTreeMap<String, Entry>,
}

impl List {
    /// What there is on the running kernel. A query whose program cannot be loaded for want of a feature has no entry.
    pub(crate) fn count(cases: &Path, kernel: &Live, features: &Features) -> Result<List, String> {
        let mut list = List { release: numbers(&kernel.identity().release).to_string(), entries: BTreeMap::new() };
        for (name, sql) in queries(cases)? {
            if let Some(entry) = entry(&sql, kernel, features).map_err(|why| format!("{name}: {why}"))? {
                list.entries.insert(name, entry);
            }
        }
        Ok(list)
    }

    /// The list's text, read.
    pub(crate) fn parse(text: &str) -> Result<List, String> {
        let mut list = List::default();
        for line in text.lines().filter(|line| !line.starts_with('#') && !line.is_empty()) {
            let wrong = || format!("\"{line}\" is not understood");
            match line.split(' ').collect::<Vec<_>>().as_slice() {
                ["kernel", release] => list.release = (*release).to_string(),
                [name, "refused", code] => {
                    list.entries.insert((*name).to_string(), Entry::Refused((*code).to_string()));
                }
                [name, pairs @ ..] => {
                    let figures = figures(pairs).ok_or_else(wrong)?;
                    list.entries.insert((*name).to_string(), Entry::Loads(figures));
                }
                [] => {}
            }
        }
        Ok(list)
    }

    /// What differs from the list that is expected, a line for each figure.
    pub(crate) fn differences(&self, expected: &List) -> Vec<String> {
        let exact = self.release == expected.release;
        let mut names: Vec<&String> = self.entries.keys().chain(expected.entries.keys()).collect();
        names.sort();
        names.dedup();
        let differ = |name: &&String| match (self.entries.get(*name), expected.entries.get(*name)) {
            (Some(Entry::Loads(now)), Some(Entry::Loads(then))) => grown(name, now, then, exact),
            (Some(now), Some(then)) if now == then => Vec::new(),
            (now, then) => vec![format!("{name}: {} is expected, and there is {}", or_none(then), or_none(now))],
        };
        names.iter().flat_map(differ).collect()
    }
}

fn or_none(entry: Option<&Entry>) -> String {
    entry.map_or("nothing".to_string(), |entry| format!("\"{entry}\""))
}

fn grown(name: &str, now: &[u64; NAMES.len()], then: &[u64; NAMES.len()], exact: bool) -> Vec<String> {
    let wrong = |(now, then): (&u64, &u64)| if exact { now != then } else { now * 10 > then * 11 };
    let figures = NAMES.iter().zip(now.iter().zip(then)).filter(|(_, pair)| wrong(*pair));
    figures.map(|(figure, (now, then))| format!("{name}: {figure} {now}, not {then}")).collect()
}

fn figures(pairs: &[&str]) -> Option<[u64; NAMES.len()]> {
    let mut figures = [0; NAMES.len()];
    if pairs.len() != 2 * NAMES.len() {
        return None;
    }
    for ((pair, name), figure) in pairs.chunks(2).zip(NAMES).zip(&mut figures) {
        *figure = (pair[0] == name).then(|| pair[1].parse().ok()).flatten()?;
    }
    Some(figures)
}

impl Display for List {
    fn fmt(&self, f: &mut Formatter<'_>) -> std::fmt::Result {
        writeln!(f, "# What the programs of queries are on this kernel; see crates/testkit/src/kernel/figures.rs.")?;
        writeln!(f, "kernel {}", self.release)?;
        self.entries.iter().try_for_each(|(name, entry)| writeln!(f, "{name} {entry}"))
    }
}

impl Display for Entry {
    fn fmt(&self, f: &mut Formatter<'_>) -> std::fmt::Result {
        match self {
            Entry::Loads(figures) => {
                let pairs: Vec<String> =
                    NAMES.iter().zip(figures).map(|(name, figure)| format!("{name} {figure}")).collect();
                f.write_str(&pairs.join(" "))
            }
            Entry::Refused(code) => write!(f, "refused {code}"),
        }
    }
}

/// The numbers that a release begins with: `6.1.0-56` of `6.1.0-56-cloud-amd64`.
fn numbers(release: &str) -> &str {
    let is_flavour = |(at, _): &(usize, char)| release[at + 1..].starts_with(|c: char| c.is_ascii_alphabetic());
    release.char_indices().filter(|(_, c)| *c == '-').find(is_flavour).map_or(release, |(at, _)| &release[..at])
}

/// The queries that are counted, by name.
fn queries(cases: &Path) -> Result<BTreeMap<String, String>, String> {
    let mut queries = BTreeMap::new();
    for case in read_all(cases)?.into_iter().filter(|case| case.name.starts_with(CASES)) {
        queries.insert(case.name, with_pids(&case.sql, &PIDS));
    }
    let bench = cases.join("../bench");
    let failed = |error: std::io::Error| format!("{}: {error}", bench.display());
    for entry in std::fs::read_dir(&bench).map_err(failed)? {
        let path = entry.map_err(failed)?.path();
        if path.extension().is_some_and(|extension| extension == "sql") {
            let name = path.file_stem().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
            queries.insert(format!("{BENCH}{name}"), std::fs::read_to_string(&path).map_err(failed)?);
        }
    }
    Ok(queries)
}

/// Compiles a query for the running kernel, loads it and counts.
fn entry(sql: &str, kernel: &Live, features: &Features) -> Result<Option<Entry>, String> {
    let compiled = match compile(sql, kernel, Options { target: Target::This, ..Options::default() }) {
        Ok(compiled) => compiled,
        Err(Failure::Query(diagnostic)) => return Ok(Some(Entry::Refused(diagnostic.code.0.to_string()))),
        Err(failure) => return Err(bpfquery_diag::render(&failure, sql)),
    };
    if compiled.split.kernel.iter().any(|part| features.unloadable(&part.relation.hook).is_some()) {
        return Ok(None);
    }
    let mut figures = [0; NAMES.len()];
    for program in &compiled.programs {
        let calls = || program.code.lines().filter_map(|line| called(&line.insn));
        figures[0] += u64::from(program.code.slots());
        figures[3] += calls().count() as u64;
        figures[4] += calls().filter(|helper| is_look_up(*helper)).count() as u64;
    }
    let mut open = ObjectBuilder::default().open_memory(&compiled.object).map_err(|error| format!("{error:?}"))?;
    open.progs_mut().for_each(|mut program| program.set_log_level(STATISTICS));
    let object = libbpf::load(open)?;
    let logs = libbpf::verifier_logs();
    if logs.len() != compiled.programs.len() {
        return Err(format!("{} logs of the verifier for {} programs", logs.len(), compiled.programs.len()));
    }
    for log in logs {
        figures[2] = figures[2].max(number_after(&log, "stack depth ").unwrap_or_default());
        figures[5] += number_after(&log, "processed ").ok_or("the verifier says nothing of its work")?;
        figures[6] += number_after(&log, "total_states ").ok_or("the verifier tells no states")?;
    }
    for program in object.progs() {
        figures[1] += translated(program.as_fd())?;
    }
    Ok(Some(Entry::Loads(figures)))
}

fn called(insn: &Insn) -> Option<Helper> {
    match insn {
        Insn::Call { helper } => Some(*helper),
        _ => None,
    }
}

fn is_look_up(helper: Helper) -> bool {
    matches!(helper, Helper::MapLookupElem | Helper::MapLookupPercpuElem | Helper::TaskStorageGet)
}

/// The slots that the kernel made of a program.
fn translated(program: std::os::fd::BorrowedFd<'_>) -> Result<u64, String> {
    let id = libbpf_rs::Program::id_from_fd(program).map_err(|error| format!("{error:?}"))?;
    let with_code = ProgInfoQueryOptions::default().include_xlated_prog_insns(true);
    let info = ProgInfoIter::with_query_opts(with_code).find(|info| info.id == id).ok_or("the program has gone")?;
    Ok((info.xlated_prog_insns.len() / SLOT) as u64)
}

/// The number behind a word, at its last place: `stack depth 40+8` is 40.
fn number_after(log: &str, word: &str) -> Option<u64> {
    let rest = &log[log.rfind(word)? + word.len()..];
    rest.split(|c: char| !c.is_ascii_digit()).next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::{List, number_after, numbers};

    const TEXT: &str = "# What the programs of queries are on this kernel; see crates/testkit/src/kernel/figures.rs.\n\
        kernel 6.1.0\n\
        bench/join refused unsupported\n\
        size/stream instructions 44 translated 50 stack 16 helpers 5 look-ups 0 processed 48 states 4\n";

    fn list(text: &str) -> List {
        List::parse(text).expect("it is sound")
    }

    #[test]
    fn a_list_prints_as_it_was() {
        assert_eq!(list(TEXT).to_string(), TEXT);
        assert!(List::parse("size/stream instructions 44\n").is_err());
    }

    #[test]
    fn a_figure_that_moves_is_told() {
        let expected = list(TEXT);
        let grown = list(&TEXT.replace("stack 16", "stack 17").replace("processed 48", "processed 60"));
        assert_eq!(
            grown.differences(&expected),
            ["size/stream: stack 17, not 16", "size/stream: processed 60, not 48"]
        );
        // A tenth is allowed elsewhere, and less is better.
        let elsewhere = list(&grown.to_string().replace("6.1.0", "6.1.1").replace("stack 17", "stack 8"));
        assert_eq!(elsewhere.differences(&expected), ["size/stream: processed 60, not 48"]);
        assert_eq!(list(TEXT).differences(&expected), Vec::<String>::new());
        let fewer = list("kernel 6.1.0\nbench/join refused unsupported\n");
        assert_eq!(fewer.differences(&expected).len(), 1);
    }

    #[test]
    fn a_release_is_its_numbers() {
        assert_eq!(numbers("6.1.0-56-cloud-amd64"), "6.1.0-56");
        assert_eq!(numbers("6.12.117+deb12-cloud-amd64"), "6.12.117+deb12");
        assert_eq!(numbers("6.18.44"), "6.18.44");
    }

    #[test]
    fn numbers_are_read_from_the_verifiers_log() {
        let log =
            "stack depth 40+8\nprocessed 66 insns (limit 1000000) max_states_per_insn 1 total_states 5 peak_states 5";
        assert_eq!(number_after(log, "stack depth "), Some(40));
        assert_eq!(number_after(log, "processed "), Some(66));
        assert_eq!(number_after(log, "total_states "), Some(5));
        assert_eq!(number_after(log, "nothing "), None);
    }
}
