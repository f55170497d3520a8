//! The query's tokens with their places in bytes, from which the partial spans of the parser are made whole.
//!
//! What must hold: tokens are in order and do not overlap; each span is that of the token's own text.

use super::syntax;
use bpfquery_diag::{Diagnostic, Result, Span};
use sqlparser::dialect::Dialect;
use sqlparser::keywords::Keyword;
use sqlparser::tokenizer::{Location, Token, TokenWithSpan, Tokenizer, Word};

/// The tokens of a query, white space and comments left out.
pub(super) struct Tokens<'a> {
    /// The query's text, comments blanked.
    pub text: &'a str,
    /// What stands where, in order.
    pub list: Vec<Tok>,
    places: Places,
}

/// A token.
#[derive(Clone, Debug)]
pub(super) struct Tok {
    /// What it is.
    pub token: Token,
    /// Its bytes.
    pub span: Span,
    /// Where the tokenizer says it starts.
    location: sqlparser::tokenizer::Span,
}

/// Splits the text into tokens.
pub(super) fn tokenize<'a>(dialect: &dyn Dialect, text: &'a str) -> Result<Tokens<'a>> {
    let places = Places::new(text);
    let raw = Tokenizer::new(dialect, text)
        .tokenize_with_location()
        .map_err(|error| syntax::token(&error.message, places.offset(error.location), text))?;
    let all: Vec<Tok> = raw
        .into_iter()
        .map(|TokenWithSpan { token, span }| {
            let (start, end) = (places.offset(span.start), places.offset(span.end));
            Tok { token, span: Span::new(start, end), location: span }
        })
        .filter(|tok| !matches!(tok.token, Token::Whitespace(_)))
        .collect();
    let list = globs(numbers(all, text)?, text);
    refuse(&list)?;
    Ok(Tokens { text, list, places })
}

/// Numbers as they were written (`0xFF`, `0b1`), and no junk behind them.
fn numbers(all: Vec<Tok>, text: &str) -> Result<Vec<Tok>> {
    let mut out: Vec<Tok> = Vec::new();
    for tok in all {
        let written = slice(text, tok.span);
        let is_number = match &tok.token {
            Token::Number(_, _) => true,
            Token::HexStringLiteral(_) => written.starts_with("0x"),
            _ => false,
        };
        match out.last_mut() {
            Some(before) if touches(before, &tok) && matches!(before.token, Token::Number(..)) => {
                let joined = Span::new(before.span.start as usize, tok.span.end as usize);
                let based = slice(text, before.span) == "0" && starts_based(written);
                if matches!(tok.token, Token::Word(_)) && based {
                    before.token = Token::Number(slice(text, joined).to_string(), false);
                    before.span = joined;
                    before.location.end = tok.location.end;
                    continue;
                }
                if is_number || matches!(tok.token, Token::Word(_)) {
                    return Err(junk(slice(text, joined), joined));
                }
            }
            Some(before) if touches(before, &tok) && is_number && matches!(before.token, Token::Word(_)) => {
                return Err(junk(written, tok.span));
            }
            _ => {}
        }
        match is_number {
            true if written.ends_with('L') => return Err(junk(written, tok.span)),
            true => out.push(Tok { token: Token::Number(written.to_string(), false), ..tok }),
            false => out.push(tok),
        }
    }
    Ok(out)
}

/// Whether a word behind a 0 makes it a number in another base.
fn starts_based(word: &str) -> bool {
    let digits = |radix: u32| word.len() > 1 && word[1..].chars().all(|c| c.is_digit(radix) || c == '_');
    match word.as_bytes().first() {
        Some(b'x' | b'X') => digits(16),
        Some(b'o' | b'O') => digits(8),
        Some(b'b' | b'B') => digits(2),
        _ => false,
    }
}

fn junk(what: &str, span: Span) -> bpfquery_diag::Failure {
    let fact = format!("trailing junk after a number: \"{what}\"");
    let unit = what.trim_start_matches(|c: char| c.is_ascii_digit());
    let help = match unit {
        "ns" | "us" | "ms" | "s" | "min" | "h" | "d" if unit != what => {
            let number = what.strip_suffix(unit).unwrap_or_default();
            format!("write a duration as interval '{number} {unit}'")
        }
        _ => "put a blank between number and name; put a name that starts with a digit in double quotes".to_string(),
    };
    Diagnostic::new("syntax", span, fact).help(help).into()
}

