//! Names of types in casts.

use super::tokens::Tokens;
use crate::ast::CastType;
use bpfquery_catalog::{DEFAULT_TEXT, SqlType};
use bpfquery_diag::{Diagnostic, Result, Span};
use sqlparser::ast::{DataType as T, ExactNumberInfo, Ident, ObjectName, ObjectNamePart};
use sqlparser::tokenizer::Token;

/// The type that a cast names; `at` is where.
pub(super) fn cast_type(ty: &T, at: Span) -> Result<CastType> {
    if let T::Custom(ObjectName(parts), modifiers) = ty
        && let ([ObjectNamePart::Identifier(Ident { value, quote_style: Some('"'), .. })], []) =
            (&parts[..], &modifiers[..])
    {
        return Ok(CastType::C(value.clone()));
    }
    sql_type(ty, at).map(CastType::Sql)
}

fn sql_type(ty: &T, at: Span) -> Result<SqlType> {
    let int = |bits, signed| SqlType::Int { bits, signed };
    Ok(match ty {
        T::Bool | T::Boolean => SqlType::Bool,
        T::TinyInt(None) => int(8, true),
        T::SmallInt(None) | T::Int2(None) => int(16, true),
        T::Int(None) | T::Integer(None) | T::Int4(None) => int(32, true),
        T::BigInt(None) | T::Int8(None) => int(64, true),
        T::TinyIntUnsigned(None) => int(8, false),
        T::SmallIntUnsigned(None) | T::Int2Unsigned(None) => int(16, false),
        T::IntUnsigned(None) | T::IntegerUnsigned(None) | T::Int4Unsigned(None) => int(32, false),
        T::BigIntUnsigned(None) | T::Int8Unsigned(None) => int(64, false),
        T::Text | T::Varchar(None) | T::CharacterVarying(None) => SqlType::Text { width: DEFAULT_TEXT },
        T::DoublePrecision | T::Float8 | T::Double(ExactNumberInfo::None) => SqlType::Double,
        T::Interval { fields: None, precision: None } => SqlType::Interval,
        T::Custom(name, _) => {
            let fact = format!("type \"{name}\" does not exist, or is not supported yet");
            return Err(Diagnostic::new("unknown-type", at, fact).help(KNOWN).into());
        }
        other => {
            let fact = format!("type {} is not supported yet", other.to_string().to_lowercase());
            return Err(Diagnostic::new("unsupported", at, fact).help(KNOWN).into());
        }
    })
}

const KNOWN: &str =
    "types are boolean, smallint, integer, bigint (each also unsigned: bigint unsigned), text, double precision";

/// The index of the last token of the type whose first is at `first`.
pub(super) fn end(tokens: &Tokens<'_>, first: usize) -> usize {
    let mut last = first;
    let follows = |last: usize, words: &[&str]| words.iter().any(|word| tokens.word_at(last + 1, word));
    let more = |last: &mut usize, words: &[&str]| {
        while follows(*last, words) {
            *last += 1;
        }
    };
    more(&mut last, &["PRECISION", "VARYING", "UNSIGNED"]);
    if tokens.token_at(last + 1, &Token::LParen) {
        last = tokens.closing(last + 1);
    }
    if follows(last, &["WITH", "WITHOUT"]) && tokens.word_at(last + 2, "TIME") {
        last += 3;
    }
    more(&mut last, &["UNSIGNED"]);
    while tokens.token_at(last + 1, &Token::LBracket) {
        last = tokens.closing(last + 1);
    }
    last.min(tokens.list.len().saturating_sub(1))
}
