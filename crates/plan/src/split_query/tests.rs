//! Queries cut in two, as text.

use super::split;
use crate::testing::{
    Q, and, bool, call, coalesce, col, div, double, eq, int, lt, not, null, or, param, plus, relation_on, text, tumble,
};
use crate::{AggregateCall, Query, Stored, optimise};
use bpfquery_catalog::{Hook, Pointee, SqlType, TypeRef};

fn cut(plan: Q) -> Result<crate::Split, bpfquery_diag::Failure> {
    let (query, _) = optimise(Query { plan: plan.plan(), params: Vec::new() })?;
    split(&query)
}

fn check(plan: Q, expect: &str) {
    let split = cut(plan).expect("the query is right");
    let expect = expect.trim_start_matches('\n');
    let indent = expect.len() - expect.trim_start().len();
    let expect: String = expect.trim_end().lines().map(|l| format!("{}\n", l.get(indent..).unwrap_or(""))).collect();
    assert_eq!(split.to_string(), expect);
}

fn check_error(plan: Q, code: &str, message: &str) {
    match cut(plan) {
        Err(bpfquery_diag::Failure::Query(d)) => assert_eq!((d.code.0, d.message.as_str()), (code, message)),
        other => panic!("{other:?}"),
    }
}

fn named(name: &str, call: AggregateCall) -> AggregateCall {
    AggregateCall { name: name.into(), ..call }
}

#[test]
fn rows_are_records() {
    check(
        Q::scan().filter(and(eq(col("comm"), text("dd")), lt(int(2000), col("pid")))).project(&[
            ("pid", col("pid")),
            ("str", col("filename")),
            ("again", col("pid")),
        ]),
        "
        kernel k0: tracepoint.t.e
          filter 2000 < pid
          filter comm = 'dd'
          rows, 264 bytes, null bits u8 @260
            again unsigned integer @256 = pid
            str text(256) null @0 = str(filename)
        user: rows
          project again, str, again
          output pid unsigned integer, str text(256), again unsigned integer
        ",
    );
}

#[test]
fn conditions_are_asked_from_cheap_to_dear() {
    let dear = [
        eq(col("filename"), text("x")),
        eq(col("name"), text("x")),
        eq(col("ppid"), int(1)),
        eq(col("comm"), text("x")),
        eq(col("pid"), int(1)),
        eq(col("flags"), int(1)),
    ];
    let all = dear.into_iter().fold(bool(true), and);
    check(
        Q::scan().filter(all).project(&[("pid", col("pid"))]),
        "
        kernel k0: tracepoint.t.e
          filter flags = 1
          filter pid = 1
          filter comm = 'x'
          filter ppid = 1
          filter name = 'x'
          filter str(filename) = 'x'
          rows, 8 bytes
            pid unsigned integer @0 = pid
        user: rows
          output pid unsigned integer
        ",
    );
}

#[test]
fn what_the_kernel_cannot_is_computed_from_what_it_can() {
    check(
        Q::scan().filter(lt(double(1.5), div(col("flags"), double(2.0)))).project(&[
            ("half", div(plus(col("flags"), int(1)), double(2.0))),
            ("one", int(1)),
            ("flags", col("flags")),
        ]),
        "
        kernel k0: tracepoint.t.e
          rows, 16 bytes
            half bigint @0 = flags + 1
            flags integer @8 = flags
        user: rows
          filter 1.5 < flags::double precision / 2.0
          project half::double precision / 2.0, 1, flags
          output half double precision, one integer, flags integer
        ",
    );
}

#[test]
fn limits_count_in_user_space() {
    check(
        Q::scan().limit(Some(5), 1).project(&[("f", col("flags"))]),
        "
        kernel k0: tracepoint.t.e
          rows, 8 bytes
            f integer @0 = flags
        user: rows
          limit 5 offset 1
          output f integer
        ",
    );
}

#[test]
fn constants_alone_send_that_there_was_a_row() {
    check(
        Q::scan().project(&[("x", int(7)), ("n", null(SqlType::Null))]),
        "
        kernel k0: tracepoint.t.e
          rows, 8 bytes
            row boolean @0 = true
        user: rows
          project 7, NULL
          output x integer, n unknown
        ",
    );
}

#[test]
fn without_from_the_kernel_computes() {
    check(
        Q::scan_of(relation_on(Hook::Once))
            .project(&[("two", plus(int(1), int(1))), ("d", double(0.5)), ("p", plus(param(0), int(1)))])
            .sort(int(1)),
        "
        kernel k0: once
          rows, 16 bytes
            two bigint @0 = 2
            p bigint @8 = $1 + 1
        user: rows
          project two, 0.5, p
          sort 1
          output two bigint, d double precision, p bigint
        ",
    );
}

