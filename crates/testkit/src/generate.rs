//! Random queries that are right, the same ones each time.
//!
//! What must hold: every query is well typed, and one number decides all of it. Literals and parameters are drawn from where
//! integers go wrong: around zero, powers of two and the ends of 32 and 64 bits.

use std::fmt::Write;

/// What queries are made over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Subject {
    /// Behind FROM; none for queries without.
    pub relation: Option<&'static str>,
    /// Its columns that are numbers, as expressions name them.
    pub numbers: &'static [&'static str],
    /// Its columns that are text.
    pub texts: &'static [&'static str],
    /// How many programs it takes.
    pub programs: usize,
    /// Whether BPF_PROG_TEST_RUN runs them on a context that is made up: raw tracepoints of whose arguments none is followed.
    pub test_runs: bool,
}

/// A query with its parameters' values.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Query {
    /// With parameters, `:p0::bigint`.
    pub sql: String,
    /// With their values in their place, for the compiler to compute.
    pub folded: String,
    /// `p0`, and its value.
    pub params: Vec<(String, String)>,
}

/// A generator of numbers: xorshift64*, Vigna 2014.
#[derive(Clone, Debug)]
pub struct Random(u64);

const EDGES: [i128; 24] = [
    0,
    1,
    -1,
    2,
    -2,
    3,
    7,
    10,
    63,
    64,
    65,
    255,
    256,
    -128,
    32767,
    65535,
    i32::MAX as i128,
    i32::MIN as i128,
    u32::MAX as i128,
    1 << 32,
    i64::MAX as i128,
    i64::MAX as i128 - 1,
    i64::MIN as i128,
    i64::MIN as i128 + 1,
];

const TEXTS: [&str; 8] = ["", "a", "test", "tests", "bpfquery-testki", "12345678", "1234567", "z"];

/// What patterns are made of: parts of the texts above and of the test's own name, in either case.
const PIECES: [&str; 14] =
    ["%", "%", "_", "__", "t", "T", "test", "bpfquery-", "-", "12345678", "ä", "\\%", "#_", "est"];

impl Random {
    /// The generator of this seed.
    pub fn new(seed: u64) -> Random {
        Random(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    /// The next number.
    pub fn number(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    /// One below `n`.
    pub fn below(&mut self, n: u64) -> u64 {
        (self.number() >> 16) % n.max(1)
    }

    /// One of these.
    pub fn pick<'a, T>(&mut self, from: &'a [T]) -> &'a T {
        // `below` is below the length, which fits.
        #[allow(clippy::cast_possible_truncation, reason = "below the slice's length")]
        let at = self.below(from.len() as u64) as usize;
        &from[at]
    }

    /// A number from where integers go wrong, of 64 bits.
    pub fn edge(&mut self) -> i128 {
        match self.below(4) {
            0 => i128::from(self.number().cast_signed() >> self.below(64)),
            _ => *self.pick(&EDGES),
        }
    }
}

/// The query of this seed.
pub fn query(seed: u64, subject: &Subject) -> Query {
    let mut maker = Maker { random: Random::new(seed), subject, params: Vec::new() };
    let sql = maker.query(subject.relation);
    // A bare literal would take the other operand's sign, which a parameter does not.
    let mut folded = sql.clone();
    for (name, value) in maker.params.iter().rev() {
        folded = folded.replace(&format!(":{name}::bigint"), &format!("coalesce({value}, 0::bigint)"));
    }
    Query { sql, folded, params: maker.params }
}

struct Maker<'a> {
    random: Random,
    subject: &'a Subject,
    params: Vec<(String, String)>,
}

