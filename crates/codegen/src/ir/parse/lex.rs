//! A line of the text form as tokens, and a cursor over them.
//!
//! A `;` outside quotes begins a comment. Numbers are words; who expects one reads it.

use std::fmt;
use std::str::FromStr;

/// A token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Token {
    /// Letters, digits, `_`, `.`, or a number with its sign.
    Word(String),
    /// What stood between quotes, unescaped.
    Text(String),
    /// A punctuation character; `>` is the whole arrow `->`.
    Punct(char),
}

impl fmt::Display for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Token::Word(word) => write!(f, "\"{word}\""),
            Token::Text(text) => write!(f, "{text:?}"),
            Token::Punct('>') => write!(f, "\"->\""),
            Token::Punct(c) => write!(f, "\"{c}\""),
        }
    }
}

/// The tokens of a line, read from the left.
pub(super) struct Line {
    tokens: Vec<Token>,
    at: usize,
}

impl Line {
    pub(super) fn new(text: &str) -> Result<Line, String> {
        let mut tokens = Vec::new();
        let mut chars = text.chars().peekable();
        while let Some(&c) = chars.peek() {
            match c {
                ';' => break,
                ' ' | '\t' | '\r' => drop(chars.next()),
                '"' => {
                    chars.next();
                    tokens.push(Token::Text(quoted(&mut chars)?));
                }
                _ => tokens.push(plain(&mut chars)?),
            }
        }
        Ok(Line { tokens, at: 0 })
    }

    pub(super) fn is_empty(&self) -> bool {
        self.tokens.is_empty()
    }

    pub(super) fn peek(&self) -> Option<&Token> {
        self.tokens.get(self.at)
    }

    /// Whether the next token is this character; then it is taken.
    pub(super) fn eat(&mut self, c: char) -> bool {
        let is = self.peek() == Some(&Token::Punct(c));
        self.at += usize::from(is);
        is
    }

    /// Whether the next token is this word; then it is taken.
    pub(super) fn eat_word(&mut self, word: &str) -> bool {
        let is = matches!(self.peek(), Some(Token::Word(next)) if next == word);
        self.at += usize::from(is);
        is
    }

    pub(super) fn punct(&mut self, c: char) -> Result<(), String> {
        if self.eat(c) { Ok(()) } else { Err(self.expected(&Token::Punct(c).to_string())) }
    }

    pub(super) fn word(&mut self, what: &str) -> Result<String, String> {
        match self.peek() {
            Some(Token::Word(word)) => {
                let word = word.clone();
                self.at += 1;
                Ok(word)
            }
            _ => Err(self.expected(what)),
        }
    }

    pub(super) fn text(&mut self, what: &str) -> Result<String, String> {
        match self.peek() {
            Some(Token::Text(text)) => {
                let text = text.clone();
                self.at += 1;
                Ok(text)
            }
            _ => Err(self.expected(what)),
        }
    }

    pub(super) fn number<T: FromStr>(&mut self, what: &str) -> Result<T, String> {
        let word = self.word(what)?;
        word.parse().map_err(|_| format!("expected {what}, found \"{word}\""))
    }

    pub(super) fn end(&self) -> Result<(), String> {
        if self.at >= self.tokens.len() { Ok(()) } else { Err(self.expected("the end of the line")) }
    }

    pub(super) fn expected(&self, what: &str) -> String {
        match self.peek() {
            Some(token) => format!("expected {what}, found {token}"),
            None => format!("expected {what}, found the end of the line"),
        }
    }
}

type Chars<'a> = std::iter::Peekable<std::str::Chars<'a>>;

fn plain(chars: &mut Chars<'_>) -> Result<Token, String> {
    let is_word = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '.';
    let Some(first) = chars.next() else { return Err("expected a token".to_owned()) };
    if first == '-' && chars.peek() == Some(&'>') {
        chars.next();
        return Ok(Token::Punct('>'));
    }
    if !is_word(first) && first != '-' {
        return Ok(Token::Punct(first));
    }
    let mut word = String::from(first);
    while let Some(c) = chars.next_if(|&c| is_word(c)) {
        word.push(c);
    }
    Ok(Token::Word(word))
}

// Undoes what `{:?}` does to a string.
fn quoted(chars: &mut Chars<'_>) -> Result<String, String> {
    let mut text = String::new();
    loop {
        match chars.next() {
            Some('"') => return Ok(text),
            Some('\\') => text.push(escaped(chars)?),
            Some(c) => text.push(c),
            None => return Err("a quote is not closed".to_owned()),
        }
    }
}

fn escaped(chars: &mut Chars<'_>) -> Result<char, String> {
    match chars.next() {
        Some('n') => Ok('\n'),
        Some('r') => Ok('\r'),
        Some('t') => Ok('\t'),
        Some('0') => Ok('\0'),
        Some('u') => {
            let hex: String = chars.skip(1).take_while(|&c| c != '}').collect();
            let code = u32::from_str_radix(&hex, 16).ok().and_then(char::from_u32);
            code.ok_or_else(|| format!("\"{hex}\" is not a character's number"))
        }
        Some(c @ ('"' | '\\' | '\'')) => Ok(c),
        _ => Err("an escape is not known".to_owned()),
    }
}
