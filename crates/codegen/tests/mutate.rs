//! What the verifier accepts, the interpreter runs without a trap: tried on random spoilings of right functions.
//!
//! The other direction is not asked: a spoiling may well be right. Not caught here: reads of unwritten memory, for which
//! the interpreter has no trap.

use bpfquery_codegen::interp::{Event, World, run};
use bpfquery_codegen::ir::{Func, parse, verify};

const SEEDS: [&str; 2] = [include_str!("ir/everything.ir"), include_str!("ir/group.ir")];

/// Marsaglia's xorshift: the same numbers on each run.
struct Random(u64);

impl Random {
    fn below(&mut self, n: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 >> 33).expect("31 bits fit") % n
    }
}

/// Changes a word, or swaps, drops or doubles a line, behind the tables.
fn spoil(text: &str, random: &mut Random) -> String {
    let mut lines: Vec<String> = text.lines().map(str::to_owned).collect();
    let first = lines.iter().position(|line| line.starts_with("b0")).expect("there is an entry") + 1;
    let at = first + random.below(lines.len() - 1 - first);
    let other = first + random.below(lines.len() - 1 - first);
    match random.below(8) {
        0 => lines.swap(at, other),
        1 => drop(lines.remove(at)),
        2 => {
            let line = lines[other].clone();
            lines.insert(at, line);
        }
        3 | 4 => lines[at] = replace_word(&lines[at], &lines[other], random),
        _ => lines[at] = renumber(&lines[at], random),
    }
    lines.join("\n") + "\n"
}

/// A word of one line in the place of one of another.
fn replace_word(line: &str, other: &str, random: &mut Random) -> String {
    let mut words: Vec<&str> = line.split(' ').collect();
    let others: Vec<&str> = other.split(' ').collect();
    let at = random.below(words.len());
    words[at] = others[random.below(others.len())];
    words.join(" ")
}

/// Another number in the place of one.
fn renumber(line: &str, random: &mut Random) -> String {
    let starts = |&(i, c): &(usize, char)| c.is_ascii_digit() && !line[..i].ends_with(|c: char| c.is_ascii_digit());
    let numbers: Vec<usize> = line.char_indices().filter(starts).map(|(i, _)| i).collect();
    if numbers.is_empty() {
        return line.to_owned();
    }
    let start = numbers[random.below(numbers.len())];
    let rest = line[start..].trim_start_matches(|c: char| c.is_ascii_digit());
    let old: usize = line[start..line.len() - rest.len()].parse().expect("digits are a number");
    let new = [old + 1, old.saturating_sub(1), old + 8, random.below(45)][random.below(4)];
    format!("{}{new}{rest}", &line[..start])
}

fn events() -> Vec<Event> {
    let context = |byte: u8| vec![byte; 64];
    let event = |byte: u8| Event {
        context: context(byte),
        cpu: u32::from(byte & 1),
        task: 0x1234_5678_0000,
        ..Event::default()
    };
    vec![event(0), event(0xff), event(3).comm("sleep"), event(0xff)]
}

fn runs(func: &Func, text: &str) {
    let mut world = World::new([func], 2).expect("one function agrees with itself");
    for event in events() {
        run(func, &mut world, &event).unwrap_or_else(|trap| panic!("{trap} in\n{text}"));
    }
}

#[test]
fn what_is_accepted_runs() {
    let mut random = Random(0x1234_5678_9abc_def1);
    let (mut accepted, mut refused) = (0, 0);
    for seed in SEEDS {
        let right = parse(seed).expect("the text is well-formed");
        verify(&right).expect("the function is right");
        runs(&right, seed);
        for _ in 0..5_000 {
            let mut text = spoil(seed, &mut random);
            if random.below(3) == 0 {
                text = spoil(&text, &mut random);
            }
            let Ok(func) = parse(&text) else { continue };
            match verify(&func) {
                Ok(()) => {
                    accepted += 1;
                    runs(&func, &text);
                }
                Err(_) => refused += 1,
            }
        }
    }
    assert!(accepted > 500 && refused > 3_000, "{accepted} accepted, {refused} refused");
}
