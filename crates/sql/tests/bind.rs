//! Tree to plan, on a pinned kernel: what each query means.
//!
//! The columns that a scan offers are left out of what is compared; the catalog's tests pin them.

mod support;

use bpfquery_diag::render;
use bpfquery_sql::{BindOptions, bind, parse};

fn check(sql: &str, expect: &str) {
    let query =
        support::bound(sql, &support::kernel("small")).unwrap_or_else(|failure| panic!("{}", render(&failure, sql)));
    let mut text = String::new();
    for line in query.to_string().lines() {
        let columns = line.find(" [").filter(|_| line.trim_start().starts_with("Scan "));
        text += &format!("{}\n", &line[..columns.unwrap_or(line.len())]);
    }
    for param in &query.params {
        text += &format!("Param {}: {}\n", param.name, param.ty);
    }
    assert_eq!(text, expect.trim_start(), "{sql}");
}

#[test]
fn the_queries_of_the_design() {
    check(
        r#"select pid, cpu, elapsed from kprobe.do_nanosleep;"#,
        r#"
Project [pid, cpu, elapsed]
  Scan kprobe.do_nanosleep
"#,
    );
    check(
        r#"select str(args.filename) from tracepoint.syscalls.sys_enter_openat;"#,
        r#"
Project [str(filename) AS str]
  Scan tracepoint.syscalls.sys_enter_openat
"#,
    );
    check(
        r#"select * from kprobe.do_nanosleep where pid > 2*1000;"#,
        r#"
Project [ts, pid, comm, cpu, t, mode]
  Filter [pid > 2 * 1000]
    Scan kprobe.do_nanosleep
"#,
    );
    check(
        r#"select str(args.path -> dentry -> d_name.name) as filename from kprobe.vfs_open;"#,
        r#"
Project [str(path -> dentry -> d_name.name) AS filename]
  Scan kprobe.vfs_open
"#,
    );
    check(
        r#"SELECT tumble(interval '10 seconds') as bucket, count(*) FROM kprobe.do_nanosleep GROUP BY bucket;"#,
        r#"
Project [bucket, count]
  Aggregate [count(*)] by [tumble(interval '10 seconds') AS bucket]
    Scan kprobe.do_nanosleep
"#,
    );
    check(
        r#"SELECT hist(retval) FROM kretprobe.vfs_read WHERE comm='dd'"#,
        r#"
Project [hist]
  Aggregate [hist(retval)]
    Filter [comm = 'dd']
      Scan kretprobe.vfs_read
"#,
    );
}

#[test]
fn names() {
    check(
        r#"SELECT PID, args.Filename, "filename", sys_enter_openat.pid FROM tracepoint.syscalls.sys_enter_openat"#,
        r#"
Project [pid, str(filename) AS filename, str(filename) AS filename, pid]
  Scan tracepoint.syscalls.sys_enter_openat
"#,
    );
    check(
        r#"SELECT S.dfd, s.args.flags, args.mode FROM sys_enter_openat AS s"#,
        r#"
Project [dfd, flags, mode]
  Scan tracepoint.syscalls.sys_enter_openat
"#,
    );
    check(
        r#"SELECT pid, args.pid, args.comm FROM tracepoint.sched.sched_wakeup"#,
        r#"
Project [pid, pid, comm]
  Scan tracepoint.sched.sched_wakeup
"#,
    );
    check(
        r#"SELECT path.dentry.d_name.name, path -> mnt -> mnt_sb -> s_id, file -> f_inode -> i_ino FROM fentry.vfs_open"#,
        r#"
Project [str(path -> dentry -> d_name.name) AS name, path -> mnt -> mnt_sb -> s_id AS s_id, file -> f_inode -> i_ino AS i_ino]
  Scan fentry.vfs_open
"#,
    );
    check(
        r#"SELECT id FROM tracepoint.raw_syscalls.sys_enter WHERE args.id = 1"#,
        r#"
Project [id]
  Filter [id = 1]
    Scan tracepoint.raw_syscalls.sys_enter
"#,
    );
    check(
        r#"SELECT next_comm, args.next_comm FROM sched_switch AS args"#,
        r#"
Project [next_comm, next_comm]
  Scan tracepoint.sched.sched_switch
"#,
    );
    check(
        r#"SELECT filename FROM sys_enter_openat WHERE filename = '/etc/passwd'"#,
        r#"
Project [str(filename) AS filename]
  Filter [str(filename) = '/etc/passwd']
    Scan tracepoint.syscalls.sys_enter_openat
"#,
    );
    check(
        r#"SELECT *, s.* FROM interval('1s') AS s"#,
        r#"
Project [ts, pid, comm, cpu, ts, pid, comm, cpu]
  Scan interval(1s)
"#,
    );
}

