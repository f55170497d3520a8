//! No text makes the compiler panic or run long: mutations of real queries, the same ones every time.

mod support;

use bpfquery_diag::{Failure, render};
use std::time::{Duration, Instant};

/// How many texts are tried.
const TEXTS: usize = 20_000;
/// What one of them may take; they are short.
const LONGEST: Duration = Duration::from_secs(2);
/// What one of those that are long may take.
const LONGEST_OF_LONG: Duration = Duration::from_secs(20);

const SEEDS: [&str; 24] = [
    "select pid, cpu, elapsed from kprobe.do_nanosleep;",
    "select str(args.filename) from tracepoint.syscalls.sys_enter_openat;",
    "select * from kprobe.do_nanosleep where pid > 2*1000;",
    "select str(args.path -> dentry -> d_name.name) as filename from kprobe.vfs_open;",
    "SELECT tumble(interval '10 seconds') as bucket, count(*) FROM kprobe.do_nanosleep GROUP BY bucket;",
    "SELECT hist(retval) FROM kretprobe.vfs_read WHERE comm='dd'",
    "select comm, count(*) n, sum(ret) filter (where ret > 0) from sys_exit_read group by 1 having count(*) > 2 order by n desc nulls last limit 5 offset 1",
    "select case when ret < 0 then 'err' else 'ok' end, -ret, ~ret, ret::bigint unsigned from sys_exit_read",
    "select case ret when 0 then 1 end, cast(ret as int), not ret in (1, 0x2, 0b11), ret between 1 and 2 from sys_exit_read",
    "select ret is null, (ret = 1) is not true, ret isnull, $1, :name, 'it''s', E'\\x', $$a$$ from sys_exit_read",
    "select coalesce(ret, 1.5e3), nullif(ret, 1), greatest(1, ret), abs(ret) // comment\nfrom sys_exit_read /* c */ -- d",
    "select t.*, \"a b\" from interval('1s') as t",
    "select a from profile(99) emit every interval '1 s'",
    "select a from kprobe.vfs_* where a == 1 && b",
    "with t as (select 1) select * from t union all select 2",
    "select a from (select 1) x join y on a = b left join z using (c), lateral f(1)",
    "select count(distinct a), f(x) over (partition by b order by c), array[1], a[1:2], {fn f(1)}",
    "select exists (select 1), a like 'b' escape 'c', a is distinct from b, date '2020-01-01', x'1F'",
    "select extract(year from a), substring(a from 1 for 2), trim(both 'x' from a), ceil(a), overlay(a placing b from 1)",
    "create table t (a int primary key); insert into t values (1) on conflict do nothing",
    "select mode = 'HRTIMER_MODE_ABS' or mode in ('HRTIMER_MODE_REL') from fentry.do_nanosleep",
    "select args[0], args.id from tracepoint.raw_syscalls.sys_enter tablesample bernoulli (1) for update",
    "#!/usr/bin/env bpfquery\nselect é, 'ü', \"ñ\" from ö",
    "select ts - interval '1 minute', elapsed * 2 > '1 s'::interval from rawtracepoint.sched_switch",
];

/// What is put in here and there.
const PIECES: [&str; 60] = [
    "(",
    ")",
    "'",
    "\"",
    ",",
    ".",
    "->",
    "::",
    "*",
    "/",
    "//",
    "/*",
    "*/",
    "--",
    "-",
    "~",
    "=",
    "==",
    "<",
    ">",
    "[",
    "]",
    "{",
    "}",
    "$",
    "$1",
    "$$",
    ":",
    ":x",
    ";",
    "?",
    "@",
    "#",
    "!",
    "\\",
    "\n",
    "\t",
    "\u{0}",
    "é",
    "\u{1F600}",
    "0x",
    "1e",
    "9999999999999999999999",
    " select ",
    " from ",
    " where ",
    " group by ",
    " order by ",
    " case ",
    " when ",
    " end ",
    " interval ",
    " not ",
    " null ",
    " emit ",
    " union ",
    " filter (where ",
    "count(*)",
    "str(",
    " as ",
];

/// A small generator (xorshift64*, Vigna 2016): the same texts on every machine.
struct Dice(u64);

