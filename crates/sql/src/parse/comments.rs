//! Comments that SQL does not have: `// …` to the end of the line, and a first line that starts with `#!`.
//!
//! They become blanks, byte for byte, so that every place in the text stays where it was. What stands in quotes, dollar quotes
//! and SQL's own comments is left alone. Not checked: that quotes are closed; the tokenizer says so.

/// The text with those comments blanked.
pub(super) fn blank(text: &str) -> String {
    let mut out = text.as_bytes().to_vec();
    for (piece, start, end) in pieces(text) {
        if piece == Piece::Ours {
            out[start..end].fill(b' ');
        }
    }
    // Whole characters were replaced by ASCII blanks: a comment starts and ends at ASCII bytes.
    String::from_utf8(out).unwrap_or_else(|_| text.to_string())
}

/// Where the comment or dollar quote starts that runs to the end of the text because nothing closes it.
pub(super) fn never_closed(text: &str) -> Option<usize> {
    let (piece, start, end) = pieces(text).pop()?;
    (piece == Piece::Quoted && end == text.len()).then_some(start)
}

/// What a stretch of text is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Piece {
    /// A comment that SQL does not have.
    Ours,
    /// A quote, or a comment of SQL's own.
    Quoted,
}

/// The stretches that are not plain SQL, in order: what, from where, to where.
fn pieces(text: &str) -> Vec<(Piece, usize, usize)> {
    let bytes = text.as_bytes();
    let mut pieces = Vec::new();
    let mut at = 0;
    if text.starts_with("#!") {
        at = line_end(bytes, 0);
        pieces.push((Piece::Ours, 0, at));
    }
    while at < bytes.len() {
        let (piece, end) = match &bytes[at..] {
            [b'/', b'/', ..] => (Piece::Ours, line_end(bytes, at)),
            [b'-', b'-', ..] => (Piece::Quoted, line_end(bytes, at)),
            [b'/', b'*', ..] => (Piece::Quoted, block_end(bytes, at)),
            [b'e' | b'E', b'\'', ..] if !in_word(bytes, at) => (Piece::Quoted, quote_end(bytes, at + 1, true)),
            [b'\'' | b'"', ..] => (Piece::Quoted, quote_end(bytes, at, false)),
            [b'$', ..] if !in_word(bytes, at) => (Piece::Quoted, dollar_end(text, at)),
            _ => {
                at += 1;
                continue;
            }
        };
        pieces.push((piece, at, end));
        at = end;
    }
    pieces
}

fn line_end(bytes: &[u8], at: usize) -> usize {
    bytes[at..].iter().position(|b| *b == b'\n').map_or(bytes.len(), |n| at + n)
}

/// Behind `*/`; such comments nest in PostgreSQL.
fn block_end(bytes: &[u8], mut at: usize) -> usize {
    let mut depth = 0;
    while at < bytes.len() {
        match &bytes[at..] {
            [b'/', b'*', ..] => (depth, at) = (depth + 1, at + 2),
            [b'*', b'/', ..] if depth == 1 => return at + 2,
            [b'*', b'/', ..] => (depth, at) = (depth - 1, at + 2),
            _ => at += 1,
        }
    }
    at
}

/// Behind the closing quote. A doubled quote closes and opens again at once, which comes to the same.
fn quote_end(bytes: &[u8], at: usize, escapes: bool) -> usize {
    let quote = bytes[at];
    let mut at = at + 1;
    while at < bytes.len() && bytes[at] != quote {
        at += if escapes && bytes[at] == b'\\' { 2 } else { 1 };
    }
    (at + 1).min(bytes.len())
}

/// Behind `$tag$ … $tag$`, or behind the `$` where it opens no quote.
fn dollar_end(text: &str, at: usize) -> usize {
    let rest = &text[at + 1..];
    let Some((tag, body)) = rest.split_once('$') else { return at + 1 };
    if !tag.chars().all(|c| c.is_alphanumeric() || c == '_') || tag.starts_with(|c: char| c.is_ascii_digit()) {
        return at + 1;
    }
    let closing = format!("${tag}$");
    let start = text.len() - body.len();
    body.find(&closing).map_or(text.len(), |n| start + n + closing.len())
}

/// Whether the byte continues a word, so that it cannot start a prefix or a quote.
fn in_word(bytes: &[u8], at: usize) -> bool {
    at > 0 && (bytes[at - 1].is_ascii_alphanumeric() || matches!(bytes[at - 1], b'_' | b'$' | 0x80..))
}

#[cfg(test)]
mod tests {
    use super::blank;

    #[test]
    fn only_comments_are_blanked() {
        let check = |text: &str, expect: &str| assert_eq!(blank(text), expect);
        check("#!/usr/bin/bpfquery run\nselect 1", "                       \nselect 1");
        check("select 1 // don't\n, 2", "select 1         \n, 2");
        check("select 'a//b', \"c//d\" -- //\n, /* // */ 1", "select 'a//b', \"c//d\" -- //\n, /* // */ 1");
        check("select E'\\'//', $$ // $$, $q$ // $q$ // x", "select E'\\'//', $$ // $$, $q$ // $q$     ");
        check("select $1 // x", "select $1     ");
        check("// é\nselect 'é'", "     \nselect 'é'");
        check("select 1 #! 2", "select 1 #! 2");
        check("select 'open // x", "select 'open // x");
        check("/* /* // */ // */ // x", "/* /* // */ // */     ");
    }
}
