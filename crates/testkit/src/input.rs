//! The `input` section: the events that the interpreter is given, one a line.
//!
//! ```text
//! # a comment
//! pid=12 comm=dd ts=1000 args.fd=3 args.path->dentry->d_name.name="x"
//! 3 x pid=12 filename=fault fail.ringbuf_reserve=0
//! k1: ts=1500 ret=1
//! ```
//!
//! What must hold: whatever is not understood is an error. Not checked here: whether the relation has these columns.

/// An event: whose it is, how often it happens, and what is set.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line {
    /// `k1:` in front: the program, as the split numbers them; 0 without.
    pub program: usize,
    /// `3 x` in front; 1 without.
    pub times: u32,
    /// Each name with its value, in order.
    pub fields: Vec<(Place, Value)>,
}

/// What is set: a column, and the way on from it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// As written, for messages.
    pub text: String,
    /// Whether `args.` stood in front.
    pub args: bool,
    /// The column (or `fail`).
    pub column: String,
    /// The indices behind it.
    pub indices: Vec<u32>,
    /// The members that follow, whether after `.` or `->`.
    pub members: Vec<Step>,
}

/// A member, and the indices behind it: `b[1]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Step {
    /// Its name.
    pub name: String,
    /// What stands in brackets, in order.
    pub indices: Vec<u32>,
}

/// A value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Value {
    /// `5`, `-1`, `0xff`, `1_000`, `5s`.
    Int(i128),
    /// `"x"` or `"x" * 3`: bytes, NUL-ended where they stand.
    Text(Vec<u8>),
    /// `user "x"`: the same in the process's memory, where the kernel's is the default.
    UserText(Vec<u8>),
    /// `fault`: an address that cannot be read.
    Fault,
    /// A bare word: an enum's name, a short text.
    Word(String),
}

/// Reads the section.
///
/// # Errors
/// What is not understood, with its line.
pub fn parse(text: &str) -> Result<Vec<Line>, String> {
    let mut lines = Vec::new();
    for (number, line) in text.lines().enumerate() {
        if line.trim().is_empty() || line.starts_with('#') {
            continue;
        }
        lines.push(read_line(line).map_err(|error| format!("input line {}: {error}", number + 1))?);
    }
    Ok(lines)
}

fn read_line(line: &str) -> Result<Line, String> {
    let mut rest = line.trim();
    let (mut program, mut times) = (0, 1);
    if let Some((word, tail)) = rest.split_once(':')
        && let Some(number) = word.strip_prefix('k').and_then(|number| number.parse().ok())
    {
        (program, rest) = (number, tail.trim_start());
    }
    if let Some((count, tail)) = rest.split_once(" x")
        && let Ok(count) = count.parse()
    {
        (times, rest) = (count, tail.trim_start());
    }
    let mut fields = Vec::new();
    while !rest.is_empty() {
        let (name, tail) = rest.split_once('=').ok_or_else(|| format!("\"{rest}\" has no ="))?;
        let (value, tail) = read_value(tail)?;
        fields.push((place(name.trim())?, value));
        rest = tail.trim_start();
    }
    Ok(Line { program, times, fields })
}

fn place(text: &str) -> Result<Place, String> {
    let arrows = text.replace("->", ".");
    let mut parts = arrows.split('.').map(|part| part.trim().to_string());
    let mut column = parts.next().unwrap_or_default();
    let args = column == "args";
    if args {
        column = parts.next().unwrap_or_default();
    }
    let members = parts.map(|part| step(&part)).collect::<Option<Vec<Step>>>();
    // `context[1]` is a name by itself.
    let first =
        if column.starts_with("context[") { Some(Step { name: column, indices: Vec::new() }) } else { step(&column) };
    let (Some(first), Some(members)) = (first, members) else { return Err(format!("\"{text}\" is no name")) };
    Ok(Place { text: text.to_string(), args, column: first.name, indices: first.indices, members })
}

/// `name[1][2]`.
fn step(text: &str) -> Option<Step> {
    let mut parts = text.split('[');
    let name = parts.next().filter(|name| !name.is_empty())?.to_string();
    let indices = parts.map(|part| part.strip_suffix(']')?.parse().ok()).collect::<Option<_>>()?;
    Some(Step { name, indices })
}