impl Maker<'_> {
    fn query(&mut self, relation: Option<&str>) -> String {
        let from = relation.map_or(String::new(), |relation| format!(" from {relation}"));
        let grouped = self.random.below(3) == 0;
        let filter = if self.random.below(2) == 0 { format!(" where {}", self.truth(3)) } else { String::new() };
        if grouped {
            return self.groups(&from, &filter);
        }
        let count = 1 + self.random.below(4);
        let columns: Vec<String> = (0..count).map(|i| format!("{} as c{i}", self.value())).collect();
        format!("select {}{from}{filter}", columns.join(", "))
    }

    fn groups(&mut self, from: &str, filter: &str) -> String {
        let keys = self.random.below(3);
        let mut columns: Vec<String> = (0..keys).map(|i| format!("{} as k{i}", self.value())).collect();
        for i in 0..1 + self.random.below(3) {
            let aggregate = *self.random.pick(&["count", "sum", "min", "max", "avg", "hist"]);
            let mut call = format!("{aggregate}({})", self.number(2));
            if self.random.below(4) == 0 {
                let _ = write!(call, " filter (where {})", self.truth(2));
            }
            columns.push(format!("{call} as a{i}"));
        }
        columns.push("count(*) as n".to_string());
        let keyed: Vec<String> = (1..=keys).map(|i| i.to_string()).collect();
        let by = if keyed.is_empty() { String::new() } else { format!(" group by {}", keyed.join(", ")) };
        format!("select {}{from}{filter}{by}", columns.join(", "))
    }

    fn value(&mut self) -> String {
        match self.random.below(8) {
            0 | 1 => self.truth(3),
            2 => self.text(2),
            _ => self.number(4),
        }
    }

    fn literal(&mut self) -> String {
        match self.random.edge() {
            number if number < 0 => format!("({number})"),
            number => number.to_string(),
        }
    }

    fn leaf(&mut self) -> String {
        match (self.random.below(5), self.subject.numbers) {
            (0 | 1, numbers @ [_, ..]) => (*self.random.pick(numbers)).to_string(),
            (2 | 3, _) => {
                let (name, value) = (format!("p{}", self.params.len()), self.random.edge().to_string());
                self.params.push((name.clone(), value));
                format!(":{name}::bigint")
            }
            _ => self.literal(),
        }
    }

    fn number(&mut self, depth: u32) -> String {
        if depth == 0 {
            return self.leaf();
        }
        let deeper = depth - 1;
        match self.random.below(16) {
            0..=6 => {
                let operator = *self.random.pick(&["+", "-", "*", "/", "%", "&", "|", "#", "<<", ">>"]);
                format!("({} {operator} {})", self.number(deeper), self.number(deeper))
            }
            7 => format!("(- {})", self.number(deeper)),
            8 => format!("(~ {})", self.number(deeper)),
            9 => format!("abs({})", self.number(deeper)),
            10 => format!("coalesce({}, {})", self.number(deeper), self.number(deeper)),
            11 => format!("nullif({}, {})", self.number(deeper), self.number(deeper)),
            12 => {
                let function = *self.random.pick(&["greatest", "least"]);
                format!("{function}({}, {})", self.number(deeper), self.number(deeper))
            }
            13 => {
                let (when, then, otherwise) = (self.truth(deeper), self.number(deeper), self.number(deeper));
                format!("(case when {when} then {then} else {otherwise} end)")
            }
            14 => {
                let to = *self.random.pick(&["smallint", "integer", "bigint"]);
                format!("({})::{to}", self.number(deeper))
            }
            _ => self.leaf(),
        }
    }

    fn truth(&mut self, depth: u32) -> String {
        if depth == 0 {
            return format!("({} > {})", self.leaf(), self.leaf());
        }
        let deeper = depth - 1;
        match self.random.below(13) {
            0..=3 => {
                let operator = *self.random.pick(&["=", "<>", "<", "<=", ">", ">="]);
                format!("({} {operator} {})", self.number(deeper), self.number(deeper))
            }
            4 => {
                let operator = *self.random.pick(&["=", "<>", "<", "<=", ">", ">="]);
                format!("({} {operator} {})", self.text(2), self.text(2))
            }
            5 | 6 => {
                let operator = *self.random.pick(&["and", "or"]);
                format!("({} {operator} {})", self.truth(deeper), self.truth(deeper))
            }
            7 => format!("(not {})", self.truth(deeper)),
            8 => {
                let not = *self.random.pick(&["", "not "]);
                format!("({} is {not}null)", self.number(deeper))
            }
            9 => format!("({} in ({}, {}))", self.number(deeper), self.literal(), self.leaf()),
            10 => format!("({} between {} and {})", self.number(deeper), self.leaf(), self.leaf()),
            11 => self.like(),
            _ => {
                let what = *self.random.pick(&["true", "not true", "false", "not false", "unknown"]);
                format!("({} is {what})", self.truth(deeper))
            }
        }
    }

    /// A text against a pattern made of a few pieces.
    fn like(&mut self) -> String {
        let word = *self.random.pick(&["like", "not like", "ilike", "not ilike"]);
        let pieces = 1 + self.random.below(4);
        let pattern: String = (0..pieces).map(|_| *self.random.pick(&PIECES)).collect();
        let escape = *self.random.pick(&["", "", " escape ''", " escape '#'"]);
        format!("({} {word} '{pattern}'{escape})", self.text(2))
    }

    fn text(&mut self, depth: u32) -> String {
        match self.random.below(8) {
            0 | 1 if depth > 0 => {
                let (when, then, otherwise) = (self.truth(1), self.text(depth - 1), self.text(depth - 1));
                format!("(case when {when} then {then} else {otherwise} end)")
            }
            2 if depth > 0 => format!("nullif({}, {})", self.text(depth - 1), self.text(depth - 1)),
            3 if depth > 0 => format!("coalesce({}, {})", self.text(depth - 1), self.text(depth - 1)),
            // So narrow that something is cut.
            4 if depth > 0 => {
                let (text, width) = (self.text(depth - 1), *self.random.pick(&[2, 4, 7, 8, 9, 15, 16, 20]));
                // What was cut of a row that is held does not compare with what comes later.
                if text.contains("e.") { text } else { format!("str({text}, {width})") }
            }
            5 | 6 => (*self.random.pick(self.subject.texts)).to_string(),
            _ => format!("'{}'", self.random.pick(&TEXTS)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_decides_everything() {
        let over = |relation, numbers| Subject { relation, numbers, texts: &["comm"], programs: 1, test_runs: true };
        let (some, none) = (over(Some("x"), &["ret"]), over(None, &[]));
        for seed in 0..20 {
            assert_eq!(query(seed, &some), query(seed, &some));
        }
        let different: std::collections::BTreeSet<String> = (0..200).map(|seed| query(seed, &none).sql).collect();
        assert!(different.len() > 190, "{}", different.len());
    }
}
