//! The clauses of a query.

use super::expr::Exprs;
use super::relation;
use super::tokens::Tokens;
use super::unsupported;
use crate::ast::{Ast, Name, OrderKey, SelectItem};
use bpfquery_diag::{Diagnostic, Failure, Result, Span};
use sqlparser::ast as sp;
use sqlparser::tokenizer::Token;

/// The tree of a query whose last token stands before index `end`.
pub(super) fn ast(tokens: &Tokens<'_>, query: sp::Query, end: usize) -> Result<Ast> {
    let clauses = Clauses { tokens, start: 0 };
    let sp::Query {
        with,
        body,
        order_by,
        limit_clause,
        fetch,
        locks,
        for_clause,
        settings,
        format_clause,
        pipe_operators,
    } = query;
    clauses.refuse(with.is_some(), &["WITH"], "WITH (common table expressions)")?;
    let (select, clauses) = clauses.select(*body)?;
    let mut ast = clauses.body(*select)?;
    ast.order_by = clauses.order_by(order_by)?;
    (ast.limit, ast.offset) = clauses.limit(limit_clause)?;
    clauses.refuse(fetch.is_some(), &["FETCH"], "FETCH FIRST")?;
    clauses.refuse(!locks.is_empty() || for_clause.is_some(), &["FOR"], "FOR")?;
    clauses.refuse(settings.is_some(), &["SETTINGS"], "SETTINGS")?;
    clauses.refuse(format_clause.is_some(), &["FORMAT"], "FORMAT")?;
    clauses.refuse(!pipe_operators.is_empty(), &[], "|>")?;
    let first = tokens.span_at(0);
    ast.span = first.to(tokens.span_at(end.saturating_sub(1)));
    Ok(ast)
}

/// The clauses of one SELECT.
struct Clauses<'a> {
    tokens: &'a Tokens<'a>,
    /// The first token of the statement.
    start: usize,
}