fn read_value(text: &str) -> Result<(Value, &str), String> {
    if let Some(rest) = text.strip_prefix("user \"") {
        let (bytes, rest) = read_text(rest)?;
        return Ok((Value::UserText(bytes), rest));
    }
    if let Some(rest) = text.strip_prefix('"') {
        let (bytes, rest) = read_text(rest)?;
        return Ok((Value::Text(bytes), rest));
    }
    let (word, rest) = text.split_at(text.find(' ').unwrap_or(text.len()));
    if word.is_empty() {
        return Err("a value is missing".to_string());
    }
    let value = match (word, int(word)) {
        ("fault", _) => Value::Fault,
        (_, Some(int)) => Value::Int(int),
        (word, None) => Value::Word(word.to_string()),
    };
    Ok((value, rest))
}

/// What follows the opening quote: text with `\n`, `\\`, `\"`, `\xNN`, and perhaps `* N` behind its end.
fn read_text(text: &str) -> Result<(Vec<u8>, &str), String> {
    let mut bytes = Vec::new();
    let mut chars = text.char_indices();
    while let Some((at, c)) = chars.next() {
        match c {
            '"' => return repeated(bytes, &text[at + 1..]),
            '\\' => match chars.next().map(|(_, c)| c) {
                Some('n') => bytes.push(b'\n'),
                Some('x') => {
                    let digits: String = chars.by_ref().take(2).map(|(_, c)| c).collect();
                    bytes.push(u8::from_str_radix(&digits, 16).map_err(|_| format!("\\x{digits} is no byte"))?);
                }
                Some(c @ ('\\' | '"')) => bytes.push(c as u8),
                _ => return Err("a \\ that is not understood".to_string()),
            },
            c => bytes.extend(c.to_string().as_bytes()),
        }
    }
    Err("a text has no end".to_string())
}

fn repeated(bytes: Vec<u8>, rest: &str) -> Result<(Vec<u8>, &str), String> {
    let Some(count) = rest.trim_start().strip_prefix('*') else { return Ok((bytes, rest)) };
    let count = count.trim_start();
    let (digits, rest) = count.split_at(count.find(|c: char| !c.is_ascii_digit()).unwrap_or(count.len()));
    let times: usize = digits.parse().map_err(|_| format!("\"{count}\" is no number of times"))?;
    Ok((bytes.repeat(times), rest))
}

/// A whole number; a duration is one of nanoseconds.
pub fn int(word: &str) -> Option<i128> {
    let plain = word.replace('_', "");
    let (sign, digits) = plain.strip_prefix('-').map_or((1, plain.as_str()), |digits| (-1, digits));
    let number = match digits.strip_prefix("0x") {
        Some(hex) => i128::from_str_radix(hex, 16).ok(),
        None if digits.starts_with(|c: char| c.is_ascii_digit()) => {
            digits.parse().ok().or_else(|| bpfquery_catalog::parse_duration(digits).map(i128::from))
        }
        None => None,
    };
    number.map(|number| sign * number)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values() {
        for (text, expect) in [
            ("5", Value::Int(5)),
            ("-1", Value::Int(-1)),
            ("0xff", Value::Int(255)),
            ("1_000", Value::Int(1000)),
            ("2ms", Value::Int(2_000_000)),
            ("18446744073709551615", Value::Int(u64::MAX.into())),
            ("dd", Value::Word("dd".into())),
            ("fault", Value::Fault),
            ("\"a b\"", Value::Text(b"a b".into())),
            ("\"a\" * 3", Value::Text(b"aaa".into())),
            ("\"\\xff\\n\\\"\"", Value::Text(b"\xff\n\"".into())),
            ("user \"x\"", Value::UserText(b"x".into())),
        ] {
            assert_eq!(read_value(text), Ok((expect, "")), "{text}");
        }
    }

    #[test]
    fn lines() {
        let lines = parse("# none\n2 x pid=1 args.path->dentry->d_name.name=\"x\" comm=dd\n").expect("sound");
        let [line] = lines.as_slice() else { panic!("{lines:?}") };
        assert_eq!(line.times, 2);
        let names: Vec<&str> = line.fields[1].0.members.iter().map(|step| step.name.as_str()).collect();
        assert_eq!(names, ["dentry", "d_name", "name"]);
        assert!(line.fields[1].0.args && line.fields[1].0.column == "path");
        for (text, expect) in [
            ("pid", "input line 1: \"pid\" has no ="),
            ("pid=", "input line 1: a value is missing"),
            ("\n=1", "input line 2: \"\" is no name"),
            ("comm=\"x", "input line 1: a text has no end"),
        ] {
            assert_eq!(parse(text).as_ref().map_err(String::as_str), Err(expect));
        }
    }
}
