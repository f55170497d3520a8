//! Text to [`Ast`]: sqlparser reads it, and what it gives is taken apart field by field, so that every clause is either in
//! the tree or an error that points at it.
//!
//! What must hold: no text makes this panic, run long, or overflow the stack; no clause is left out in silence.

mod call;
mod comments;
mod dialect;
mod expr;
mod query;
mod refuse;
mod relation;
mod syntax;
mod tokens;
mod types;

use crate::ast::Ast;
use bpfquery_diag::{Diagnostic, Failure, Result, Span, nearest};
use dialect::BpfDialect;
use sqlparser::parser::Parser;
use sqlparser::tokenizer::Token;
use tokens::{Tokens, slice, tokenize};

/// The longest text that is read, in bytes.
pub const MAX_TEXT: usize = 1 << 20;
/// How deep parentheses and CASE may nest; sqlparser's own bound is 50 expressions.
const MAX_NESTING: usize = 45;
/// How often a query may use a construct that sqlparser nests by its count: `[`, UNION, PIVOT.
const MAX_REPEATS: usize = 100;

/// The first words of statements that are not SELECT.
const STATEMENTS: [&str; 23] = [
    "ALTER",
    "ANALYZE",
    "BEGIN",
    "COMMIT",
    "COPY",
    "CREATE",
    "DEALLOCATE",
    "DELETE",
    "DESCRIBE",
    "DROP",
    "EXECUTE",
    "EXPLAIN",
    "GRANT",
    "INSERT",
    "MERGE",
    "PREPARE",
    "ROLLBACK",
    "SET",
    "SHOW",
    "TABLE",
    "TRUNCATE",
    "UPDATE",
    "VALUES",
];

/// Reads one SELECT statement; a semicolon may follow it.
///
/// # Errors
/// A diagnostic: `syntax`, `unsupported` at what is not supported yet, `too-deep`, `too-long`, `empty-query`.
pub fn parse(text: &str) -> Result<Ast> {
    if text.len() > MAX_TEXT {
        let fact = format!("the query is {} bytes long; {MAX_TEXT} is the most", text.len());
        return Err(Diagnostic::new("too-long", Span::new(0, 0), fact).into());
    }
    let blanked = comments::blank(text);
    // The dialect tells the tokenizer nothing that depends on the count of tokens.
    let tokens = tokenize(&BpfDialect::new(0), &blanked)?;
    first_word(&tokens)?;
    let depth = nesting(&tokens)?;
    repeats(&tokens)?;
    let end = one_statement(&tokens)?;
    ours(&tokens, end)?;
    if SHALLOW.is_some_and(|shallow| depth < shallow) { tree(&tokens, end) } else { with_room(|| tree(&tokens, end)) }
}

/// With less nesting than this the parser has room enough on any thread: optimised, sqlparser takes up to 40 KiB of stack for a level,
/// which is a pair of parentheses, and 11 KiB for an operator in front; those it bounds itself, by 50. A thread of its own costs
/// 0.2 ms. Not optimised, a level takes some 100 KiB, and an expression without parentheses has several.
const SHALLOW: Option<usize> = if cfg!(debug_assertions) { None } else { Some(9) };

/// Stack for a parser of its own thread, in bytes; only what is used takes memory.
const STACK: usize = 32 << 20;

fn with_room(read: impl FnOnce() -> Result<Ast> + Send) -> Result<Ast> {
    let roomy = std::thread::Builder::new().name("parse".to_string()).stack_size(STACK);
    std::thread::scope(|scope| {
        let parser = roomy.spawn_scoped(scope, read).map_err(|error| Failure::io("start a thread", error))?;
        parser.join().unwrap_or_else(|_| Err(Failure::bug("parse", "the parser panicked")))
    })
}

fn tree(tokens: &Tokens<'_>, end: usize) -> Result<Ast> {
    let dialect = BpfDialect::new(tokens.list.len());
    let mut parser = Parser::new(&dialect).with_tokens_with_locations(tokens.for_parser());
    let query = parser.parse_query().map_err(|error| syntax::parser(&error, tokens, &dialect))?;
    let rest = tokens.span(parser.peek_token_ref().span);
    if rest != Span::default() && parser.peek_token_ref().token != Token::SemiColon {
        return Err(behind(tokens, tokens.at(rest.start)));
    }
    query::ast(tokens, *query, end)
}

