//! The checked-in list of what a kernel cannot run.
//!
//! ```text
//! # why it is so
//! feature kprobes
//! case relations/data-location
//! ```
//!
//! A line that is not used up is as wrong as a skip that is not in the list.

use super::{Features, Skip};
use std::collections::BTreeMap;
use std::path::Path;

/// The list, and which of its cases were skipped.
#[derive(Clone, Debug, Default)]
pub(crate) struct Skips {
    features: Vec<String>,
    cases: BTreeMap<String, bool>,
}

impl Skips {
    pub(crate) fn read(path: Option<&Path>) -> Result<Skips, String> {
        let Some(path) = path else { return Ok(Skips::default()) };
        let text = std::fs::read_to_string(path).map_err(|error| format!("{}: {error}", path.display()))?;
        Skips::parse(&text).map_err(|error| format!("{}: {error}", path.display()))
    }

    fn parse(text: &str) -> Result<Skips, String> {
        let mut skips = Skips::default();
        for (number, line) in text.lines().enumerate() {
            let line = line.split('#').next().unwrap_or("").trim();
            match line.split_once(' ') {
                None if line.is_empty() => {}
                Some(("feature", name)) => skips.features.push(name.trim().to_string()),
                Some(("case", name)) => drop(skips.cases.insert(name.trim().to_string(), false)),
                _ => return Err(format!("line {}: \"{line}\" is not understood", number + 1)),
            }
        }
        Ok(skips)
    }

    /// Whether the list has this skip; notes that it happened.
    pub(crate) fn expects(&mut self, case: &str, skip: &Skip) -> bool {
        match (skip, self.cases.get_mut(case)) {
            (Skip::Feature(name, _), None) => self.features.contains(name),
            (_, Some(seen)) => {
                *seen = true;
                true
            }
            (Skip::Absent(_), None) => false,
        }
    }

    /// What the list says and what is not so.
    pub(crate) fn unmet(&self, features: &Features) -> Vec<String> {
        let works = self.features.iter().filter_map(|name| match features.works(name) {
            Some(true) => Some(format!("{name} work here, and the list says that they do not")),
            Some(false) => None,
            None => Some(format!("nothing is called \"{name}\"")),
        });
        let ran = self.cases.iter().filter(|(_, skipped)| !**skipped);
        works.chain(ran.map(|(name, _)| format!("case {name} was not skipped"))).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_skip_must_be_listed() {
        let mut skips = Skips::parse("# none\nfeature kprobes # not built in\n\ncase a/b\n").expect("sound");
        let feature = |name: &str| Skip::Feature(name.to_string(), String::new());
        assert!(skips.expects("x/y", &feature("kprobes")));
        assert!(!skips.expects("x/y", &feature("BTF trampolines")));
        assert!(!skips.expects("x/y", &Skip::Absent("no such event".to_string())));
        assert_eq!(skips.cases.get("a/b"), Some(&false));
        assert!(skips.expects("a/b", &Skip::Absent("no such event".to_string())));
        assert_eq!(skips.cases.get("a/b"), Some(&true));
        assert!(Skips::parse("kprobes\n").is_err());
    }
}
