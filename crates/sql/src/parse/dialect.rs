//! PostgreSQL's dialect with `->` that follows pointers.
//!
//! sqlparser gives `->` PostgreSQL's low precedence (it is JSON's there) and offers no way to inherit from a dialect, so each
//! hook that PostgreSQL's dialect answers is answered here: forwarded, or with the reason for another answer.
//!
//! What must hold: parsing takes time and stack in proportion to the text, whatever the text is.

use sqlparser::ast::Expr;
use sqlparser::dialect::{Dialect, PostgreSqlDialect, Precedence};
use sqlparser::keywords::Keyword;
use sqlparser::parser::{Parser, ParserError};
use sqlparser::tokenizer::{Location, Token};
use std::any::TypeId;
use std::cell::Cell;

/// `->` binds tighter than `::` (140) and less tight than `.` (200).
const ARROW: u8 = 150;
/// PostgreSQL's "any other operator", `~` among them.
const OTHER_OPERATOR: u8 = 70;
/// Operators in a row that the parser may chain: it drops such a chain recursively.
const MAX_CHAIN: usize = 400;
/// Expressions that the parser may start for each token: it tries several readings of the same text.
const TRIES_PER_TOKEN: usize = 64;

/// The dialect, and how far a parser has come with it.
#[derive(Debug)]
pub(super) struct BpfDialect {
    base: PostgreSqlDialect,
    fuel: Cell<usize>,
    last: Cell<Location>,
}

impl BpfDialect {
    /// For a text of so many tokens.
    pub(super) fn new(tokens: usize) -> BpfDialect {
        let fuel = Cell::new(1000 + tokens.saturating_mul(TRIES_PER_TOKEN));
        BpfDialect { base: PostgreSqlDialect {}, fuel, last: Cell::new(Location { line: 0, column: 0 }) }
    }

    /// Where the last expression was started: about where a limit was met.
    pub(super) fn last(&self) -> Location {
        self.last.get()
    }
}

/// `emit` and `within` start clauses of ours; `isnull` is an operator that sqlparser does not know.
fn no_alias(parser: &Parser<'_>) -> bool {
    ["emit", "within", "isnull"].iter().any(|word| is_plain_word(&parser.get_current_token().token, word))
}

fn is_plain_word(token: &Token, word: &str) -> bool {
    matches!(token, Token::Word(w) if w.quote_style.is_none() && w.value.eq_ignore_ascii_case(word))
}

/// Operators on the left edge of an expression, one within the other.
fn chain(mut expr: &Expr) -> usize {
    let mut length = 0;
    loop {
        expr = match expr {
            Expr::BinaryOp { left, .. } | Expr::AnyOp { left, .. } | Expr::AllOp { left, .. } => left,
            Expr::IsDistinctFrom(left, _) | Expr::IsNotDistinctFrom(left, _) => left,
            Expr::IsNull(e)
            | Expr::IsNotNull(e)
            | Expr::IsTrue(e)
            | Expr::IsNotTrue(e)
            | Expr::IsFalse(e)
            | Expr::IsNotFalse(e)
            | Expr::IsUnknown(e)
            | Expr::IsNotUnknown(e) => e,
            Expr::Cast { expr, .. }
            | Expr::InList { expr, .. }
            | Expr::InSubquery { expr, .. }
            | Expr::InUnnest { expr, .. }
            | Expr::Between { expr, .. }
            | Expr::Like { expr, .. }
            | Expr::ILike { expr, .. }
            | Expr::SimilarTo { expr, .. }
            | Expr::RLike { expr, .. }
            | Expr::IsJson { expr, .. }
            | Expr::IsNormalized { expr, .. }
            | Expr::UnaryOp { expr, .. }
            | Expr::Collate { expr, .. } => expr,
            Expr::AtTimeZone { timestamp, .. } => timestamp,
            Expr::JsonAccess { value, .. } => value,
            Expr::MemberOf(member) => &member.value,
            _ => return length,
        };
        length += 1;
    }
}

impl Dialect for BpfDialect {
    // sqlparser's own questions "is this PostgreSQL?" compare this.
    fn dialect(&self) -> TypeId {
        self.base.dialect()
    }

    fn parse_prefix(&self, parser: &mut Parser<'_>) -> Option<Result<Expr, ParserError>> {
        let token = parser.peek_token_ref();
        self.last.set(token.span.start);
        let is_tilde = token.token == Token::Tilde;
        let Some(fuel) = self.fuel.get().checked_sub(1) else {
            return Some(Err(ParserError::RecursionLimitExceeded));
        };
        self.fuel.set(fuel);
        if !is_tilde {
            return None;
        }
        // sqlparser binds `~` tighter than `+`; PostgreSQL's grammar gives it the precedence of any other operator.
        parser.advance_token();
        Some(
            parser
                .parse_subexpr(OTHER_OPERATOR)
                .map(|expr| Expr::UnaryOp { op: sqlparser::ast::UnaryOperator::BitwiseNot, expr: Box::new(expr) }),
        )
    }

