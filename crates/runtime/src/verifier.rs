//! From the verifier's log to what a person wants to know of it: the fact, and the SQL it is about.

use bpfquery_object::Manifest;

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
pub(crate) fn explain(log: &str, manifest: &Manifest) -> String {
    let mut text = format!("the kernel's verifier refuses the program: {}", summary(log));
    if let Some((source, line)) = source_line(log) {
        match line.or_else(|| find_line(&manifest.sql, source)) {
            Some(line) => text.push_str(&format!("\nat line {line} of the query: {source}")),
            None => text.push_str(&format!("\nat: {source}")),
        }
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

/// Whether the log tells of any instruction; if not, the program as a whole was refused.
pub(crate) fn is_about_instructions(log: &str) -> bool {
    log.lines().any(|line| instruction(line).is_some())
}

/// The last line of the query that the log cites, with its number: `; select pid @ query.sql:1`. Before 6.10 without the
/// place (kernel/bpf/log.c, verbose_linfo).
fn source_line(log: &str) -> Option<(&str, Option<u32>)> {
    let line = log.lines().rev().find_map(|line| line.strip_prefix("; "))?;
    let (text, place) = line.rsplit_once(" @ ").unwrap_or((line, ""));
    let number = place.rsplit_once(':').and_then(|(_, number)| number.parse().ok());
    Some((text.trim(), number))
}

/// The number, from 1, of the query's line with this text.
fn find_line(sql: &str, text: &str) -> Option<u32> {
    let at = sql.lines().position(|line| line.trim() == text)?;
    u32::try_from(at + 1).ok()
}

#[cfg(test)]
mod tests {
    use super::{find_line, is_about_instructions, log_of, source_line, summary};

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
        assert!(is_about_instructions(&log) && !is_about_instructions("processed 0 insns"));
        assert_eq!(source_line(&log), Some(("args.x from y", Some(2))));
        assert_eq!(find_line("select pid,\n  args.x from y", "args.x from y"), Some(2));
    }

    #[test]
    fn a_log_of_5_10_has_no_places() {
        let log = "; select pid\n0: (b7) r2 = 0\nR2 !read_ok\n";
        assert_eq!(source_line(log), Some(("select pid", None)));
        assert_eq!(summary(log), "R2 !read_ok; 0: (b7) r2 = 0");
        assert_eq!(log_of(&["no log".to_string()]), None);
    }
}
