//! From the verifier's log to what a person wants to know of it: the fact, and the SQL it is about.

use bpfquery_object::Manifest;
use libbpf_rs::{AsRawLibbpf, OpenObject};

const BEGIN: &str = "-- BEGIN PROG LOAD LOG --";
const END: &str = "-- END PROG LOAD LOG --";

/// The verifier's log among libbpf's messages.
pub(crate) fn log_of(said: &[String]) -> Option<String> {
    let said = said.iter().find(|said| said.contains(END))?;
    // Of a very long log the beginning is cut.
    let log = said.split_once(BEGIN).map_or(said.as_str(), |(_, log)| log);
    Some(log.split(END).next().unwrap_or(log).trim().to_string())
}

/// What the verifier did not like, and where the query asks for it.
pub(crate) fn explain(log: &str, open: &OpenObject, manifest: &Manifest) -> String {
    let mut text = format!("the kernel's verifier refuses the program: {}", summary(log));
    let place = failed_instruction(log).and_then(|insn| line_column(open, insn));
    let source = source_line(log);
    let line = place.map(|(line, _)| line).or_else(|| source.and_then(|source| find_line(&manifest.sql, source)));
    if let Some(line) = line {
        let column = place.map_or_else(String::new, |(_, column)| format!(", column {column}"));
        text.push_str(&format!("\nat line {line}{column} of the query"));
    }
    if let Some(source) = source {
        text.push_str(&format!(": {source}"));
    }
    text
}

/// The last lines that tell something, and the instruction that they are about.
///
/// As cilium/ebpf's VerifierError does: without the statistics at the end.
fn summary(log: &str) -> String {
    let statistics = |line: &str| {
        line.starts_with("processed ") || line.starts_with("verification time") || line.starts_with("stack depth")
    };
    let mut lines: Vec<&str> = Vec::new();
    for line in log.lines().rev().map(str::trim).filter(|line| !line.is_empty() && !statistics(line)) {
        if line.starts_with("; ") {
            continue;
        }
        lines.push(line);
        if instruction(line).is_some() || lines.len() == 3 {
            break;
        }
    }
    lines.join("; ")
}

/// `12: (79) r1 = *(u64 *)(r2 +0)` is instruction 12.
fn instruction(line: &str) -> Option<u32> {
    let (number, rest) = line.trim().split_once(": ")?;
    rest.starts_with('(').then(|| number.parse().ok()).flatten()
}

fn failed_instruction(log: &str) -> Option<u32> {
    log.lines().rev().find_map(instruction)
}

/// The last line of the query that the log cites: `; select pid @ query.sql:1`, without the place before 6.10.
fn source_line(log: &str) -> Option<&str> {
    let line = log.lines().rev().find_map(|line| line.strip_prefix("; "))?;
    Some(line.rsplit_once(" @ ").map_or(line, |(text, _)| text).trim())
}

/// The number, from 1, of the query's line with this text.
fn find_line(sql: &str, text: &str) -> Option<u32> {
    let at = sql.lines().position(|line| line.trim() == text)?;
    u32::try_from(at + 1).ok()
}

/// Line and column, from 1, of an instruction, from the object's line information. The instructions of an object with one
/// program are those that the kernel counts.
fn line_column(open: &OpenObject, insn: u32) -> Option<(u32, u32)> {
    let program = open.progs().next()?;
    let program = program.as_libbpf_object().as_ptr();
    // SAFETY: the program belongs to `open`, which is alive.
    let (records, count) =
        unsafe { (libbpf_sys::bpf_program__line_info(program), libbpf_sys::bpf_program__line_info_cnt(program)) };
    if records.is_null() {
        return None;
    }
    // SAFETY: libbpf says that there are so many, and keeps them as long as the program.
    let records = unsafe { std::slice::from_raw_parts(records, count as usize) };
    let record = records.iter().rev().find(|record| record.insn_off <= insn)?;
    // BPF_LINE_INFO_LINE_NUM and BPF_LINE_INFO_LINE_COL, include/uapi/linux/bpf.h.
    Some((record.line_col >> 10, record.line_col & 0x3ff))
}

#[cfg(test)]
mod tests {
    use super::{failed_instruction, find_line, log_of, source_line, summary};

    const LOG: &str = "libbpf: prog 'q': -- BEGIN PROG LOAD LOG --\n\
        0: R1=ctx() R10=fp0\n\
        ; select pid, @ query.sql:1\n\
        0: (b7) r2 = 0                        ; R2_w=0\n\
        ;   args.x from y @ query.sql:2\n\
        1: (79) r0 = *(u64 *)(r2 +8)\n\
        R2 invalid mem access 'scalar'\n\
        processed 2 insns (limit 1000000) max_states_per_insn 0 total_states 0\n\
        -- END PROG LOAD LOG --\n";

    #[test]
    fn the_fact_the_instruction_and_the_sql() {
        let said = ["libbpf: prog 'q': BPF program load failed: Permission denied\n".to_string(), LOG.to_string()];
        let log = log_of(&said).unwrap();
        assert_eq!(summary(&log), "R2 invalid mem access 'scalar'; 1: (79) r0 = *(u64 *)(r2 +8)");
        assert_eq!(failed_instruction(&log), Some(1));
        assert_eq!(source_line(&log), Some("args.x from y"));
        assert_eq!(find_line("select pid,\n  args.x from y", "args.x from y"), Some(2));
    }

    #[test]
    fn a_log_of_5_10_has_no_places() {
        let log = "; select pid\n0: (b7) r2 = 0\nR2 !read_ok\n";
        assert_eq!(source_line(log), Some("select pid"));
        assert_eq!(summary(log), "R2 !read_ok; 0: (b7) r2 = 0");
        assert_eq!(log_of(&["no log".to_string()]), None);
    }
}