/// Merges `vfs_*` behind FROM, JOIN or a comma into one word: what touches belongs together.
fn globs(all: Vec<Tok>, text: &str) -> Vec<Tok> {
    let mut out: Vec<Tok> = Vec::new();
    let (mut in_from, mut at) = (false, 0);
    while at < all.len() {
        let tok = &all[at];
        let after_distinct = out.last().is_some_and(|before| is_word(before, "DISTINCT"));
        let opens = match &tok.token {
            Token::Word(w) => {
                matches!(w.keyword, Keyword::FROM | Keyword::JOIN) && w.quote_style.is_none() && !after_distinct
            }
            Token::Comma => in_from,
            _ => false,
        };
        in_from = in_from && !matches!(tok.token, Token::RParen | Token::LParen) && !ends_from(tok) || opens;
        out.push(tok.clone());
        at += 1;
        if opens {
            at = relation_name(&all, at, &mut out, text);
        }
    }
    out
}

fn ends_from(tok: &Tok) -> bool {
    ["WHERE", "GROUP", "HAVING", "ORDER", "LIMIT", "OFFSET", "UNION", "ON"].iter().any(|word| is_word(tok, word))
}

/// Copies the tokens of a dotted name from `at` on; those between two dots become one word if a `*` or `?` is among them.
fn relation_name(all: &[Tok], mut at: usize, out: &mut Vec<Tok>, text: &str) -> usize {
    let part_of_name =
        |tok: &Tok| matches!(tok.token, Token::Word(_) | Token::Mul | Token::Placeholder(_) | Token::Number(..));
    let mut dotted = false;
    loop {
        let start = at;
        while at < all.len() && part_of_name(&all[at]) && (at == start || touches(&all[at - 1], &all[at])) {
            at += 1;
        }
        let part = &all[start..at];
        let wild = part.iter().any(|tok| matches!(tok.token, Token::Mul | Token::Placeholder(_)));
        match (part, wild && (dotted || part.len() > 1)) {
            ([first, .., last] | [first @ last], true) => {
                let span = first.span.to(last.span);
                let value = slice(text, span).to_string();
                let token = Token::Word(Word { value, quote_style: Some('"'), keyword: Keyword::NoKeyword });
                let location = sqlparser::tokenizer::Span::new(first.location.start, last.location.end);
                out.push(Tok { token, span, location });
            }
            (part, _) => out.extend(part.iter().cloned()),
        }
        let dot = at > start && at < all.len() && all[at].token == Token::Period && touches(&all[at - 1], &all[at]);
        if !dot || all.get(at + 1).is_none_or(|next| !touches(&all[at], next)) {
            return at;
        }
        out.push(all[at].clone());
        (at, dotted) = (at + 1, true);
    }
}

/// Tokens that are in no query of ours, whose plain reading would surprise.
fn refuse(list: &[Tok]) -> Result<()> {
    for tok in list {
        let (fact, help) = match &tok.token {
            Token::DoubleEq => ("\"==\" is no operator", "compare with \"=\""),
            Token::Overlap => ("\"&&\" is no operator here", "write AND"),
            Token::Char('`') => ("\"`\" is no quote", "put names in double quotes, texts in single ones"),
            Token::Placeholder(name) if name.starts_with('?') => {
                ("\"?\" is no parameter", "name parameters $1, $2 or :name")
            }
            _ => continue,
        };
        return Err(Diagnostic::new("syntax", tok.span, fact).help(help).into());
    }
    Ok(())
}

fn touches(a: &Tok, b: &Tok) -> bool {
    a.span.end == b.span.start
}

/// Whether the token is this word, unquoted, in any case.
pub(super) fn is_word(tok: &Tok, word: &str) -> bool {
    matches!(&tok.token, Token::Word(w) if w.quote_style.is_none() && w.value.eq_ignore_ascii_case(word))
}

/// The text of a span; nothing where the span is not one of this text.
pub(super) fn slice(text: &str, span: Span) -> &str {
    text.get(span.start as usize..span.end as usize).unwrap_or("")
}

