//! A `.case` file: prose and directives, the query, then sections.
//!
//! ```text
//! # Why this case is there, in a sentence.
//! # workload: nap --wait 5 1000
//! SELECT count(*) FROM sched_switch
//!
//! ---- plan
//! …
//! ---- rows interp
//! {"count":5}
//! ```
//!
//! What must hold: everything before the first section is kept byte for byte when a case is rewritten; a directive or a
//! section that is not known is an error. Not checked here: what sections say; [`crate::check`] does.

use std::fmt::Write;
use std::path::{Path, PathBuf};

/// A case, read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Case {
    /// The file.
    pub path: PathBuf,
    /// `area/name`, the path below the directory of cases without its extension.
    pub name: String,
    /// What it is told beside the query.
    pub directives: Directives,
    /// The query.
    pub sql: String,
    /// What is asserted, in the file's order.
    pub sections: Vec<Section>,
    head: String,
}

/// A section: its title (`plan`, `rows interp`) and its text, which ends in a newline unless it is empty.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Section {
    /// What follows the dashes.
    pub title: String,
    /// The text.
    pub body: String,
}

/// The `# key: value` lines.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Directives {
    /// `snapshot`: the kernel that is compiled for, a file of `testdata/snapshots` without its extension.
    pub snapshot: Option<String>,
    /// `target`: `portable` or `this`.
    pub target: Option<String>,
    /// `args`: what else the command line is given.
    pub args: Vec<String>,
    /// `workload`: the load program and its arguments, run while the query is live.
    pub workload: Vec<String>,
    /// `cpus`: how many the interpreter's machine has (2).
    pub cpus: Option<u32>,
    /// `wall-offset`: CLOCK_REALTIME minus CLOCK_MONOTONIC in ns, for the interpreter (0).
    pub wall_offset: Option<i64>,
    /// `start`: CLOCK_MONOTONIC ns at which the query started, for the interpreter (0).
    pub start: Option<u64>,
    /// `align`: the run on a kernel starts where at least a third of a window of so many ns is still to come.
    pub align: Option<u64>,
    /// `exit`: the exit status of the query's run on a kernel (0).
    pub exit: Option<i32>,
    /// `losses`: lines of the loss report that may say anything (`losses`, `misses`, `reads`, `text`) on a kernel.
    pub losses: Vec<String>,
}

/// The titles that a section may have, in the order in which they stand. `verifier` and `rows kernel` come from kernels.
pub const TITLES: [&str; 16] = [
    "ast",
    "bound",
    "plan",
    "rules",
    "split",
    "ir",
    "opt",
    "asm",
    "maps",
    "manifest",
    "input",
    "verifier",
    "rows interp",
    "rows kernel",
    "losses",
    "error",
];

impl Case {
    /// Reads the case at `path`, which stands below `root`.
    ///
    /// # Errors
    /// What is wrong with the file, with its line.
    pub fn read(root: &Path, path: &Path) -> Result<Case, String> {
        let text = std::fs::read_to_string(path).map_err(|error| format!("{}: {error}", path.display()))?;
        let below = path.strip_prefix(root).unwrap_or(path).with_extension("");
        let name = below.to_string_lossy().into_owned();
        Case::parse(&name, path, &text).map_err(|error| format!("{}: {error}", path.display()))
    }

    /// Reads a case's text.
    ///
    /// # Errors
    /// As [`Case::read`].
    pub fn parse(name: &str, path: &Path, text: &str) -> Result<Case, String> {
        let first = text.split_inclusive('\n').scan(0, |at, line| {
            let start = *at;
            *at += line.len();
            Some((start, line))
        });
        let start = first.clone().find(|(_, line)| title(line).is_some()).map_or(text.len(), |(at, _)| at);
        let (head, rest) = text.split_at(start);
        let (directives, sql) = read_head(head)?;
        let sections = read_sections(rest)?;
        Ok(Case { path: path.to_path_buf(), name: name.to_string(), directives, sql, sections, head: head.to_string() })
    }

    /// The section of this title.
    pub fn section(&self, title: &str) -> Option<&Section> {
        self.sections.iter().find(|section| section.title == title)
    }