#[test]
fn output_names() {
    check(
        r#"SELECT 1, -1, 'a', true, null, interval '1 s', 1 + 1, pid = 1, pid IS NULL, pid, (pid), pid::bigint, (1 + 1)::int, $1 FROM sched_switch"#,
        r#"
Project [1 AS "?column?", -1 AS "?column?", 'a' AS "?column?", true AS bool, NULL AS "?column?", interval '1 second' AS interval, 1 + 1 AS "?column?", pid = 1 AS "?column?", pid IS NULL AS "?column?", pid, pid, pid::bigint AS pid, (1 + 1)::integer AS int4, $1 AS "?column?"]
  Scan tracepoint.sched.sched_switch
Param 1: bigint
"#,
    );
    check(
        r#"SELECT CASE WHEN pid = 1 THEN 2 END, CASE WHEN pid = 1 THEN 2 ELSE cpu END, COALESCE(pid, 1), Count(*) FROM sched_switch GROUP BY pid, cpu"#,
        r#"
Project [CASE WHEN pid = 1 THEN 2 ELSE NULL END AS case, CASE WHEN pid = 1 THEN 2 ELSE cpu END AS cpu, coalesce(pid, 1) AS coalesce, count]
  Aggregate [count(*)] by [pid, cpu]
    Scan tracepoint.sched.sched_switch
"#,
    );
    check(
        r#"SELECT (file -> f_inode).i_ino AS "a b", count(*) AS é FROM kprobe.vfs_open GROUP BY 1"#,
        r#"
Project ["a b", "é"]
  Aggregate [count(*) AS "é"] by [file -> f_inode -> i_ino AS "a b"]
    Scan kprobe.vfs_open
"#,
    );
}

