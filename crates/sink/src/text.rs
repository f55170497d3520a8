//! Text that a terminal shows and does not obey.

use unicode_width::UnicodeWidthStr;

/// Appends text with everything that would move the cursor, start a sequence or turn the reading direction written as an
/// escape: `\n`, `\x1b`, `\u202e`. A backslash stays one, so the table is for people; JSON is for programs.
pub(crate) fn escape(out: &mut String, text: &str) {
    if text.bytes().all(|byte| (0x20..0x7f).contains(&byte)) {
        return out.push_str(text);
    }
    for c in text.chars() {
        match c {
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            c if c.is_ascii_control() => out.push_str(&format!("\\x{:02x}", u32::from(c))),
            c if c.is_control() || turns(c) => out.push_str(&format!("\\u{:04x}", u32::from(c))),
            c => out.push(c),
        }
    }
}

/// Whether a character changes the direction or the lines of the text around it (Unicode's Bidi_Control, and the separators
/// U+2028 and U+2029).
fn turns(c: char) -> bool {
    matches!(c, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// Columns that escaped text takes on a terminal.
pub(crate) fn width(text: &str) -> usize {
    if text.is_ascii() { text.len() } else { text.width() }
}

#[cfg(test)]
mod tests {
    use super::{escape, width};

    #[test]
    fn escapes() {
        let check = |text: &str, expect: &str, columns: usize| {
            let mut out = String::new();
            escape(&mut out, text);
            assert_eq!((out.as_str(), width(&out)), (expect, columns), "{text:?}");
        };
        check("bash", "bash", 4);
        check("a\\b", "a\\b", 3);
        check("kworker/0:1\n", "kworker/0:1\\n", 13);
        check("\x1b[2J", "\\x1b[2J", 7);
        check("\u{9b}31m", "\\u009b31m", 9);
        check("evil\u{202e}gpj", "evil\\u202egpj", 13);
        check("\x7f\t\r\0", "\\x7f\\t\\r\\x00", 12);
        check("é", "é", 1);
        check("e\u{301}", "e\u{301}", 1);
        check("日本", "日本", 4);
        check("🦀", "🦀", 2);
    }
}