/// The statement must start with SELECT.
fn first_word(tokens: &Tokens<'_>) -> Result<()> {
    let Some(first) = tokens.list.iter().find(|tok| tok.token != Token::SemiColon) else {
        return Err(Diagnostic::new("empty-query", Span::new(0, 0), "the query is empty")
            .help("select pid, comm from …")
            .into());
    };
    let text = slice(tokens.text, first.span).to_uppercase();
    match first.token {
        Token::LParen => return Ok(()),
        _ if ["SELECT", "WITH"].contains(&text.as_str()) => return Ok(()),
        _ if STATEMENTS.contains(&text.as_str()) => return Err(statement(tokens, first.span, &text)),
        _ => {}
    }
    let diagnostic = Diagnostic::new(
        "syntax",
        first.span,
        format!("a query starts with SELECT, not with \"{}\"", slice(tokens.text, first.span)),
    );
    let near = nearest(&text, STATEMENTS.into_iter().chain(["SELECT", "WITH"]));
    Err(diagnostic.did_you_mean(near).into())
}

/// `CREATE TABLE is not supported yet`, at both words.
fn statement(tokens: &Tokens<'_>, first: Span, word: &str) -> Failure {
    let next = tokens.after(first);
    match tokens.list.get(next) {
        Some(tok) if matches!(word, "CREATE" | "DROP" | "ALTER") && matches!(tok.token, Token::Word(_)) => {
            let what = slice(tokens.text, tok.span).to_uppercase();
            unsupported(first.to(tok.span), &format!("{word} {what}"))
        }
        _ => unsupported(first, word),
    }
}

/// Bounds parentheses within parentheses and CASE within CASE: sqlparser has such a bound, and forgets that it met it where
/// another reading of the same text is left to try. How deep they are.
fn nesting(tokens: &Tokens<'_>) -> Result<usize> {
    let (mut depth, mut deepest) = (0usize, 0);
    for tok in &tokens.list {
        match &tok.token {
            Token::LParen | Token::LBracket => depth += 1,
            Token::RParen | Token::RBracket => depth = depth.saturating_sub(1),
            _ if tokens::is_word(tok, "CASE") => depth += 1,
            _ if tokens::is_word(tok, "END") => depth = depth.saturating_sub(1),
            _ => {}
        }
        deepest = deepest.max(depth);
        if depth > MAX_NESTING {
            return Err(syntax::too_deep(tok.span));
        }
    }
    Ok(deepest)
}

/// Bounds what sqlparser nests by its count, and would drop recursively.
fn repeats(tokens: &Tokens<'_>) -> Result<()> {
    let nests = |tok: &&tokens::Tok| {
        let words = ["UNION", "INTERSECT", "EXCEPT", "PIVOT", "UNPIVOT"];
        tok.token == Token::LBracket || words.iter().any(|word| tokens::is_word(tok, word))
    };
    match tokens.list.iter().filter(nests).nth(MAX_REPEATS) {
        Some(tok) => Err(syntax::too_deep(tok.span)),
        None => Ok(()),
    }
}

/// The index of the semicolon that ends the statement, or of the end.
fn one_statement(tokens: &Tokens<'_>) -> Result<usize> {
    let Some(end) = tokens.list.iter().position(|tok| tok.token == Token::SemiColon) else {
        return Ok(tokens.list.len());
    };
    match tokens.list.iter().skip(end).find(|tok| tok.token != Token::SemiColon) {
        Some(second) => {
            let fact = "several statements in one text are not supported yet";
            Err(Diagnostic::new("unsupported", second.span, fact).help("put each into a file of its own").into())
        }
        None => Ok(end),
    }
}

/// EMIT is ours and sqlparser does not know it: what follows it says that it is no name.
fn ours(tokens: &Tokens<'_>, end: usize) -> Result<()> {
    for (i, tok) in tokens.list.iter().enumerate().take(end) {
        let kind = ["EVERY", "CHANGES", "FINAL"].into_iter().find(|word| tokens.word_at(i + 1, word));
        match kind {
            Some(kind) if tokens::is_word(tok, "EMIT") => {
                return Err(unsupported(tok.span.to(tokens.span_at(i + 1)), &format!("EMIT {kind}")));
            }
            _ => {}
        }
    }
    Ok(())
}

/// What stands where the query should end.
fn behind(tokens: &Tokens<'_>, index: usize) -> Failure {
    for (word, what) in [("EMIT", "EMIT"), ("WITH", "WITH (…) behind a query"), ("WITHIN", "WITHIN")] {
        if tokens.word_at(index, word) {
            return unsupported(tokens.span_at(index), what);
        }
    }
    syntax::unexpected(tokens, index, "a clause or the end of the query")
}

/// `what` is valid SQL, or will be, and cannot be compiled yet.
fn unsupported(span: Span, what: &str) -> Failure {
    Diagnostic::new("unsupported", span, format!("{what} is not supported yet")).into()
}
