//! Text to tree: what each query is read as, and that every node knows its place.

use bpfquery_sql::ast::{Ast, Expr, SelectItem};
use bpfquery_sql::{MAX_TEXT, parse};

fn read(sql: &str) -> Ast {
    parse(sql).unwrap_or_else(|failure| panic!("{}", bpfquery_diag::render(&failure, sql)))
}

/// The query reads as `expect`, which reads as itself; and the text under each node's span is that node again.
fn check(sql: &str, expect: &str) {
    let ast = read(sql);
    assert_eq!(ast.to_string(), expect, "{sql}");
    assert_eq!(read(expect).to_string(), expect, "{sql}, printed and read again");
    for expr in expressions(&ast) {
        check_span(sql, expr);
    }
}

fn check_span(sql: &str, expr: &Expr) {
    let text = &sql[expr.span.start as usize..expr.span.end as usize];
    let again = read(&format!("SELECT {text}"));
    let [SelectItem::Expr { expr: same, alias: None }] = &again.items[..] else { panic!("{text:?} of {sql}") };
    assert!(expr.same(same), "{text:?} is not the place of {expr} in {sql}");
    for child in expr.children() {
        assert!(expr.span.start <= child.span.start && child.span.end <= expr.span.end, "{child} in {expr} in {sql}");
        check_span(sql, child);
    }
}

fn expressions(ast: &Ast) -> Vec<&Expr> {
    let items = ast.items.iter().filter_map(|item| match item {
        SelectItem::Expr { expr, .. } => Some(expr),
        SelectItem::Star { .. } => None,
    });
    items
        .chain(&ast.filter)
        .chain(&ast.group_by)
        .chain(&ast.having)
        .chain(ast.order_by.iter().map(|key| &key.expr))
        .chain(ast.join.iter().filter_map(|join| match &join.on {
            bpfquery_sql::ast::On::Condition(condition) => Some(condition),
            bpfquery_sql::ast::On::Using(_) => None,
        }))
        .chain(&ast.limit)
        .chain(&ast.offset)
        .collect()
}

fn code(sql: &str) -> &'static str {
    match parse(sql) {
        Err(bpfquery_diag::Failure::Query(diagnostic)) => diagnostic.code.0,
        other => panic!("{sql:.60} gives {other:?}"),
    }
}

#[test]
fn queries_of_the_design() {
    check("select pid, cpu, elapsed from kprobe.do_nanosleep;", "SELECT pid, cpu, elapsed FROM kprobe.do_nanosleep");
    check(
        "select str(args.filename) from tracepoint.syscalls.sys_enter_openat;",
        "SELECT str(args.filename) FROM tracepoint.syscalls.sys_enter_openat",
    );
    check(
        "select * from kprobe.do_nanosleep where pid > 2*1000;",
        "SELECT * FROM kprobe.do_nanosleep WHERE pid > (2 * 1000)",
    );
    check(
        "select str(args.path -> dentry -> d_name.name) as filename from kprobe.vfs_open;",
        "SELECT str(((args.path -> dentry) -> d_name) -> name) AS filename FROM kprobe.vfs_open",
    );
    check(
        "SELECT tumble(interval '10 seconds') as bucket, count(*) FROM kprobe.do_nanosleep GROUP BY bucket;",
        "SELECT tumble(INTERVAL '10 seconds') AS bucket, count(*) FROM kprobe.do_nanosleep GROUP BY bucket",
    );
    check(
        "SELECT ip.dst, COUNT(*) FROM tcp_packets WHERE tcp.dst_port = 443 GROUP BY ip.dst",
        "SELECT ip.dst, COUNT(*) FROM tcp_packets WHERE tcp.dst_port = 443 GROUP BY ip.dst",
    );
    check(
        "SELECT src_ip FROM traffic WHERE dst_port = 22 AND packets > 100",
        "SELECT src_ip FROM traffic WHERE (dst_port = 22) AND (packets > 100)",
    );
    check(
        "SELECT hist(retval) FROM kretprobe.vfs_read WHERE comm='dd'",
        "SELECT hist(retval) FROM kretprobe.vfs_read WHERE comm = 'dd'",
    );
}