#[test]
fn groups_are_a_map() {
    check(
        Q::scan().count_by(&["comm"]).project(&[("comm", col("#0 text")), ("n", col("#1 unsigned bigint"))]),
        "
        kernel k0: tracepoint.t.e
          groups, at most 4096
          key, 16 bytes
            comm text(16) @0 = comm
          state, 8 bytes
            n unsigned bigint @0 = count(*)
        user: groups
          output comm text(16), n unsigned bigint
        ",
    );
}

#[test]
fn keys_with_few_values_are_slots() {
    let few = crate::testing::case(&[(lt(int(7), col("pid")), int(3))], crate::testing::null_int());
    check(
        Q::scan().aggregate(
            &[("cpu", col("cpu")), ("big", lt(int(7), col("flags"))), ("few", few)],
            vec![call("sum", Some(col("pid")))],
        ),
        "
        kernel k0: tracepoint.t.e
          groups in 4 slots for each CPU (key_slots)
          key, 16 bytes, null bits u16 @14
            cpu unsigned integer @8 = cpu
            big boolean @12 = 7 < flags
            few bigint null @0 = CASE WHEN 7 < pid THEN 3 ELSE NULL END
          state, 24 bytes
            sum_seen unsigned bigint @0 = count(*)
            sum decimal(38,0) @8 = sum(pid)
        user: groups
          project cpu, big, few, CASE WHEN sum_seen = 0 THEN NULL ELSE sum END
          output cpu unsigned integer, big boolean, few bigint, sum decimal(38,0)
        ",
    );
}

#[test]
fn aggregates_share_their_state() {
    let ppid = || Some(col("ppid"));
    let calls =
        vec![call("avg", ppid()), call("sum", ppid()), call("count", ppid()), call("max", ppid()), call("min", ppid())];
    check(
        Q::scan().aggregate(&[], calls),
        "
        kernel k0: tracepoint.t.e
          groups in 1 slot (one_group)
          state, 32 bytes
            count unsigned bigint @0 = count(ppid)
            sum decimal(38,0) @8 = sum(ppid)
            max unsigned integer @24 = max(ppid) unless #0 = 0
            min unsigned integer @28 = min(ppid) unless #0 = 0
        user: groups
          project sum::double precision / count::double precision, CASE WHEN count = 0 THEN NULL ELSE sum END, count, max, min
          output avg double precision, sum decimal(38,0), count unsigned bigint, max unsigned integer, min unsigned integer
        ",
    );
}

#[test]
fn a_count_of_what_is_never_null_is_a_count_of_rows() {
    check(
        Q::scan().aggregate(&[], vec![call("count", None), named("n", call("count", Some(col("pid"))))]),
        "
        kernel k0: tracepoint.t.e
          groups in 1 slot (one_group)
          state, 8 bytes
            count unsigned bigint @0 = count(*)
        user: groups
          project count, count
          output count unsigned bigint, n unsigned bigint
        ",
    );
}

#[test]
fn a_filter_makes_another_slot_and_a_histogram_is_one() {
    let mut filtered = call("sum", Some(col("flags")));
    filtered.filter = Some(eq(col("pid"), int(1)));
    check(
        Q::scan().aggregate(&[("p", col("ppid"))], vec![named("s", filtered), call("hist", Some(col("delay")))]),
        "
        kernel k0: tracepoint.t.e
          groups, at most 4096
          key, 8 bytes, null bits u32 @4
            p unsigned integer null @0 = ppid
          state, 552 bytes
            s_seen unsigned bigint @0 = count(*) FILTER (WHERE pid = 1)
            s decimal(38,0) @8 = sum(flags) FILTER (WHERE pid = 1)
            hist histogram of interval @24 = histogram(bucket(delay))
        user: groups
          project p, CASE WHEN s_seen = 0 THEN NULL ELSE s END, hist
          output p unsigned integer, s decimal(38,0), hist histogram of interval
        ",
    );
}

#[test]
fn durations_average_to_durations() {
    check(
        Q::scan().aggregate(&[], vec![call("avg", Some(col("delay"))), call("sum", Some(col("delay")))]),
        "
        kernel k0: tracepoint.t.e
          groups in 1 slot (one_group)
          state, 24 bytes
            avg_seen unsigned bigint @0 = count(*)
            sum decimal(38,0) @8 = sum(delay)
        user: groups
          project (sum / avg_seen::decimal(38,0))::interval, CASE WHEN avg_seen = 0 THEN NULL ELSE sum::interval END
          output avg interval, sum interval
        ",
    );
}