impl Dice {
    fn below(&mut self, n: usize) -> usize {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        let high = self.0.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 33;
        // 31 bits fit a usize.
        usize::try_from(high).unwrap_or(0) % n.max(1)
    }

    /// A place between two characters.
    fn place(&mut self, text: &str) -> usize {
        let mut at = self.below(text.len() + 1);
        while !text.is_char_boundary(at) {
            at -= 1;
        }
        at
    }

    fn mutant(&mut self) -> String {
        let mut text = SEEDS[self.below(SEEDS.len())].to_string();
        for _ in 0..=self.below(5) {
            let (a, b) = (self.place(&text), self.place(&text));
            let (from, to) = (a.min(b), a.max(b).min(a.min(b) + 24));
            let to = (to..=text.len()).find(|at| text.is_char_boundary(*at)).unwrap_or(text.len());
            match self.below(6) {
                0 => text.insert_str(a, PIECES[self.below(PIECES.len())]),
                1 => text.replace_range(from..to, ""),
                2 => text.replace_range(from..to, PIECES[self.below(PIECES.len())]),
                3 => {
                    let part = text[from..to].to_string();
                    text.insert_str(b, &part.repeat(1 + self.below(4)));
                }
                4 => {
                    let other = SEEDS[self.below(SEEDS.len())];
                    let (c, d) = (self.place(other), self.place(other));
                    text.insert_str(a, &other[c.min(d)..c.max(d)]);
                }
                _ => text.truncate(a),
            }
        }
        text
    }
}

#[test]
fn no_text_panics_or_hangs() {
    let kernel = support::kernel("small");
    let mut dice = Dice(0x5EED);
    let (mut read, mut bound) = (0, 0);
    for _ in 0..TEXTS {
        let text = dice.mutant();
        let start = Instant::now();
        let ast = bpfquery_sql::parse(&text);
        read += usize::from(ast.is_ok());
        match support::compile(&text, &kernel) {
            Ok(()) => bound += 1,
            Err(Failure::Query(diagnostic)) => {
                let span = diagnostic.span.unwrap_or_default();
                assert!(span.end as usize <= text.len() + 1, "{span:?} is outside {text:?}");
                render(&Failure::Query(diagnostic), &text);
            }
            Err(failure) => panic!("{text:?} gives {failure:?}"),
        }
        // A machine that had no time for this must not count: it gets more chances.
        let again = || drop(support::compile(&text, &kernel));
        assert!(start.elapsed() < LONGEST || is_quick(LONGEST, again), "{text:?} takes longer than {LONGEST:?}");
        if let Ok(ast) = ast {
            let printed = ast.to_string();
            let again = bpfquery_sql::parse(&printed).map(|ast| ast.to_string());
            assert_eq!(again.as_ref(), Ok(&printed), "{text:?}");
        }
    }
    // The mutations must stay near enough to SQL to get beyond the first stage.
    assert!(read > TEXTS / 50 && bound > TEXTS / 200, "{read} read, {bound} bound");
}

#[test]
fn long_texts_take_no_long_time() {
    let kernel = support::kernel("small");
    for part in [
        "(",
        "f(1),",
        "a.",
        "a->",
        "1+",
        "- ",
        "a,",
        "'a',",
        "[1]",
        "$1,",
        "$$",
        "/*",
        "//\n",
        "\"",
        "é",
        "a b ",
        "from ",
        "case ",
        "1 ",
        "not ",
        "a.b(",
        "x'1',",
        "select ",
        "a::int,",
        "a in (",
        "interval '1 s',",
        "count(*),",
        ";",
        "\n",
        "f(x).y,",
        "a and ",
    ] {
        let text = format!("select {}", part.repeat(200_000 / part.len()));
        let compile = || drop(support::compile(&text, &kernel));
        assert!(is_quick(LONGEST_OF_LONG, compile), "{part} takes longer than {LONGEST_OF_LONG:?}");
    }
}

/// Whether it takes less than this at least once in three times.
fn is_quick(most: Duration, run: impl Fn()) -> bool {
    (0..3).any(|_| {
        let start = Instant::now();
        run();
        start.elapsed() < most
    })
}