#[test]
fn the_arrow_binds_tighter_than_every_operator() {
    check("select a->b + 1", "SELECT (a -> b) + 1");
    check("select 1 + a->b", "SELECT 1 + (a -> b)");
    check("select a->b::text", "SELECT CAST(a -> b AS text)");
    check("select -a->b", "SELECT -(a -> b)");
    check("select ~a->b", "SELECT ~(a -> b)");
    check("select a.b -> c.d -> e = 1", "SELECT (((a.b -> c) -> d) -> e) = 1");
    check("select (a -> b).c.d", "SELECT ((a -> b) -> c) -> d");
    check("select f(x).y", "SELECT f(x) -> y");
}

#[test]
fn operators_bind_as_in_postgresql() {
    check("select a + b * c - d", "SELECT (a + (b * c)) - d");
    check("select not a = b and c or d", "SELECT ((NOT (a = b)) AND c) OR d");
    check("select ~a + b", "SELECT ~(a + b)");
    check("select - a::bigint", "SELECT -CAST(a AS bigint)");
    check("select a << 1 + 1 & 3 # 4 | 5", "SELECT (((a << (1 + 1)) & 3) # 4) | 5");
    check("select a<-1, a=-1, 2*-1, a- -1", "SELECT a < (-1), a = (-1), 2 * (-1), a - (-1)");
    check("select a = b is null", "SELECT (a = b) IS NULL");
    check("select a between 1 and 2 and b", "SELECT (a BETWEEN 1 AND 2) AND b");
    check("select a isnull, b notnull, c is not unknown", "SELECT a IS NULL, b IS NOT NULL, c IS NOT UNKNOWN");
    check("select a in (1, 2), a not in ((3))", "SELECT a IN (1, 2), a NOT IN (3)");
    check("select a is distinct from b and c", "SELECT (a IS DISTINCT FROM b) AND c");
    check("select (a) is not distinct from (b + 1)", "SELECT a IS NOT DISTINCT FROM (b + 1)");
    check("select (a and b) and (c and d)", "SELECT (a AND b) AND (c AND d)");
    check("select a != b, a <> b, a <= b, a >= b", "SELECT a <> b, a <> b, a <= b, a >= b");
}

#[test]
fn literals() {
    check("select 0xFF, 0Xff, 0o17, 0b101, 1_000", "SELECT 0xFF, 0Xff, 0o17, 0b101, 1000");
    check("select 1.5, .5, 1e3", "SELECT 1.5, .5, 1e3");
    check("select 'it''s', E'a\\tb', $$x'y$$, $q$z$q$", "SELECT 'it''s', 'a\tb', 'x''y', 'z'");
    check("select true, FALSE, null", "SELECT TRUE, FALSE, NULL");
    check("select interval '1 s', interval '5' minute", "SELECT INTERVAL '1 s', INTERVAL '5 MINUTE'");
    check("select $1, :name, a::int4", "SELECT $1, :name, CAST(a AS integer)");
}

#[test]
fn other_expressions() {
    check(
        "select case when a then 1 else 2 end, case a when 1 then b end",
        "SELECT CASE WHEN a THEN 1 ELSE 2 END, CASE a WHEN 1 THEN b END",
    );
    check(
        "select cast(a as double precision), a::bigint unsigned, a::varchar",
        "SELECT CAST(a AS double precision), CAST(a AS bigint unsigned), CAST(a AS text)",
    );
    check("select count(*) filter (where a > 1) as n, f()", "SELECT count(*) FILTER (WHERE a > 1) AS n, f()");
    check(
        "select a like 'b%', a not like b + 1 escape '', a ilike ('c') escape '#' and d",
        "SELECT a LIKE 'b%', a NOT LIKE (b + 1) ESCAPE '', (a ILIKE 'c' ESCAPE '#') AND d",
    );
    check(
        "select a ~~ 'b', a !~~ 'b', a ~~* 'b', a !~~* 'b', a ^@ 'b'",
        "SELECT a LIKE 'b', a NOT LIKE 'b', a ILIKE 'b', a NOT ILIKE 'b', starts_with(a, 'b')",
    );
    check("select \"Ab\".\"c d\", e AS \"select\"", "SELECT \"Ab\".\"c d\", e AS \"select\"");
    check("select ((((a)))) + (((b)))", "SELECT a + b");
    check("select é.ü = 'ö', ñ", "SELECT é.ü = 'ö', ñ");
}