#[test]
fn types() {
    check(
        r#"SELECT comm FROM sched_switch WHERE next_pid = '7' AND prev_state <> 0x10 AND next_prio BETWEEN 1 AND 99 AND cpu IN (0, 1)"#,
        r#"
Project [comm]
  Filter [next_pid = 7 AND prev_state <> 16 AND next_prio >= 1 AND next_prio <= 99 AND (cpu = 0 OR cpu = 1)]
    Scan tracepoint.sched.sched_switch
"#,
    );
    check(
        r#"SELECT comm FROM sched_switch WHERE (next_pid = 0) IS NOT TRUE AND (next_pid = 1) IS FALSE AND (next_pid = 2) IS UNKNOWN AND NOT next_pid IN (3)"#,
        r#"
Project [comm]
  Filter [NOT coalesce(next_pid = 0, false) AND coalesce(NOT next_pid = 1, false) AND next_pid = 2 IS NULL AND NOT next_pid = 3]
    Scan tracepoint.sched.sched_switch
"#,
    );
    check(
        r#"SELECT comm FROM kprobe.do_nanosleep WHERE mode = 'HRTIMER_MODE_REL' OR mode IN ('HRTIMER_MODE_ABS', 'HRTIMER_MODE_REL')"#,
        r#"
Project [comm]
  Filter [mode = 'HRTIMER_MODE_REL' OR mode = 'HRTIMER_MODE_ABS' OR mode = 'HRTIMER_MODE_REL']
    Scan kprobe.do_nanosleep
"#,
    );
    check(
        r#"SELECT CASE prev_state WHEN 0 THEN 'running' WHEN 1 THEN 'sleeping' ELSE 'other' END AS state FROM sched_switch"#,
        r#"
Project [CASE WHEN prev_state = 0 THEN 'running' WHEN prev_state = 1 THEN 'sleeping' ELSE 'other' END AS state]
  Scan tracepoint.sched.sched_switch
"#,
    );
    check(
        r#"SELECT next_pid::bigint unsigned, cpu::boolean, next_prio::double precision, '1 s'::interval, (cpu = 0)::int FROM sched_switch"#,
        r#"
Project [next_pid::unsigned bigint AS next_pid, cpu::boolean AS cpu, next_prio::double precision AS next_prio, interval '1 second' AS interval, (cpu = 0)::integer AS int4]
  Scan tracepoint.sched.sched_switch
"#,
    );
    check(
        r#"SELECT -9223372036854775808, 18446744073709551615, +1, ~pid, -pid FROM sched_switch"#,
        r#"
Project [-9223372036854775808 AS "?column?", 18446744073709551615 AS "?column?", 1 AS "?column?", ~pid AS "?column?", -pid AS "?column?"]
  Scan tracepoint.sched.sched_switch
"#,
    );
    check(
        r#"SELECT ts - interval '1 s', elapsed / 2, elapsed > interval '-1 s' FROM sched_switch"#,
        r#"
Project [ts - interval '1 second' AS "?column?", elapsed / 2 AS "?column?", elapsed > interval '-1 seconds' AS "?column?"]
  Scan tracepoint.sched.sched_switch
"#,
    );
    check(
        r#"SELECT nullif(pid, 0), greatest(1, cpu), abs(next_prio), coalesce(comm, 'none') FROM sched_switch"#,
        r#"
Project [CASE WHEN pid = 0 THEN NULL ELSE pid END AS nullif, CASE WHEN 1 >= cpu OR cpu IS NULL THEN 1 ELSE cpu END AS greatest, CASE WHEN next_prio < 0 THEN -next_prio ELSE next_prio::bigint END AS abs, coalesce(comm, 'none') AS coalesce]
  Scan tracepoint.sched.sched_switch
"#,
    );
    check(
        r#"SELECT comm FROM sched_switch WHERE comm IS DISTINCT FROM next_comm AND next_pid IS NOT DISTINCT FROM $1"#,
        r#"
Project [comm]
  Filter [NOT coalesce(comm = next_comm, comm IS NULL AND next_comm IS NULL) AND coalesce(next_pid = $1, next_pid IS NULL AND $1 IS NULL)]
    Scan tracepoint.sched.sched_switch
Param 1: bigint
"#,
    );
}

#[test]
fn parameters() {
    check(
        r#"SELECT pid FROM sched_switch WHERE next_pid = $1 AND comm = :name AND $1 > 0 AND elapsed < $2"#,
        r#"
Project [pid]
  Filter [next_pid = $1 AND comm = :name AND $1 > 0 AND elapsed < $2]
    Scan tracepoint.sched.sched_switch
Param 1: bigint
Param name: text(256)
Param 2: interval
"#,
    );
    check(
        r#"SELECT pid + $1, coalesce(:a, comm), :b, cast(:c AS boolean) FROM sched_switch WHERE $3"#,
        r#"
Project [pid + $1 AS "?column?", coalesce(:a, comm::text(256)) AS coalesce, :b AS "?column?", :c AS bool]
  Filter [$3]
    Scan tracepoint.sched.sched_switch
Param 3: boolean
Param 1: bigint
Param a: text(256)
Param b: bigint
Param c: boolean
"#,
    );
    check(
        r#"SELECT CASE WHEN cpu = 0 THEN :x ELSE next_comm END FROM sched_switch WHERE next_pid IN ($1, $2) AND next_prio BETWEEN :lo AND :hi"#,
        r#"
Project [CASE WHEN cpu = 0 THEN :x ELSE next_comm::text(256) END AS next_comm]
  Filter [(next_pid = $1 OR next_pid = $2) AND next_prio >= :lo AND next_prio <= :hi]
    Scan tracepoint.sched.sched_switch
Param 1: bigint
Param 2: bigint
Param lo: bigint
Param hi: bigint
Param x: text(256)
"#,
    );
}