    /// Gives a section this text, adding it in its place if it is not there.
    pub fn set(&mut self, title: &str, body: String) {
        match self.sections.iter_mut().find(|section| section.title == title) {
            Some(section) => section.body = body,
            None => {
                let later = |section: &Section| rank(&section.title) > rank(title);
                let at = self.sections.iter().position(later).unwrap_or(self.sections.len());
                self.sections.insert(at, Section { title: title.to_string(), body });
            }
        }
    }

    /// The file's text.
    pub fn text(&self) -> String {
        let mut text = format!("{}\n", self.head.trim_end());
        for section in &self.sections {
            let _ = write!(text, "\n---- {}\n{}", section.title, section.body);
        }
        text
    }
}

/// All cases below a directory, sorted by name.
///
/// # Errors
/// A directory that cannot be read, or the first case that is not well formed.
pub fn read_all(root: &Path) -> Result<Vec<Case>, String> {
    let mut paths = Vec::new();
    find(root, &mut paths)?;
    paths.sort();
    paths.iter().map(|path| Case::read(root, path)).collect()
}

fn find(dir: &Path, paths: &mut Vec<PathBuf>) -> Result<(), String> {
    let failed = |error: std::io::Error| format!("{}: {error}", dir.display());
    for entry in std::fs::read_dir(dir).map_err(failed)? {
        let path = entry.map_err(failed)?.path();
        if path.is_dir() {
            find(&path, paths)?;
        } else if path.extension().is_some_and(|extension| extension == "case") {
            paths.push(path);
        }
    }
    Ok(())
}

fn title(line: &str) -> Option<&str> {
    line.strip_prefix("---- ").map(str::trim)
}

/// The first word of a verifier's title stands for all kernels.
fn rank(name: &str) -> usize {
    let known = |title: &&str| *title == name || (*title == "verifier" && name.starts_with("verifier "));
    TITLES.iter().position(known).unwrap_or(TITLES.len())
}

fn read_head(head: &str) -> Result<(Directives, String), String> {
    let mut directives = Directives::default();
    let comments = head.lines().take_while(|line| line.starts_with('#')).count();
    for (number, line) in head.lines().take(comments).enumerate() {
        if let Some((key, value)) = directive(line) {
            directives.set(key, value).map_err(|error| format!("line {}: {error}", number + 1))?;
        }
    }
    let sql: Vec<&str> = head.lines().skip(comments).collect();
    Ok((directives, sql.join("\n").trim_end().to_string()))
}

/// `# key: value`; a key is one word in lower case, so that prose with a colon in it is prose.
fn directive(line: &str) -> Option<(&str, &str)> {
    let (key, value) = line.strip_prefix("# ")?.split_once(':')?;
    let is_key = !key.is_empty() && key.chars().all(|c| c.is_ascii_lowercase() || c == '-');
    is_key.then(|| (key, value.trim()))
}

fn read_sections(text: &str) -> Result<Vec<Section>, String> {
    let mut sections: Vec<Section> = Vec::new();
    for line in text.lines() {
        match (title(line), sections.last_mut()) {
            (Some(title), _) => {
                if rank(title) == TITLES.len() {
                    return Err(format!("no section is called \"{title}\"; there are {}", TITLES.join(", ")));
                }
                if sections.iter().any(|section| section.title == title) {
                    return Err(format!("two sections are called \"{title}\""));
                }
                sections.push(Section { title: title.to_string(), body: String::new() });
            }
            (None, Some(section)) => {
                section.body.push_str(line.trim_end());
                section.body.push('\n');
            }
            (None, None) => {}
        }
    }
    for section in &mut sections {
        section.body = ended(&section.body);
    }
    Ok(sections)
}

/// Text whose lines end without blanks and that ends in one newline, or is empty.
pub fn ended(text: &str) -> String {
    let lines: Vec<&str> = text.lines().map(str::trim_end).collect();
    let joined = lines.join("\n");
    let body = joined.trim_end_matches('\n');
    if body.is_empty() { String::new() } else { format!("{body}\n") }
}