impl Tokens<'_> {
    /// For the parser.
    pub(super) fn for_parser(&self) -> Vec<TokenWithSpan> {
        let plain = |tok: &Tok| TokenWithSpan { token: tok.token.clone(), span: tok.location };
        // The parser takes a parameter's colon and its name apart unless nothing stands between them, and asks for the
        // next token as it is; a blank keeps `: name` from being read as one.
        let mut out: Vec<TokenWithSpan> = Vec::with_capacity(self.list.len());
        for (i, tok) in self.list.iter().enumerate() {
            if i > 0 && self.list[i - 1].token == Token::Colon && !touches(&self.list[i - 1], tok) {
                let blank = Token::Whitespace(sqlparser::tokenizer::Whitespace::Space);
                out.push(TokenWithSpan { token: blank, span: tok.location });
            }
            out.push(plain(tok));
        }
        out
    }

    /// The bytes of a place that the parser names; the default span for a place it does not know.
    pub(super) fn span(&self, span: sqlparser::tokenizer::Span) -> Span {
        if span.start.line == 0 || span.end.line == 0 {
            return Span::default();
        }
        Span::new(self.places.offset(span.start), self.places.offset(span.end))
    }

    /// The byte of a line and a column.
    pub(super) fn offset(&self, location: Location) -> usize {
        self.places.offset(location)
    }

    /// The first token that starts at this byte or behind it.
    pub(super) fn at(&self, byte: u32) -> usize {
        self.list.partition_point(|tok| tok.span.start < byte)
    }

    /// The first token behind a span.
    pub(super) fn after(&self, span: Span) -> usize {
        self.at(span.end)
    }

    /// The last token before a span.
    pub(super) fn before(&self, span: Span) -> Option<usize> {
        self.at(span.start).checked_sub(1)
    }

    /// The span of a token; that of the text's end where there is none.
    pub(super) fn span_at(&self, index: usize) -> Span {
        self.list.get(index).map_or_else(|| self.end(), |tok| tok.span)
    }

    /// The empty span behind the last token.
    pub(super) fn end(&self) -> Span {
        let end = self.list.last().map_or(0, |tok| tok.span.end as usize);
        Span::new(end, end)
    }

    /// Whether the token there is this word.
    pub(super) fn word_at(&self, index: usize, word: &str) -> bool {
        self.list.get(index).is_some_and(|tok| is_word(tok, word))
    }

    /// Whether the token there is this one.
    pub(super) fn token_at(&self, index: usize, token: &Token) -> bool {
        self.list.get(index).is_some_and(|tok| tok.token == *token)
    }

    /// The index of the parenthesis or bracket that closes the one at `open`; the last token where none does.
    pub(super) fn closing(&self, open: usize) -> usize {
        let mut depth = 0usize;
        for (i, tok) in self.list.iter().enumerate().skip(open) {
            match tok.token {
                Token::LParen | Token::LBracket => depth += 1,
                Token::RParen | Token::RBracket => depth = depth.saturating_sub(1),
                _ => {}
            }
            if depth == 0 {
                return i;
            }
        }
        self.list.len().saturating_sub(1)
    }

    /// The first of these words in `start..` that stands outside all parentheses opened there; for pointing at a clause.
    pub(super) fn clause(&self, start: usize, words: &[&str]) -> Option<Span> {
        let mut depth = 0i32;
        for tok in self.list.iter().skip(start) {
            match tok.token {
                Token::LParen | Token::LBracket => depth += 1,
                Token::RParen | Token::RBracket => depth -= 1,
                _ if depth == 0 && words.iter().any(|word| is_word(tok, word)) => return Some(tok.span),
                _ => {}
            }
        }
        None
    }
}

/// From line and column, as the tokenizer counts them, to bytes.
struct Places {
    /// The byte of every character, and the text's length behind the last.
    bytes: Vec<u32>,
    /// For every line, the index in `bytes` of its first character.
    lines: Vec<u32>,
}

impl Places {
    fn new(text: &str) -> Places {
        let narrow = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
        let (mut bytes, mut lines) = (Vec::with_capacity(text.len() + 1), vec![0]);
        for (at, c) in text.char_indices() {
            bytes.push(narrow(at));
            if c == '\n' {
                lines.push(narrow(bytes.len()));
            }
        }
        bytes.push(narrow(text.len()));
        Places { bytes, lines }
    }

    fn offset(&self, location: Location) -> usize {
        let index = |n: u64| usize::try_from(n.saturating_sub(1)).unwrap_or(usize::MAX);
        let first = self.lines.get(index(location.line)).or(self.lines.last()).map_or(0, |n| *n as usize);
        let at = first.saturating_add(index(location.column)).min(self.bytes.len() - 1);
        self.bytes[at] as usize
    }
}