#[test]
fn groups() {
    check(
        r#"SELECT comm, count(*), sum(ret), min(ret), max(ret), avg(ret) FROM sys_exit_read GROUP BY comm"#,
        r#"
Project [comm, count, sum, min, max, avg]
  Aggregate [count(*), sum(ret), min(ret), max(ret), avg(ret)] by [comm]
    Scan tracepoint.syscalls.sys_exit_read
"#,
    );
    check(
        r#"SELECT count(*), count(ret), sum(ret) FILTER (WHERE ret > 0) AS ok FROM sys_exit_read"#,
        r#"
Project [count, count, ok]
  Aggregate [count(*), count(ret), sum(ret) FILTER (WHERE ret > 0) AS ok]
    Scan tracepoint.syscalls.sys_exit_read
"#,
    );
    check(
        r#"SELECT count(*) + count(*), max(ret) - min(ret) FROM sys_exit_read HAVING count(*) > 10"#,
        r#"
Project [count + count AS "?column?", max - min AS "?column?"]
  Filter [count > 10]
    Aggregate [count(*), max(ret), min(ret)]
      Scan tracepoint.syscalls.sys_exit_read
"#,
    );
    check(
        r#"SELECT pid % 4 AS bucket, count(*) FROM sched_switch GROUP BY bucket HAVING pid % 4 <> 0"#,
        r#"
Project [bucket, count]
  Filter [bucket <> 0]
    Aggregate [count(*)] by [pid % 4 AS bucket]
      Scan tracepoint.sched.sched_switch
"#,
    );
    check(
        r#"SELECT next_comm AS comm, count(*) FROM sched_switch GROUP BY comm, next_comm"#,
        r#"
Project [comm, count]
  Aggregate [count(*)] by [comm, next_comm AS comm]
    Scan tracepoint.sched.sched_switch
"#,
    );
    check(
        r#"SELECT filename, count(*) FROM sys_enter_openat GROUP BY filename"#,
        r#"
Project [filename, count]
  Aggregate [count(*)] by [str(filename) AS filename]
    Scan tracepoint.syscalls.sys_enter_openat
"#,
    );
    check(
        r#"SELECT str(filename) AS f, count(*) FROM sys_enter_openat GROUP BY f, str(filename), 1"#,
        r#"
Project [f, count]
  Aggregate [count(*)] by [str(filename) AS f]
    Scan tracepoint.syscalls.sys_enter_openat
"#,
    );
    check(
        r#"SELECT comm FROM sched_switch GROUP BY comm"#,
        r#"
Project [comm]
  Aggregate [] by [comm]
    Scan tracepoint.sched.sched_switch
"#,
    );
    check(
        r#"SELECT 1 FROM sched_switch HAVING true"#,
        r#"
Project [1 AS "?column?"]
  Filter [true]
    Aggregate []
      Scan tracepoint.sched.sched_switch
"#,
    );
    check(
        r#"SELECT pid + 1, (pid + 1) * 2 FROM sched_switch GROUP BY pid + 1"#,
        r#"
Project ["?column?", "?column?" * 2 AS "?column?"]
  Aggregate [] by [pid + 1 AS "?column?"]
    Scan tracepoint.sched.sched_switch
"#,
    );
}

