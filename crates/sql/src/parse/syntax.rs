//! Syntax errors: where they are, what was found there, and the keyword that was probably meant.

use super::dialect::BpfDialect;
use super::tokens::{Tok, Tokens, slice};
use bpfquery_diag::{Diagnostic, Failure, Span, nearest};
use sqlparser::parser::ParserError;
use sqlparser::tokenizer::{Location, Token};

/// Words that start a clause; a misspelt one is often taken for an alias.
const CLAUSES: [&str; 11] =
    ["FROM", "WHERE", "GROUP", "BY", "HAVING", "ORDER", "LIMIT", "OFFSET", "SELECT", "AND", "FILTER"];

/// An error of the tokenizer at a byte of the text.
pub(super) fn token(message: &str, at: usize, text: &str) -> Failure {
    let open = |what: &str, help: &str| {
        let at = super::comments::never_closed(text).unwrap_or(at);
        Diagnostic::new("syntax", Span::new(at, at + 1), format!("{what} is never closed")).help(help.to_string())
    };
    let diagnostic = match message {
        m if m.contains("dollar-quoted") => open("a $$ quote", "close it with the $$ or $tag$ that opened it"),
        m if m.contains("Unterminated") && m.contains("string") => open("a text in quotes", "add the closing '"),
        m if m.contains("delimited identifier") || m.contains("close delimiter") => {
            open("a name in double quotes", "add the closing \"")
        }
        m if m.contains("EOF") && m.contains("comment") => open("a comment", "close it with */"),
        m => {
            let width = text.get(at..).and_then(|rest| rest.chars().next()).map_or(0, char::len_utf8);
            Diagnostic::new("syntax", Span::new(at, at + width), lower(m))
        }
    };
    diagnostic.into()
}

/// An error of the parser.
pub(super) fn parser(error: &ParserError, tokens: &Tokens<'_>, dialect: &BpfDialect) -> Failure {
    let message = match error {
        ParserError::RecursionLimitExceeded => return too_deep(tokens.span_at(tokens.at(start(tokens, dialect)))),
        ParserError::TokenizerError(message) | ParserError::ParserError(message) => message,
    };
    let (fact, location) = split_location(message);
    let at = location
        .map_or(tokens.list.len(), |location| tokens.at(u32::try_from(tokens.offset(location)).unwrap_or(u32::MAX)));
    let wanted = fact.strip_prefix("Expected: ").or_else(|| fact.strip_prefix("Expected "));
    let wanted = wanted.map(|rest| rest.split(", found: ").next().unwrap_or(rest));
    match wanted {
        Some(wanted) => unexpected(tokens, at, &expected(wanted)),
        None => Diagnostic::new("syntax", tokens.span_at(at), lower(fact)).into(),
    }
}

fn start(tokens: &Tokens<'_>, dialect: &BpfDialect) -> u32 {
    u32::try_from(tokens.offset(dialect.last())).unwrap_or(u32::MAX)
}

/// The query nests more deeply than the walks over it may.
pub(super) fn too_deep(span: Span) -> Failure {
    Diagnostic::new("too-deep", span, "the query nests too deeply")
        .help("45 parentheses or 100 operators one within the other are the most; x IN (…) replaces a long OR")
        .into()
}

/// `wanted` should stand where the token at `index` stands.
pub(super) fn unexpected(tokens: &Tokens<'_>, index: usize, wanted: &str) -> Failure {
    let span = tokens.span_at(index);
    let found = match tokens.list.get(index) {
        Some(tok) => format!("found \"{}\"", shortened(slice(tokens.text, tok.span))),
        None => "the query ends".to_string(),
    };
    let expected = Diagnostic::new("syntax", span, format!("expected {wanted}, {found}"));
    if let Some(meant) = tokens.list.get(index).and_then(misspelt) {
        return expected.did_you_mean(Some(meant)).into();
    }
    let before = index.checked_sub(1).and_then(|index| tokens.list.get(index));
    match before.and_then(|tok| Some((tok, misspelt(tok)?))) {
        Some((tok, meant)) => {
            let fact = format!("\"{}\" is read as a name, and then {found}", slice(tokens.text, tok.span));
            Diagnostic::new("syntax", tok.span, fact).did_you_mean(Some(meant)).into()
        }
        None => expected.into(),
    }
}

/// The clause that a word was probably meant to start.
fn misspelt(tok: &Tok) -> Option<&'static str> {
    let Token::Word(word) = &tok.token else { return None };
    let meant = nearest(&word.value, CLAUSES)?;
    let other = word.quote_style.is_none() && word.value.len() > 2 && !meant.eq_ignore_ascii_case(&word.value);
    other.then_some(meant)
}

/// sqlparser's words for what it wants, in ours.
fn expected(wanted: &str) -> String {
    match wanted {
        "end of statement" => "a clause or the end of the query".to_string(),
        w if w.starts_with("identifier") => "a name".to_string(),
        w if w.starts_with("an SQL statement") => "SELECT".to_string(),
        w if w.starts_with("SELECT, VALUES") => "SELECT".to_string(),
        w if w.chars().all(|c| !c.is_alphanumeric()) => format!("\"{w}\""),
        w => w.to_string(),
    }
}

/// Takes ` at Line: 1, Column: 8` off the message.
fn split_location(message: &str) -> (&str, Option<Location>) {
    let Some((fact, place)) = message.rsplit_once(" at Line: ") else { return (message, None) };
    let Some((line, column)) = place.split_once(", Column: ") else { return (message, None) };
    match (line.trim().parse(), column.trim().parse()) {
        (Ok(line), Ok(column)) => (fact, Some(Location { line, column })),
        _ => (message, None),
    }
}

fn lower(message: &str) -> String {
    let mut chars = message.trim_end_matches('.').chars();
    chars.next().map_or_else(String::new, |first| first.to_lowercase().chain(chars).collect())
}

fn shortened(text: &str) -> String {
    match text.char_indices().nth(40) {
        Some((at, _)) => format!("{}…", &text[..at]),
        None => text.to_string(),
    }
}