#[test]
fn relations() {
    check("select a from interval('1s') as t", "SELECT a FROM interval('1s') AS t");
    check("select a from interval(interval '1 second') t", "SELECT a FROM interval(INTERVAL '1000000000 ns') AS t");
    check("select a from profile(99)", "SELECT a FROM profile(99)");
    check("select a from kprobe.ext4.ext4_read", "SELECT a FROM kprobe.ext4.ext4_read");
    check("select t.*, * from sched_switch t", "SELECT t.*, * FROM sched_switch AS t");
    check("select a from kprobe.vfs_*", "SELECT a FROM kprobe.\"vfs_*\"");
    check("select a from kprobe.*_read where a * b", "SELECT a FROM kprobe.\"*_read\" WHERE a * b");
    check("select a from kprobe.vfs_?ead", "SELECT a FROM kprobe.\"vfs_?ead\"");
}

#[test]
fn clauses() {
    check(
        "select a, b from t where c group by a, 2 having d order by a desc nulls last, 2 asc nulls first limit 10 offset 5",
        "SELECT a, b FROM t WHERE c GROUP BY a, 2 HAVING d ORDER BY a DESC NULLS LAST, 2 NULLS FIRST LIMIT 10 OFFSET 5",
    );
    check("select all a from t limit all", "SELECT a FROM t");
    check("select a from t offset 1 rows limit 2", "SELECT a FROM t LIMIT 2 OFFSET 1");
}

#[test]
fn comments_and_blanks() {
    check("#!/usr/bin/env bpfquery\nselect a // don't\n-- nor 'here\n from /* /* x */ */ t ;;", "SELECT a FROM t");
    check("select 'a // b', \"c -- d\" from t // end", "SELECT 'a // b', \"c -- d\" FROM t");
    check("\r\n\tselect a,\r\n\tb from t", "SELECT a, b FROM t");
}

#[test]
fn our_words_are_no_aliases_and_stay_names() {
    check("select emit, within from t where emit > 1", "SELECT emit, within FROM t WHERE emit > 1");
    check("select a as emit from t as within", "SELECT a AS emit FROM t AS within");
    assert_eq!(code("select a emit from t"), "unsupported");
    assert_eq!(code("select a from t emit changes"), "unsupported");
    assert_eq!(code("select a from t emit"), "unsupported");
    assert_eq!(code("select a from t with (max_rows = 1)"), "unsupported");
    assert_eq!(code("select a from t group by a emit every interval '1 s'"), "unsupported");
}

#[test]
fn joins() {
    check(
        "select e.a from t as e inner join kprobe.f x on (e.tid = x.tid and 1=1) where b",
        "SELECT e.a FROM t AS e JOIN kprobe.f AS x ON (e.tid = x.tid) AND (1 = 1) WHERE b",
    );
    check(
        "select a from t join interval('1 s') using (tid, \"B\")",
        "SELECT a FROM t JOIN interval('1 s') USING (tid, \"B\")",
    );
}

#[test]
fn what_is_not_supported_says_so() {
    for sql in [
        "select distinct on (a) a from t",
        "select a into b from t",
        "select top 5 a from t",
        "select a from t natural join u",
        "select a from t, u",
        "select a from lateral f(x)",
        "select a from (t join u on true)",
        "select a from t tablesample system (1)",
        "select a from f(1) with ordinality",
        "select a from t as t(x, y)",
        "select a from unnest(b)",
        "select a from t pivot (count(a) for b in ('c'))",
        "select a from t for update",
        "select a from t fetch first 1 rows only",
        "select a from t window w as (order by a)",
        "select a from t order by a using <",
        "select a from t group by all",
        "select a from t group by cube (a, b)",
        "select a from t group by rollup (a)",
        "select a from t group by grouping sets ((a), ())",
        "select a from t union select b from t",
        "select a from t except select b from t",
        "values (1)",
        "table t",
        "(select 1)",
        "with t as (select 1) select 2",
        "select exists (select 1)",
        "select (select 1)",
        "select array(select 1)",
        "select a in (select 1)",
        "select a = any (b)",
        "select a = all (select 1)",
        "select a like any ('b', 'c')",
        "select a similar to 'b'",
        "select a ~ 'b'",
        "select a is json",
        "select a at time zone 'utc'",
        "select a collate \"C\"",
        "select a || b",
        "select a ^ 2",
        "select a ->> b",
        "select a @> b",
        "select |/ 4",
        "select array[1, 2]",
        "select a[1:2]",
        "select a[1:2]",
        "select (1, 2)",
        "select (a, b) = (1, 2)",
        "select date '2020-01-01'",
        "select timestamp with time zone '2020-01-01'",
        "select x'1F'",
        "select b'101'",
        "select interval '1' day to second",
        "select interval '1' second (2)",
        "select ceil(a)",
        "select extract(year from a)",
        "select substring(a from 1 for 2)",
        "select trim(both 'x' from a)",
        "select position('a' in b)",
        "select overlay(a placing b from 1)",
        "select current_user",
        "select current_timestamp",
        "select count(distinct a)",
        "select count(a order by b)",
        "select f(a) over (order by b)",
        "select f(a) within group (order by b)",
        "select lag(a) ignore nulls over ()",
        "select count(t.*) from t",
        "select a::numeric(5)",
        "select a::timestamp",
        "select a::int[]",
        "select try_cast(a as int)",
        "select {fn f(1)}",
        "create index on t (a)",
        "insert into t values (1)",
        "update t set a = 1",
        "delete from t",
        "explain select 1",
        "drop table t",
        "copy t from 'x'",
        "select 1; select 2",
    ] {
        assert_eq!(code(sql), "unsupported", "{sql}");
    }
}