impl Directives {
    fn set(&mut self, key: &str, value: &str) -> Result<(), String> {
        let wrong = || format!("\"{value}\" is no value for \"{key}\"");
        match key {
            "snapshot" => self.snapshot = Some(value.to_string()),
            "target" if matches!(value, "portable" | "this") => self.target = Some(value.to_string()),
            "target" => return Err(wrong()),
            "args" => self.args.extend(words(value)?),
            "workload" => self.workload = words(value)?,
            "cpus" => self.cpus = Some(value.parse().map_err(|_| wrong())?),
            "wall-offset" => self.wall_offset = Some(time(value).ok_or_else(wrong)?),
            "start" => self.start = Some(time(value).ok_or_else(wrong)?),
            "align" => self.align = Some(time(value).filter(|ns| *ns > 0).ok_or_else(wrong)?),
            "exit" => self.exit = Some(value.parse().map_err(|_| wrong())?),
            "losses" => self.losses.extend(list(value)),
            _ => return Err(format!("no directive is called \"{key}\"")),
        }
        Ok(())
    }
}

/// Nanoseconds, plain or as a duration.
fn time<T: TryFrom<i128>>(value: &str) -> Option<T> {
    crate::input::int(value).and_then(|ns| T::try_from(ns).ok())
}

fn list(value: &str) -> impl Iterator<Item = String> {
    value.split(',').map(|item| item.trim().to_string()).filter(|item| !item.is_empty())
}

/// Words as a shell splits them: blanks separate, quotes of both kinds hold together.
///
/// # Errors
/// A quote without its end.
pub fn words(text: &str) -> Result<Vec<String>, String> {
    let mut words = Vec::new();
    let mut word: Option<String> = None;
    let mut quote = None;
    for c in text.chars() {
        match (quote, c) {
            (Some(open), c) if c == open => quote = None,
            (None, '\'' | '"') => {
                quote = Some(c);
                word.get_or_insert_default();
            }
            (None, c) if c.is_whitespace() => words.extend(word.take()),
            (_, c) => word.get_or_insert_default().push(c),
        }
    }
    words.extend(word);
    if quote.is_some() { Err(format!("a quote is open: {text}")) } else { Ok(words) }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "# Why: because.\n# args: --for 2s --param 'x=a b'\n# losses: reads, misses\nSELECT 1\n\n---- plan\na\n\n---- rows interp\n1\n";

    fn parse(text: &str) -> Result<Case, String> {
        Case::parse("area/name", Path::new("name.case"), text)
    }

    #[test]
    fn what_is_read_prints_as_it_was() {
        let case = parse(TEXT).expect("a sound case");
        assert_eq!(case.text(), TEXT);
        assert_eq!(case.sql, "SELECT 1");
        assert_eq!(case.directives.args, ["--for", "2s", "--param", "x=a b"]);
        assert_eq!(case.directives.losses, ["reads", "misses"]);
        assert_eq!(case.section("plan").map(|section| section.body.as_str()), Some("a\n"));
    }

    #[test]
    fn a_new_section_goes_to_its_place() {
        let mut case = parse(TEXT).expect("a sound case");
        case.set("ir", "x\n".to_string());
        let titles: Vec<&str> = case.sections.iter().map(|section| section.title.as_str()).collect();
        assert_eq!(titles, ["plan", "ir", "rows interp"]);
    }

    #[test]
    fn what_is_not_known_is_refused() {
        for (text, expect) in [
            ("# snapshto: x\nSELECT 1\n", "line 1: no directive is called \"snapshto\""),
            ("# cpus: many\nSELECT 1\n", "line 1: \"many\" is no value for \"cpus\""),
            ("SELECT 1\n---- plam\n", "no section is called \"plam\""),
            ("SELECT 1\n---- plan\n---- plan\n", "two sections are called \"plan\""),
            ("# args: 'x\nSELECT 1\n", "line 1: a quote is open"),
        ] {
            let error = parse(text).expect_err(text);
            assert!(error.starts_with(expect), "{error}");
        }
    }
}
