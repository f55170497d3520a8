//! The handbook's pages against the program: every query compiles, every stage's text, message and row is what comes out today,
//! every list is complete.
//!
//! `BLESS=1 cargo test -p bpfquery-testkit --test docs` rewrites what differs and can be made. What must hold: no block is left
//! unchecked without its first line saying so. Not checked: output that only a kernel can give (`console kernel`), of which the
//! queries alone are compiled, and prose.

mod blocks;
mod invariants;
mod lists;
mod markdown;

use bpfquery_testkit::compare::differ;
use markdown::Page;
use std::path::{Path, PathBuf};

/// The project's root.
fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// Every page, from the root.
fn pages() -> Vec<String> {
    let docs = std::fs::read_dir(root().join("docs")).expect("docs is a directory of the project");
    let names =
        docs.map(|entry| entry.expect("a directory that can be read").file_name().to_string_lossy().into_owned());
    let mut pages: Vec<String> =
        names.filter(|name| name.ends_with(".md")).map(|name| format!("docs/{name}")).collect();
    pages.extend(["README.md".to_string(), "CHANGELOG.md".to_string()]);
    pages.sort();
    pages
}

/// Compares a page with what it should be, or rewrites it.
fn same(name: &str, make: impl Fn(&Page) -> Result<Page, String>) {
    let path = root().join(name);
    let text = std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    let page = Page::parse(&text).unwrap_or_else(|error| panic!("{name}: {error}"));
    assert_eq!(page.text(), text, "{name}: a page prints as it was read");
    let made = make(&page).unwrap_or_else(|error| panic!("{name}: {error}")).text();
    if let Some(diff) = differ(&text, &made) {
        if std::env::var_os("BLESS").is_some() {
            std::fs::write(&path, made).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
            return;
        }
        panic!("{name} is not what the program does:\n{diff}\nif the program is right: make bless\n");
    }
}

#[test]
fn pages_are_what_the_program_does() {
    pages().iter().for_each(|page| same(page, |page| blocks::made(&lists::made(page)?)));
}

#[test]
fn every_dependency_has_its_reason() {
    lists::dependencies(&root()).unwrap_or_else(|error| panic!("docs/dependencies.md: {error}"));
}

#[test]
fn crates_stand_in_reading_order() {
    lists::crates(&root()).unwrap_or_else(|error| panic!("docs/architecture.md: {error}"));
}

#[test]
fn every_part_of_a_case_is_told() {
    lists::cases(&root()).unwrap_or_else(|error| panic!("docs/testing.md: {error}"));
}

#[test]
fn links_lead_somewhere() {
    let broken: Vec<String> = pages().iter().flat_map(|page| markdown::broken_links(&root(), page)).collect();
    assert!(broken.is_empty(), "{broken:#?}");
}
