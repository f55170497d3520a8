//! The section of instructions: how many, what for, and both programs side by side where ours is longer.
//!
//! What must hold: a workload whose program has more instructions than usual C's is shown with both listings and its reason, which
//! stands in `NAME.slots.md` beside the SQL; one whose work alone has more is in bold.

use crate::instructions::{Listing, Programs};
use crate::page::short;
use crate::workload::Workload;
use std::fmt::Write;

/// The section.
pub(crate) fn section(programs: &[(Workload, Programs)], why: impl Fn(&str) -> Option<String>) -> String {
    let mut text = "\
## Instructions

Eight-byte slots of the programs above, as they are compiled for this kernel. This C counts no losses and knows no NULL, and its sums
are of 64 bits. Of bpfquery's instructions those that do the program's work stand first; then those that are there to count losses
and rows that a join leaves out, or to ask for them, to say what is NULL, and to keep sums of 128 bits. Where the work alone takes
more than usual C, it is in bold; where the program is longer as a whole, both stand below, with the reason. C of the same meaning
(`testdata/clang`) has the same maps, counters and NULLs on kernels from 5.10 on, and the ratio is to that.

| workload | its work | losses | NULLs | 128 bits | bpfquery | C, usual | C, best | C, same meaning | ratio |
|---|--:|--:|--:|--:|--:|--:|--:|--:|--:|
"
    .to_string();
    for (workload, programs) in programs {
        let slots = |listing: Option<&Listing>| listing.map_or("–".to_string(), |listing| listing.slots.to_string());
        let (usual, best) = (slots(programs.usual.as_ref()), slots(programs.best.as_ref()));
        let same = slots(programs.same.as_ref());
        match &programs.ours {
            Ok(ours) => {
                let [work, losses, nulls, wide] = ours.purposes;
                let more = programs.usual.as_ref().is_some_and(|usual| work as usize > usual.slots);
                let mark = if more { "**" } else { "" };
                let ratio = programs.same.as_ref().map_or("–".to_string(), |same| {
                    format!("{:.2}", ours.listing.slots as f64 / same.slots.max(1) as f64)
                });
                let _ = writeln!(
                    text,
                    "| {} | {mark}{work}{mark} | {losses} | {nulls} | {wide} | {} | {usual} | {best} | {same} | {ratio} |",
                    workload.title, ours.listing.slots
                );
            }
            Err(error) => {
                let _ =
                    writeln!(text, "| {} | {} | | | | | {usual} | {best} | {same} | |", workload.title, short(error));
            }
        }
    }
    for (workload, programs) in programs {
        text.push_str(&beside(workload, programs, &why));
    }
    text
}

/// Both programs, if ours is longer.
fn beside(workload: &Workload, programs: &Programs, why: &impl Fn(&str) -> Option<String>) -> String {
    let (Ok(ours), Some(usual)) = (&programs.ours, &programs.usual) else { return String::new() };
    if ours.listing.slots <= usual.slots {
        return String::new();
    }
    let reason = why(&workload.name).unwrap_or_else(|| "Nobody has written down yet why.".to_string());
    format!(
        "\n<details><summary>{}: {} and {}</summary>\n\n{}\n\n| bpfquery | C, usual, by clang |\n|---|---|\n| {} | {} |\n\n</details>\n",
        workload.title,
        ours.listing.slots,
        usual.slots,
        reason.trim(),
        cell(&ours.listing.text),
        cell(&usual.text)
    )
}

/// A listing in one cell of a table.
fn cell(text: &str) -> String {
    let escaped = text.trim_end().replace('&', "&amp;").replace('<', "&lt;").replace('|', "&#124;");
    format!("<pre>{}</pre>", escaped.replace('\n', "<br>"))
}

#[cfg(test)]
mod tests {
    use super::cell;

    #[test]
    fn a_listing_fits_a_cell() {
        assert_eq!(cell("  r1 <<= 3\n  r1 |= r2\n"), "<pre>  r1 &lt;&lt;= 3<br>  r1 &#124;= r2</pre>");
    }
}