#[test]
fn order_and_limit() {
    check(
        r#"SELECT comm, count(*) AS n FROM sched_switch GROUP BY comm ORDER BY n DESC, comm LIMIT 10"#,
        r#"
Limit 10
  Sort [n DESC, comm]
    Project [comm, n]
      Aggregate [count(*) AS n] by [comm]
        Scan tracepoint.sched.sched_switch
"#,
    );
    check(
        r#"SELECT comm, count(*) FROM sched_switch GROUP BY comm ORDER BY 2 DESC NULLS LAST, max(next_prio) NULLS FIRST LIMIT 5 OFFSET 2"#,
        r#"
Limit 5 OFFSET 2
  Project [comm, count]
    Sort [count DESC NULLS LAST, max NULLS FIRST]
      Project [comm, count, max]
        Aggregate [count(*), max(next_prio)] by [comm]
          Scan tracepoint.sched.sched_switch
"#,
    );
    check(
        r#"SELECT comm, sum(next_prio) FROM sched_switch GROUP BY comm ORDER BY sum(next_prio) / count(*)"#,
        r#"
Project [comm, sum]
  Sort ["?column?"]
    Project [comm, sum, sum / count AS "?column?"]
      Aggregate [sum(next_prio), count(*)] by [comm]
        Scan tracepoint.sched.sched_switch
"#,
    );
    check(
        r#"SELECT 1 + 1 AS two, 3 ORDER BY two, 2, pid OFFSET 1"#,
        r#"
Limit ALL OFFSET 1
  Project [two, "?column?"]
    Sort [two, "?column?", pid]
      Project [1 + 1 AS two, 3 AS "?column?", pid]
        Scan once
"#,
    );
    check(
        r#"SELECT comm FROM sched_switch LIMIT NULL"#,
        r#"
Project [comm]
  Scan tracepoint.sched.sched_switch
"#,
    );
    check(
        r#"SELECT comm FROM sched_switch LIMIT 0x10"#,
        r#"
Limit 16
  Project [comm]
    Scan tracepoint.sched.sched_switch
"#,
    );
}

#[test]
fn one_process_only() {
    let sql = "SELECT comm FROM sched_switch WHERE cpu = 0";
    let kernel = support::kernel("small");
    let ast = parse(sql).unwrap_or_else(|failure| panic!("{}", render(&failure, sql)));
    let query = bind(&ast, &kernel, &BindOptions { pid: Some(42) });
    let text = query.unwrap_or_else(|failure| panic!("{}", render(&failure, sql))).to_string();
    assert!(text.starts_with("Project [comm]\n  Filter [cpu = 0]\n    Filter [pid = 42]\n      Scan "), "{text}");
}

#[test]
fn expressions_are_bounded() {
    let kernel = support::kernel("small");
    let code = |sql: &str| match support::bound(sql, &kernel) {
        Err(bpfquery_diag::Failure::Query(diagnostic)) => diagnostic.code.0,
        Err(other) => panic!("{other:?}"),
        Ok(_) => "ok",
    };
    let nested = |open: &str, close: &str, n: usize| {
        format!("SELECT {}pid{} FROM sched_switch", open.repeat(n), close.repeat(n))
    };
    assert_eq!(code(&nested("nullif(", ", 1)", 5)), "ok");
    assert_eq!(code(&nested("nullif(", ", 1)", 20)), "too-large");
    assert_eq!(code(&nested("greatest(", ", 1, 2, 3)", 15)), "too-large");
    assert_eq!(code(&nested("CASE ", " WHEN 1 THEN 2 WHEN 2 THEN 3 ELSE 4 END", 20)), "too-large");
    assert_eq!(code(&format!("SELECT pid IN (1{}) FROM sched_switch", ", 1".repeat(20_000))), "too-large");
    assert_eq!(code(&format!("SELECT pid FROM sched_switch WHERE pid = 1{}", " OR pid = 1".repeat(300))), "ok");
    assert_eq!(code(&format!("SELECT pid{} FROM sched_switch", " + 1".repeat(90))), "ok");
    assert_eq!(code(&format!("SELECT pid{} FROM sched_switch", " + 1".repeat(120))), "too-deep");
    assert_eq!(code(&format!("SELECT pid{} FROM sched_switch", ", pid".repeat(1663))), "ok");
    assert_eq!(code(&format!("SELECT pid{} FROM sched_switch", ", pid".repeat(1664))), "too-large");
    assert_eq!(code(&format!("SELECT *{} FROM sched_switch", ", *".repeat(1000))), "too-large");
    assert_eq!(code(&format!("SELECT pid FROM sched_switch GROUP BY pid{}", ", pid".repeat(1663))), "ok");
}
