//! What an object says of itself, so that it runs without SQL and without a compiler.
//!
//! The section `.bpfquery` holds eight bytes of magic, a version and a length (u32, little-endian), and JSON. An
//! unknown version is refused; the JSON is validated against the object's own sections before anything is loaded.

use bpfquery_catalog::{Check, Hook, SqlType};
use bpfquery_diag::{Diagnostic, Failure, Result, Span};
use bpfquery_plan::{Datum, UserPlan};
use serde::{Deserialize, Serialize};

/// The section's name.
pub const SECTION: &str = ".bpfquery";
/// What the section starts with.
pub const MAGIC: &[u8; 8] = b"bpfquery";
/// The format that this program writes and reads.
pub const VERSION: u32 = 1;
/// CPUs that a kernel may have: NR_CPUS of x86-64 is at most 8192 (arch/x86/Kconfig, Linux 6.18).
const MOST_COPIES: u32 = 8192;
/// The map of rows, if there is one.
pub const ROWS: &str = "rows";
/// The rows that threads hold, if there is a join.
pub const HELD: &str = "held";
/// The map of groups, if there is one.
pub const GROUPS: &str = "groups";
/// The hash of groups beside an array of slots, if there is one.
pub const REST: &str = "groups_rest";

/// Everything that the reader of an object must know.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Manifest {
    /// Who wrote it: `bpfquery 0.1.0`.
    pub generator: String,
    /// What it was compiled for: `portable`, or a kernel's release.
    pub target: String,
    /// `x86_64`.
    pub arch: String,
    /// The query's text.
    pub sql: String,
    /// The programs.
    pub programs: Vec<Program>,
    /// What must be so on the kernel that runs it.
    pub checks: Vec<Check>,
    /// Parameters, to be set before load.
    pub params: Vec<Parameter>,
    /// Where the loader writes the query's start (u64, ns of CLOCK_MONOTONIC) in `.rodata`.
    pub start_ns: Option<u32>,
    /// Where the loader writes CLOCK_REALTIME minus CLOCK_MONOTONIC (i64, ns) in `.rodata`.
    pub wall_offset: Option<u32>,
    /// Counters of losses.
    pub counters: Vec<Variable>,
    /// Counters that each CPU has for itself: a join's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tallies: Option<Tallies>,
    /// What user space does with the rows.
    pub user: UserPlan,
}

/// A program and its place.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Program {
    /// The symbol's name.
    pub name: String,
    /// Where it is attached.
    pub hook: Hook,
}

/// A parameter of the kernel part.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Parameter {
    /// `$1` is named `1`, `:limit` is named `limit`.
    pub name: String,
    /// Its type.
    pub ty: SqlType,
    /// Where its value stands in `.rodata`: 8 bytes, or text of its type's width. `None` where only user space uses it.
    pub offset: Option<u32>,
}

/// A variable in `.bss`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Variable {
    /// Its name: what was lost, as `Counter::name` of codegen's lowering.
    pub name: String,
    /// Bytes from the section's start; 8 bytes long.
    pub offset: u32,
}

/// Counters in `.bss` that each CPU has for itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Tallies {
    /// Bytes from one CPU's copy to the next one's.
    pub stride: u32,
    /// How many copies there are.
    pub copies: u32,
    /// Each counter, and where its first copy is.
    pub list: Vec<Variable>,
}

impl Tallies {
    /// Bytes from the section's start to the end of the last copy of a counter; `None` if there is no such number.
    pub fn end(&self) -> Option<u32> {
        let last = self.list.iter().map(|tally| tally.offset).max().unwrap_or(0);
        self.stride.checked_mul(self.copies.checked_sub(1)?)?.checked_add(last)?.checked_add(8)
    }

    /// Each counter's sum over its copies in the bytes of `.bss`; what lies outside counts for nothing.
    pub fn sums(&self, bss: &[u8]) -> Vec<(String, u64)> {
        let value = |at: usize| {
            let bytes = bss.get(at..).and_then(|rest| rest.first_chunk::<8>());
            bytes.map_or(0, |bytes| u64::from_le_bytes(*bytes))
        };
        let at = |tally: &Variable, copy: u32| tally.offset as usize + self.stride as usize * copy as usize;
        let sum = |tally: &Variable| (0..self.copies).map(|copy| value(at(tally, copy))).fold(0, u64::wrapping_add);
        self.list.iter().map(|tally| (tally.name.clone(), sum(tally))).collect()
    }
}

