//! `testdata/cases/errors`: every wrong query gives exactly the message that its file holds.
//!
//! What must hold: each case fails before code is generated. `BLESS=1` writes what the compiler says into the files.

mod support;

use std::path::{Path, PathBuf};

#[test]
fn wrong_queries_say_what_is_wrong() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../testdata/cases/errors");
    let cases = cases(&root);
    assert!(cases.len() >= 50, "only {} cases in {}", cases.len(), root.display());
    let bless = std::env::var_os("BLESS").is_some();
    let mut wrong = String::new();
    for path in cases {
        let text = std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        let case = Case::read(&text);
        let found = said(&case);
        let asked = case.error.as_deref();
        if asked != Some(&found) && bless && !found.starts_with("no error") {
            let written = format!("{}\n\n---- error\n{found}", case.head.trim_end());
            std::fs::write(&path, written).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        } else if asked != Some(&found) {
            wrong += &format!("{}\n-- asked\n{}-- found\n{found}\n", path.display(), asked.unwrap_or(""));
        }
    }
    assert!(wrong.is_empty(), "{wrong}\nBLESS=1 cargo test -p bpfquery-sql --test errors writes what was found");
}

/// What the compiler says, with no blanks at the ends of lines.
fn said(case: &Case) -> String {
    let kernel = support::kernel(case.snapshot.as_deref().unwrap_or("small"));
    match support::compile(&case.sql, &kernel) {
        Ok(()) => "no error\n".to_string(),
        Err(failure) => {
            let text = bpfquery_diag::render(&failure, &case.sql);
            text.lines().map(|line| format!("{}\n", line.trim_end())).collect()
        }
    }
}

struct Case {
    head: String,
    sql: String,
    snapshot: Option<String>,
    error: Option<String>,
}

impl Case {
    fn read(text: &str) -> Case {
        let (head, error) = match text.split_once("\n---- error\n") {
            Some((head, error)) => (head, Some(error.to_string())),
            None => (text, None),
        };
        let comments: Vec<&str> = head.lines().take_while(|line| line.starts_with('#')).collect();
        let sql: Vec<&str> = head.lines().skip(comments.len()).collect();
        let snapshot =
            comments.iter().find_map(|line| line.strip_prefix("# snapshot:")).map(|name| name.trim().to_string());
        Case { head: head.to_string(), sql: sql.join("\n").trim_end().to_string(), snapshot, error }
    }
}

fn cases(root: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(root).unwrap_or_else(|error| panic!("{}: {error}", root.display()));
    let mut paths: Vec<PathBuf> = entries.filter_map(|entry| Some(entry.ok()?.path())).collect();
    paths.retain(|path| path.extension().is_some_and(|extension| extension == "case"));
    paths.sort();
    paths
}