#[test]
fn windows_are_keys() {
    check(
        Q::scan().aggregate(&[("cpu", col("cpu")), ("bucket", tumble(10_000_000_000))], vec![call("count", None)]),
        "
        kernel k0: tracepoint.t.e
          groups, at most 4096
          key, 12 bytes
            cpu unsigned integer @8 = cpu
            bucket timestamp @0 = tumble(interval '10 seconds')
          state, 8 bytes
            count unsigned bigint @0 = count(*)
        user: groups, window bucket of interval '10 seconds'
          output cpu unsigned integer, bucket timestamp, count unsigned bigint
        ",
    );
}

#[test]
fn having_order_and_limit_come_after_grouping() {
    check(
        Q::scan()
            .count_by(&["flags"])
            .filter(and(lt(int(10), col("#1 unsigned bigint")), not(eq(col("#0 integer"), int(0)))))
            .sort(col("#1 unsigned bigint"))
            .limit(Some(3), 0)
            .project(&[("flags", col("#0 integer"))]),
        "
        kernel k0: tracepoint.t.e
          filter flags <> 0
          groups, at most 4096
          key, 4 bytes
            flags integer @0 = flags
          state, 8 bytes
            count unsigned bigint @0 = count(*)
        user: groups
          filter 10 < count
          sort count
          project flags
          limit 3
          output flags integer
        ",
    );
}

#[test]
fn what_is_computed_on_the_way_has_a_number_or_its_final_name() {
    let sum = || Q::scan().aggregate(&[], vec![call("sum", Some(col("flags")))]);
    check(
        sum().filter(lt(int(1), col("#0 decimal"))),
        "
        kernel k0: tracepoint.t.e
          groups in 1 slot (one_group)
          state, 24 bytes
            sum_seen unsigned bigint @0 = count(*)
            sum decimal(38,0) @8 = sum(flags)
        user: groups
          project CASE WHEN sum_seen = 0 THEN NULL ELSE sum END
          filter 1 < sum
          output sum decimal(38,0)
        ",
    );
    check(
        sum().filter(lt(int(1), col("#0 decimal"))).project(&[("twice", plus(col("#0 decimal"), col("#0 decimal")))]),
        "
        kernel k0: tracepoint.t.e
          groups in 1 slot (one_group)
          state, 24 bytes
            sum_seen unsigned bigint @0 = count(*)
            sum decimal(38,0) @8 = sum(flags)
        user: groups
          project CASE WHEN sum_seen = 0 THEN NULL ELSE sum END
          filter 1 < #0
          project #0 + #0
          output twice decimal(38,0)
        ",
    );
}

#[test]
fn distinct_rows_are_groups_that_exist() {
    check(
        Q::scan().aggregate(&[("flags", col("flags"))], Vec::new()),
        "
        kernel k0: tracepoint.t.e
          groups, at most 4096
          key, 4 bytes
            flags integer @0 = flags
          state, 8 bytes
            rows unsigned bigint @0 = count(*)
        user: groups
          project flags
          output flags integer
        ",
    );
}

#[test]
fn a_struct_is_no_column() {
    let path = SqlType::Struct(TypeRef { object: "vmlinux".into(), id: 1, name: "path".into() });
    let mut relation = (*crate::testing::relation()).clone();
    let at = relation.columns.iter().position(|c| c.name == "flags").expect("is there");
    relation.columns[at].ty = path.clone();
    let relation = std::sync::Arc::new(relation);
    let mut column = col("flags");
    column.ty = path;
    check_error(
        Q::scan_of(relation.clone()).project(&[("f_path", column.clone())]),
        "no-value",
        "column \"f_path\" is a struct path, not a value",
    );
    let pointer = SqlType::Pointer { space: bpfquery_catalog::Space::Kernel, to: Pointee::Opaque };
    assert_eq!(Stored::of(&pointer), Some(Stored::Int { bytes: 8, signed: false }));
    check_error(
        Q::scan_of(relation)
            .aggregate(&[("k", column)], vec![call("count", None)])
            .project(&[("n", col("#1 unsigned bigint"))]),
        "no-value",
        "column \"k\" is a struct path, not a value",
    );
}

#[test]
fn a_stream_has_no_order() {
    check_error(
        Q::scan().sort(col("pid")).project(&[("pid", col("pid"))]),
        "unbounded-order",
        "tracepoint.t.e has no last row to order by",
    );
}