    fn parse_infix(&self, parser: &mut Parser<'_>, expr: &Expr, _precedence: u8) -> Option<Result<Expr, ParserError>> {
        if chain(expr) < MAX_CHAIN {
            let is_null = is_plain_word(&parser.peek_token_ref().token, "isnull");
            return is_null.then(|| {
                parser.advance_token();
                Ok(Expr::IsNull(Box::new(expr.clone())))
            });
        }
        self.last.set(parser.peek_token_ref().span.start);
        Some(Err(ParserError::RecursionLimitExceeded))
    }

    fn get_next_precedence(&self, parser: &Parser<'_>) -> Option<Result<u8, ParserError>> {
        match parser.peek_token_ref().token {
            Token::Arrow => Some(Ok(ARROW)),
            ref token if is_plain_word(token, "isnull") => Some(Ok(self.base.prec_value(Precedence::Is))),
            _ => self.base.get_next_precedence(parser),
        }
    }

    fn is_select_item_alias(&self, explicit: bool, kw: &Keyword, parser: &mut Parser<'_>) -> bool {
        explicit || (!no_alias(parser) && self.base.is_select_item_alias(explicit, kw, parser))
    }

    fn is_table_factor_alias(&self, explicit: bool, kw: &Keyword, parser: &mut Parser<'_>) -> bool {
        explicit || (!no_alias(parser) && self.base.is_table_factor_alias(explicit, kw, parser))
    }

    // `<-1` and `=-1` are a comparison and a sign; PostgreSQL's rule for that is not sqlparser's, and no operator of ours is made
    // of several.
    fn is_custom_operator_part(&self, _ch: char) -> bool {
        false
    }

    // Named arguments: no function has one, and looking for them makes nested calls take exponential time.
    fn supports_named_fn_args_with_colon_operator(&self) -> bool {
        false
    }
    fn supports_named_fn_args_with_expr_name(&self) -> bool {
        false
    }
    fn supports_named_fn_args_with_rarrow_operator(&self) -> bool {
        false
    }
    fn supports_aliased_function_args(&self) -> bool {
        false
    }

    // What is not wanted here: types of shapes, XML, `x!`, and hints inside comments.
    fn supports_geometric_types(&self) -> bool {
        false
    }
    fn supports_xml_expressions(&self) -> bool {
        false
    }
    fn supports_factorial_operator(&self) -> bool {
        false
    }
    fn supports_comment_optimizer_hint(&self) -> bool {
        false
    }

    // PostgreSQL's answers.
    fn identifier_quote_style(&self, identifier: &str) -> Option<char> {
        self.base.identifier_quote_style(identifier)
    }
    fn is_delimited_identifier_start(&self, ch: char) -> bool {
        self.base.is_delimited_identifier_start(ch)
    }
    fn is_identifier_start(&self, ch: char) -> bool {
        self.base.is_identifier_start(ch)
    }
    fn is_identifier_part(&self, ch: char) -> bool {
        self.base.is_identifier_part(ch)
    }
    fn is_reserved_for_identifier(&self, kw: Keyword) -> bool {
        self.base.is_reserved_for_identifier(kw)
    }
    fn is_table_alias(&self, kw: &Keyword, parser: &mut Parser<'_>) -> bool {
        self.base.is_table_alias(kw, parser)
    }
    fn prec_value(&self, prec: Precedence) -> u8 {
        self.base.prec_value(prec)
    }
    fn supports_unicode_string_literal(&self) -> bool {
        self.base.supports_unicode_string_literal()
    }
    fn supports_filter_during_aggregation(&self) -> bool {
        self.base.supports_filter_during_aggregation()
    }
    fn supports_group_by_expr(&self) -> bool {
        self.base.supports_group_by_expr()
    }
    fn supports_empty_projections(&self) -> bool {
        self.base.supports_empty_projections()
    }
    fn supports_nested_comments(&self) -> bool {
        self.base.supports_nested_comments()
    }
    fn supports_string_escape_constant(&self) -> bool {
        self.base.supports_string_escape_constant()
    }
    fn supports_numeric_literal_underscores(&self) -> bool {
        self.base.supports_numeric_literal_underscores()
    }
    fn supports_array_typedef_with_brackets(&self) -> bool {
        self.base.supports_array_typedef_with_brackets()
    }
    fn supports_bitwise_shift_operators(&self) -> bool {
        self.base.supports_bitwise_shift_operators()
    }
    fn supports_order_by_using_operator(&self) -> bool {
        self.base.supports_order_by_using_operator()
    }
    fn supports_left_associative_joins_without_parens(&self) -> bool {
        self.base.supports_left_associative_joins_without_parens()
    }
    fn supports_notnull_operator(&self) -> bool {
        self.base.supports_notnull_operator()
    }
    fn supports_interval_options(&self) -> bool {
        self.base.supports_interval_options()
    }
    fn supports_select_wildcard_with_alias(&self) -> bool {
        self.base.supports_select_wildcard_with_alias()
    }
    fn allow_extract_custom(&self) -> bool {
        self.base.allow_extract_custom()
    }
    fn allow_extract_single_quotes(&self) -> bool {
        self.base.allow_extract_single_quotes()
    }
    fn supports_comma_separated_trim(&self) -> bool {
        self.base.supports_comma_separated_trim()
    }
}
