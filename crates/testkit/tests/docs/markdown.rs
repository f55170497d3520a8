//! As much of Markdown as the pages use: fenced blocks, lists between markers, links.

use std::path::Path;

/// A page, in parts.
#[derive(Clone)]
pub(crate) struct Page {
    pub(crate) parts: Vec<Part>,
}

/// A part of a page.
#[derive(Clone)]
pub(crate) enum Part {
    /// Lines of prose, each ending in a newline.
    Prose(String),
    /// A fenced block.
    Block(Block),
    /// What stands between `<!-- made: NAME -->` and `<!-- end -->`.
    Made {
        /// What it is made of.
        name: String,
        /// The lines between.
        body: String,
    },
}

/// A fenced block.
#[derive(Clone)]
pub(crate) struct Block {
    /// What stands behind the opening fence: `sql`, `text explain plan`.
    pub(crate) info: String,
    /// The lines between the fences.
    pub(crate) body: String,
    /// The line of the opening fence, counted from 1.
    pub(crate) line: usize,
}

const FENCE: &str = "```";
const MADE: &str = "<!-- made: ";
const END: &str = "<!-- end -->";

impl Page {
    /// Reads a page.
    pub(crate) fn parse(text: &str) -> Result<Page, String> {
        let mut parts = Vec::new();
        let mut lines = text.lines().enumerate();
        while let Some((number, line)) = lines.next() {
            let mut until = |end: &str| {
                let mut body = String::new();
                for (_, line) in lines.by_ref() {
                    if line == end {
                        return Ok(body);
                    }
                    body.push_str(line);
                    body.push('\n');
                }
                Err(format!("line {}: nothing closes \"{line}\"", number + 1))
            };
            if let Some(info) = line.strip_prefix(FENCE) {
                let body = until(FENCE)?;
                parts.push(Part::Block(Block { info: info.to_string(), body, line: number + 1 }));
            } else if let Some(name) = line.strip_prefix(MADE).and_then(|rest| rest.strip_suffix(" -->")) {
                parts.push(Part::Made { name: name.to_string(), body: until(END)? });
            } else if let Some(Part::Prose(prose)) = parts.last_mut() {
                prose.push_str(line);
                prose.push('\n');
            } else {
                parts.push(Part::Prose(format!("{line}\n")));
            }
        }
        Ok(Page { parts })
    }

    /// The page's text.
    pub(crate) fn text(&self) -> String {
        let part = |part: &Part| match part {
            Part::Prose(prose) => prose.clone(),
            Part::Block(block) => format!("{FENCE}{}\n{}{FENCE}\n", block.info, block.body),
            Part::Made { name, body } => format!("{MADE}{name} -->\n{body}{END}\n"),
        };
        self.parts.iter().map(part).collect()
    }

    /// The prose alone.
    pub(crate) fn prose(&self) -> String {
        let prose = |part: &Part| match part {
            Part::Prose(prose) => Some(prose.clone()),
            Part::Block(_) | Part::Made { .. } => None,
        };
        self.parts.iter().filter_map(prose).collect()
    }
}

/// The page's links to files that are not there.
pub(crate) fn broken_links(root: &Path, name: &str) -> Vec<String> {
    let path = root.join(name);
    let text = std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    let prose = Page::parse(&text).unwrap_or_else(|error| panic!("{name}: {error}")).prose();
    let links = prose.split("](").skip(1).filter_map(|rest| rest.split(')').next());
    let files = links.filter(|link| !link.contains("://") && !link.starts_with('#'));
    let here = |link: &&str| path.with_file_name(link.split('#').next().unwrap_or(link)).exists();
    files.filter(|link| !here(link)).map(|link| format!("{name}: {link}")).collect()
}