#[test]
fn the_kernel_has_no_doubles() {
    let half = || div(col("flags"), double(2.0));
    check_error(
        Q::scan().filter(lt(half(), double(1.0))).count_by(&[]),
        "needs-user-space",
        "this condition before grouping cannot be computed in the kernel",
    );
    check_error(
        Q::scan().aggregate(&[("k", half())], vec![call("count", None)]),
        "needs-user-space",
        "this grouping key cannot be computed in the kernel",
    );
    check_error(
        Q::scan().aggregate(&[], vec![call("count", Some(half()))]),
        "needs-user-space",
        "what is aggregated cannot be computed in the kernel",
    );
}

#[test]
fn groups_are_not_grouped_again() {
    check_error(
        Q::scan().count_by(&["flags"]).aggregate(&[("n", col("#1 unsigned bigint"))], vec![call("count", None)]),
        "unsupported",
        "grouping what is already grouped or limited is not supported yet",
    );
    check_error(
        Q::scan().limit(Some(1), 0).count_by(&[]),
        "unsupported",
        "grouping what is already grouped or limited is not supported yet",
    );
}

#[test]
fn cut_text_is_compared_where_it_is_read() {
    let grouped = || Q::scan().aggregate(&[("name", col("filename"))], vec![call("count", None)]);
    let either = |n: crate::Expr| or(eq(n, text("x")), lt(int(3), col("#1 unsigned bigint")));
    check_error(
        grouped().filter(either(col("#0 str"))),
        "unsupported",
        "text that may have been cut is compared in the kernel only",
    );
    cut(Q::scan().project(&[("x", lt(col("filename"), text("x")))])).expect("it is compared in the kernel");
    // A thread's name is whole: it can be compared anywhere.
    cut(Q::scan().count_by(&["comm"]).filter(either(col("#0 text")))).expect("comm is whole");
    check(
        Q::scan().filter(lt(text("m"), col("comm"))).project(&[("pid", col("pid"))]),
        "
        kernel k0: tracepoint.t.e
          filter 'm' < comm
          rows, 8 bytes
            pid unsigned integer @0 = pid
        user: rows
          output pid unsigned integer
        ",
    );
}

#[test]
fn what_the_kernel_has_no_room_for() {
    let name = |i: u32| {
        let args = vec![col("filename"), int(i128::from(1024 - i))];
        crate::functions::scalar("str").expect("is there").bind(args, crate::testing::AT).expect("fits")
    };
    let wide: Vec<(&str, crate::Expr)> = (0..33).map(|i| ("x", name(i))).collect();
    check_error(Q::scan().project(&wide), "too-large", "a row takes 33384 bytes, and the kernel allows 32768");
    check_error(
        Q::scan()
            .aggregate(&[("a", col("filename")), ("b", col("name")), ("c", col("pid"))], vec![call("count", None)]),
        "too-large",
        "the grouping key takes 520 bytes, and the kernel allows 512",
    );
    let reads: Vec<(&str, crate::Expr)> = (0..65).map(|i| ("x", plus(col("ppid"), int(i)))).collect();
    check_error(Q::scan().project(&reads), "too-large", "more than 64 columns may be NULL");
    cut(Q::scan().project(&reads[1..])).expect("64 bits are enough");
    let hists = |n| (0..n).map(|i| call("hist", Some(plus(col("flags"), int(i))))).collect();
    let split = cut(Q::scan().aggregate(&[("pid", col("pid"))], hists(60))).expect("it fits");
    assert!(split.to_string().contains("groups, at most 2118"), "{split}");
    let calls = (0..63).map(|i| call("hist", Some(plus(col("flags"), int(i))))).collect();
    check_error(
        Q::scan().aggregate(&[], calls),
        "too-large",
        "the state of a group takes 33264 bytes, and the kernel allows 32768",
    );
}

#[test]
fn expressions_do_not_explode() {
    let mut plan = Q::scan().project(&[("a", plus(col("flags"), int(0)))]);
    for _ in 0..40 {
        plan = plan.project(&[("a", plus(col("#0 bigint"), col("#0 bigint")))]);
    }
    check_error(plan, "too-large", "this expression is too large to compile");
}

#[test]
fn coalesce_over_what_may_be_null_needs_no_null_bit() {
    check(
        Q::scan().project(&[("p", coalesce(&[col("ppid"), int(0)]))]),
        "
        kernel k0: tracepoint.t.e
          rows, 8 bytes
            p unsigned integer @0 = coalesce(ppid, 0)
        user: rows
          output p unsigned integer
        ",
    );
}