impl Manifest {
    /// The section's bytes.
    pub fn to_bytes(&self) -> Result<Vec<u8>> {
        let json = serde_json::to_vec(self).map_err(|e| Failure::bug("manifest", e.to_string()))?;
        if nesting(&json) > DEEPEST {
            let message = "an expression over aggregates is nested too deep";
            return Err(Diagnostic::new("too-deep", Span::new(0, self.sql.len()), message).into());
        }
        let length = u32::try_from(json.len()).map_err(|e| Failure::bug("manifest", e.to_string()))?;
        let mut bytes = MAGIC.to_vec();
        bytes.extend(VERSION.to_le_bytes());
        bytes.extend(length.to_le_bytes());
        bytes.extend(json);
        Ok(bytes)
    }

    /// Reads a section's bytes; what is wrong with them is said in the error.
    pub fn from_bytes(bytes: &[u8]) -> std::result::Result<Manifest, String> {
        let (magic, rest) = bytes.split_at_checked(8).ok_or("the manifest is cut short")?;
        if magic != MAGIC {
            return Err("the manifest does not start as one".to_string());
        }
        let (version, rest) = read_u32(rest).ok_or("the manifest is cut short")?;
        if version != VERSION {
            return Err(format!("the manifest has format {version}; this program reads format {VERSION}"));
        }
        let (length, rest) = read_u32(rest).ok_or("the manifest is cut short")?;
        let json = rest.get(..length as usize).ok_or("the manifest is cut short")?;
        if nesting(json) > DEEPEST {
            return Err(format!("the manifest's JSON is nested deeper than {DEEPEST}"));
        }
        let mut reader = serde_json::Deserializer::from_slice(json);
        // serde_json's own limit of 128 is too low for expressions, which take three levels each.
        reader.disable_recursion_limit();
        let manifest = Manifest::deserialize(&mut reader).and_then(|manifest| reader.end().map(|()| manifest));
        let manifest = manifest.map_err(|e| format!("the manifest's JSON: {e}"))?;
        manifest.validate()?;
        Ok(manifest)
    }

    /// That every number in it may be relied on: offsets within bounds, references to what exists.
    fn validate(&self) -> std::result::Result<(), String> {
        if self.programs.is_empty() {
            return Err("the manifest names no program".to_string());
        }
        if self.tallies.as_ref().is_some_and(|tallies| tallies.copies > MOST_COPIES) {
            return Err("the manifest has more tallies than CPUs".to_string());
        }
        self.user.validate(self.params.len())
    }
}

/// The deepest nesting of JSON that is read: far from the stack's end.
const DEEPEST: usize = 600;

/// How deep brackets are nested in JSON, those in strings left out.
fn nesting(json: &[u8]) -> usize {
    let (mut depth, mut deepest, mut in_string, mut escaped) = (0_usize, 0, false, false);
    for byte in json {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if in_string => escaped = true,
            b'"' => in_string = !in_string,
            b'{' | b'[' if !in_string => {
                depth += 1;
                deepest = deepest.max(depth);
            }
            b'}' | b']' if !in_string => depth = depth.saturating_sub(1),
            _ => {}
        }
    }
    deepest
}

fn read_u32(bytes: &[u8]) -> Option<(u32, &[u8])> {
    let (head, rest) = bytes.split_first_chunk::<4>()?;
    Some((u32::from_le_bytes(*head), rest))
}

/// A parameter's value as the bytes that stand in `.rodata`.
pub fn param_bytes(parameter: &Parameter, value: &Datum) -> std::result::Result<Vec<u8>, String> {
    match (value, &parameter.ty) {
        (Datum::Int(n), ty) if ty.scalar().is_some() => {
            let low = i64::try_from(*n).map(i64::cast_unsigned).or_else(|_| u64::try_from(*n));
            low.map(|low| low.to_le_bytes().to_vec()).map_err(|_| format!("{n} does not fit 64 bits"))
        }
        (Datum::Bool(b), _) => Ok(u64::from(*b).to_le_bytes().to_vec()),
        (Datum::Text(text), SqlType::Text { width }) => {
            if text.len() >= *width as usize || text.contains(&0) {
                return Err(format!("text must be shorter than {width} bytes and hold no NUL"));
            }
            let mut bytes = text.clone();
            bytes.resize(width.next_multiple_of(8) as usize, 0);
            Ok(bytes)
        }
        (_, ty) => Err(format!("the value is no {ty}")),
    }
}