#[test]
fn what_is_no_sql_says_so() {
    for sql in [
        "select",
        "select from t",
        "select 1 +",
        "select 1a",
        "select 1.2.3",
        "select 0xZZ",
        "select 1 2",
        "select a 'b'",
        "select a as 'b'",
        "select a from t 'b'",
        "select a from",
        "select a from t where",
        "select a from t group by",
        "select a from t order by",
        "select (a from t",
        "select a) from t",
        "select 'a",
        "select \"a",
        "select $$a",
        "select /* a",
        "select a == b",
        "select a && b",
        "select ?",
        "select @x",
        "select : x",
        "select a -> 'b'",
        "select a -> 1",
        "select a -> (b)",
        "select interval 5",
        "select a from t limit 1, 2",
        "frobnicate",
        "select a \u{1} b",
        "select a in ()",
        "select f(x => 1)",
    ] {
        assert!(matches!(code(sql), "syntax" | "unsupported"), "{sql}");
    }
    assert_eq!(code(""), "empty-query");
    assert_eq!(code(" -- nothing\n ; "), "empty-query");
}

#[test]
fn size_and_depth_are_bounded() {
    assert_eq!(code(&" ".repeat(MAX_TEXT + 1)), "too-long");
    for (open, close) in [("(", ")"), ("- ", ""), ("f(", ")"), ("case when ", " then 1 end"), ("cast(", " as int)")] {
        let nested = |n: usize| format!("select {}1{}", open.repeat(n), close.repeat(n));
        read(&nested(20));
        for n in [200, 5000] {
            assert_eq!(code(&nested(n)), "too-deep", "{open} {n}");
        }
    }
    for chain in
        [" + 1", " and true", " or a", " is null", "::int", " between 1 and 2", " -> b", " notnull", "[1]", " in (1)"]
    {
        let long = format!("select a{}", chain.repeat(50_000));
        assert!(matches!(code(&long), "too-deep" | "unsupported"), "{chain}");
    }
    for chain in [" union select 1", " intersect select 1"] {
        assert_eq!(code(&format!("select 1{}", chain.repeat(10_000))), "too-deep", "{chain}");
    }
    assert_eq!(code(&format!("select a from {}t", "(".repeat(10_000))), "too-deep");
    read(&format!("select a{}", " and b".repeat(300)));
    read(&format!("select a in (1{})", ", 1".repeat(50_000)));
    read(&format!("select a{}", ".b".repeat(50_000)));
    read(&format!("select a{}", ", a".repeat(50_000)));
}

#[test]
fn hostile_nests_take_no_exponential_time() {
    for part in ["f(", "cast(", "case ", "interval ", "exists(", "array[", "extract(", "substring(", "(case ", "x in ("]
    {
        for n in [30, 49, 400] {
            let sql = format!("select {}", part.repeat(n));
            assert!(parse(&sql).is_err(), "{part}");
            assert!(parse(&format!("select a from t where {}", part.repeat(n))).is_err(), "{part}");
            assert!(parse(&format!("select a from {}", part.repeat(n))).is_err(), "{part}");
        }
    }
}