impl<'a> Clauses<'a> {
    fn exprs(&self) -> Exprs<'a> {
        Exprs::new(self.tokens)
    }

    /// An error at the first of `words` if the clause is there.
    fn refuse(&self, present: bool, words: &[&str], what: &str) -> Result<()> {
        match present {
            true => Err(unsupported(self.clause(words), what)),
            false => Ok(()),
        }
    }

    /// The place of a clause; the statement's first token where it cannot be found.
    fn clause(&self, words: &[&str]) -> Span {
        self.tokens.clause(self.start, words).unwrap_or_else(|| self.tokens.span_at(self.start))
    }

    fn select(&self, body: sp::SetExpr) -> Result<(Box<sp::Select>, Clauses<'a>)> {
        let tokens = self.tokens;
        match body {
            sp::SetExpr::Select(select) => Ok((select, Clauses { tokens, start: self.start })),
            sp::SetExpr::Query(query) => self.parenthesised(*query),
            sp::SetExpr::SetOperation { left: _, op, set_quantifier: _, right: _ } => {
                Err(unsupported(self.clause(&["UNION", "INTERSECT", "EXCEPT", "MINUS"]), &op.to_string()))
            }
            sp::SetExpr::Values(_) => Err(unsupported(self.clause(&["VALUES"]), "VALUES")),
            sp::SetExpr::Insert(_) => Err(unsupported(self.clause(&["INSERT"]), "INSERT")),
            sp::SetExpr::Update(_) => Err(unsupported(self.clause(&["UPDATE"]), "UPDATE")),
            sp::SetExpr::Delete(_) => Err(unsupported(self.clause(&["DELETE"]), "DELETE")),
            sp::SetExpr::Merge(_) => Err(unsupported(self.clause(&["MERGE"]), "MERGE")),
            sp::SetExpr::Table(_) => Err(unsupported(self.clause(&["TABLE"]), "TABLE")),
        }
    }

    /// `(SELECT …)` around the whole query.
    fn parenthesised(&self, _query: sp::Query) -> Result<(Box<sp::Select>, Clauses<'a>)> {
        Err(unsupported(self.tokens.span_at(self.start), "a query in parentheses"))
    }

    fn body(&self, select: sp::Select) -> Result<Ast> {
        let sp::Select {
            select_token: _,
            optimizer_hints: _, // Comments.
            distinct,
            select_modifiers,
            top,
            top_before_distinct: _, // Says where `top` stands.
            projection,
            exclude,
            into,
            from,
            lateral_views,
            prewhere,
            selection,
            connect_by,
            group_by,
            cluster_by,
            distribute_by,
            sort_by,
            having,
            named_window,
            qualify,
            window_before_qualify: _, // Says where `named_window` stands.
            value_table_mode,
            flavor,
        } = select;
        match distinct {
            None | Some(sp::Distinct::All) => {}
            Some(sp::Distinct::Distinct) => {
                let fact = "SELECT DISTINCT is not supported yet";
                let diagnostic = Diagnostic::new("unsupported", self.clause(&["DISTINCT"]), fact);
                return Err(diagnostic.help("group by the columns instead: SELECT comm … GROUP BY comm").into());
            }
            Some(sp::Distinct::On(_)) => return Err(unsupported(self.clause(&["DISTINCT"]), "DISTINCT ON")),
        }
        self.refuse(select_modifiers.is_some(), &[], "a modifier of SELECT")?;
        self.refuse(top.is_some(), &["TOP"], "TOP")?;
        self.refuse(value_table_mode.is_some(), &["AS"], "SELECT AS")?;
        self.refuse(flavor != sp::SelectFlavor::Standard, &["FROM"], "FROM before SELECT")?;
        let items = self.items(projection)?;
        self.refuse(exclude.is_some(), &["EXCLUDE"], "EXCLUDE")?;
        self.refuse(into.is_some(), &["INTO"], "SELECT INTO")?;
        let (from, join) = relation::from(self.tokens, from, self.clause(&["FROM"]))?;
        self.refuse(!lateral_views.is_empty(), &["LATERAL"], "LATERAL VIEW")?;
        self.refuse(prewhere.is_some(), &["PREWHERE"], "PREWHERE")?;
        let filter = selection.map(|expr| self.exprs().expr(expr)).transpose()?;
        self.refuse(!connect_by.is_empty(), &["CONNECT", "START"], "CONNECT BY")?;
        let group_by = self.group_by(group_by)?;
        self.refuse(!cluster_by.is_empty(), &["CLUSTER"], "CLUSTER BY")?;
        self.refuse(!distribute_by.is_empty(), &["DISTRIBUTE"], "DISTRIBUTE BY")?;
        self.refuse(!sort_by.is_empty(), &["SORT"], "SORT BY")?;
        let having = having.map(|expr| self.exprs().expr(expr)).transpose()?;
        self.refuse(!named_window.is_empty(), &["WINDOW"], "WINDOW")?;
        self.refuse(qualify.is_some(), &["QUALIFY"], "QUALIFY")?;
        let (order_by, limit, offset, span) = (Vec::new(), None, None, Span::default());
        Ok(Ast { items, from, join, filter, group_by, having, order_by, limit, offset, span })
    }

    fn items(&self, projection: Vec<sp::SelectItem>) -> Result<Vec<SelectItem>> {
        if projection.is_empty() {
            let span = self.clause(&["SELECT"]);
            return Err(Diagnostic::new("syntax", span, "SELECT names no columns")
                .help("select * shows the usual ones")
                .into());
        }
        let mut items = Vec::new();
        // Where the item before ended; stars have only their own token.
        let mut end = self.clause(&["SELECT"]);
        for item in projection {
            let item = self.item(item, end)?;
            end = match &item {
                SelectItem::Star { span, .. } => *span,
                SelectItem::Expr { expr, alias } => alias.as_ref().map_or(expr.span, |alias| alias.span),
            };
            items.push(item);
        }
        Ok(items)
    }

    fn item(&self, item: sp::SelectItem, before: Span) -> Result<SelectItem> {
        match item {
            sp::SelectItem::UnnamedExpr(expr) => Ok(SelectItem::Expr { expr: self.exprs().expr(expr)?, alias: None }),
            sp::SelectItem::ExprWithAlias { expr, alias } => {
                let expr = self.exprs().expr(expr)?;
                let alias = self.alias(alias, expr.span)?;
                Ok(SelectItem::Expr { expr, alias: Some(alias) })
            }
            sp::SelectItem::ExprWithAliases { expr, aliases: _ } => {
                Err(unsupported(self.exprs().expr(expr)?.span, "a list of names for one expression"))
            }
            sp::SelectItem::QualifiedWildcard(of, options) => {
                let span = self.star(options)?;
                match of {
                    sp::SelectItemQualifiedWildcardKind::ObjectName(name) => {
                        match &relation::names(self.tokens, name, span)?[..] {
                            [of] => Ok(SelectItem::Star { span: of.span.to(span), of: Some(of.clone()) }),
                            _ => Err(unsupported(span, "the star of a field")),
                        }
                    }
                    sp::SelectItemQualifiedWildcardKind::Expr(_) => Err(unsupported(span, "the star of an expression")),
                }
            }
            sp::SelectItem::Wildcard(options) => {
                let span = self.star(options)?;
                let span = if span == Span::default() { before } else { span };
                Ok(SelectItem::Star { of: None, span })
            }
        }
    }

    /// The name behind an expression; sqlparser takes `'text'` for one too, and forgets where it stands.
    fn alias(&self, alias: sp::Ident, expr: Span) -> Result<Name> {
        if alias.quote_style != Some('\'') {
            return Ok(relation::name(self.tokens, &alias));
        }
        let after = self.tokens.list.iter().skip(self.tokens.after(expr));
        let here = after.into_iter().find(|tok| matches!(tok.token, Token::SingleQuotedString(_)));
        let span = here.map_or(expr, |tok| tok.span);
        let fact = format!("a text cannot name a column: '{}'", alias.value);
        Err(Diagnostic::new("syntax", span, fact)
            .help("put a name in double quotes, or an operator before the text")
            .into())
    }

    fn star(&self, options: sp::WildcardAdditionalOptions) -> Result<Span> {
        let sp::WildcardAdditionalOptions {
            wildcard_token,
            opt_ilike,
            opt_exclude,
            opt_except,
            opt_replace,
            opt_rename,
            opt_alias,
        } = options;
        let span = self.tokens.span(wildcard_token.0.span);
        let extra = opt_ilike.is_some()
            || opt_exclude.is_some()
            || opt_except.is_some()
            || opt_replace.is_some()
            || opt_rename.is_some()
            || opt_alias.is_some();
        match extra {
            true => Err(unsupported(self.tokens.span_at(self.tokens.after(span)), "an option of *")),
            false => Ok(span),
        }
    }

    fn group_by(&self, group_by: sp::GroupByExpr) -> Result<Vec<crate::ast::Expr>> {
        match group_by {
            sp::GroupByExpr::All(_) => Err(unsupported(self.clause(&["GROUP"]), "GROUP BY ALL")),
            sp::GroupByExpr::Expressions(exprs, modifiers) => {
                self.refuse(!modifiers.is_empty(), &["GROUP"], "a modifier of GROUP BY")?;
                exprs.into_iter().map(|expr| self.exprs().expr(expr)).collect()
            }
        }
    }

    fn order_by(&self, order_by: Option<sp::OrderBy>) -> Result<Vec<OrderKey>> {
        let Some(sp::OrderBy { kind, interpolate }) = order_by else { return Ok(Vec::new()) };
        self.refuse(interpolate.is_some(), &["INTERPOLATE"], "INTERPOLATE")?;
        match kind {
            sp::OrderByKind::All(_) => Err(unsupported(self.clause(&["ORDER"]), "ORDER BY ALL")),
            sp::OrderByKind::Expressions(keys) => keys.into_iter().map(|key| self.order_key(key)).collect(),
        }
    }

    fn order_key(&self, key: sp::OrderByExpr) -> Result<OrderKey> {
        let sp::OrderByExpr { expr, options: sp::OrderByOptions { sort, nulls_first }, with_fill } = key;
        let expr = self.exprs().expr(expr)?;
        self.refuse(with_fill.is_some(), &["FILL"], "WITH FILL")?;
        let descending = match sort {
            None | Some(sp::OrderBySort::Asc) => false,
            Some(sp::OrderBySort::Desc) => true,
            Some(sp::OrderBySort::Using(_)) => {
                return Err(unsupported(self.tokens.span_at(self.tokens.after(expr.span)), "ORDER BY … USING"));
            }
        };
        Ok(OrderKey { expr, descending, nulls_first })
    }

    /// LIMIT and OFFSET.
    fn limit(&self, clause: Option<sp::LimitClause>) -> Result<(Option<crate::ast::Expr>, Option<crate::ast::Expr>)> {
        match clause {
            None => Ok((None, None)),
            Some(sp::LimitClause::LimitOffset { limit, offset, limit_by }) => {
                self.refuse(!limit_by.is_empty(), &["LIMIT"], "LIMIT BY")?;
                let limit = limit.map(|expr| self.exprs().expr(expr)).transpose()?;
                let offset = offset.map(|sp::Offset { value, rows: _ }| self.exprs().expr(value)).transpose()?;
                Ok((limit, offset))
            }
            Some(sp::LimitClause::OffsetCommaLimit { .. }) => Err::<_, Failure>(
                Diagnostic::new("syntax", self.clause(&["LIMIT"]), "LIMIT takes one number")
                    .help("LIMIT n OFFSET m")
                    .into(),
            ),
        }
    }
}
