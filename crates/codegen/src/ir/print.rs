//! The text form of a function.
//!
//! [`super::parse`] reads it back: `print(parse(print(f))) == print(f)`. Blocks stand in the order of their numbers; a
//! removed block (nothing in it, no terminator) is left out. Spans are not part of the text: [`WithSql`] adds the SQL
//! as comments. Types of instruction results are not printed, for they follow from the instruction.

use super::names::{ACCESSES, BIN_OPS, CONDS, CORE_KINDS, GUESSES, MAP_KINDS, SECTIONS, STOPS, word};
use super::{
    Block, BlockData, CoreReloc, Func, GlobalData, Inst, MapData, MapKind, Op, PtrKind, Scan, Terminator, Type, Value,
};
use bpfquery_diag::Span;
use std::fmt::{self, Write};

/// Prints a function with the SQL that each part comes from: `v1 = load.u64 v0, 32 ; flags`.
#[derive(Clone, Copy, Debug)]
pub struct WithSql<'a> {
    /// The function.
    pub func: &'a Func,
    /// The text that its spans point into.
    pub sql: &'a str,
}

impl fmt::Display for Func {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        print(self, None, f)
    }
}

impl fmt::Display for WithSql<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        print(self.func, Some(self.sql), f)
    }
}

impl fmt::Display for Type {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Type::Ptr { kind, nullable } = self else { return write!(f, "int") };
        match kind {
            PtrKind::Context => write!(f, "ctx")?,
            PtrKind::Stack => write!(f, "stack")?,
            PtrKind::MapValue(map) => write!(f, "value {map}")?,
            PtrKind::Map(map) => write!(f, "map {map}")?,
            PtrKind::Record(map) => write!(f, "record {map}")?,
            PtrKind::Global(global) => write!(f, "global {global}")?,
            PtrKind::Task => write!(f, "task")?,
        }
        write!(f, "{}", if *nullable { "?" } else { "" })
    }
}

impl fmt::Display for Op {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Op::Const(value) => write!(f, "const {value}"),
            Op::Bin(op, a, b) => write!(f, "{} {a}, {b}", word(&BIN_OPS, *op)),
            Op::Extend { bits, signed, value } => write!(f, "{}ext.{bits} {value}", if *signed { "s" } else { "z" }),
            Op::Load { access, base, offset } => write!(f, "load.{} {base}, {offset}", word(&ACCESSES, *access)),
            Op::Store { access, base, offset, value } => {
                write!(f, "store.{} {base}, {offset}, {value}", word(&ACCESSES, *access))
            }
            Op::AtomicAdd { base, offset, value } => write!(f, "atomic_add {base}, {offset}, {value}"),
            Op::Scan(scan) => {
                let Scan { text, table, bytes, start, stop } = scan;
                write!(f, "scan.{} {text}, {table}, {bytes}, {start}", word(&STOPS, *stop))
            }
            Op::SlotAddr(slot) => write!(f, "slot {slot}"),
            Op::MapAddr(map) => write!(f, "map {map}"),
            Op::GlobalAddr(global) => write!(f, "global {global}"),
            Op::Core(core) => write!(f, "core {core}"),
            Op::Call { helper, args } => {
                let space = if args.is_empty() { "" } else { " " };
                write!(f, "call {}{space}{}", helper.name().trim_start_matches("bpf_"), list(args))
            }
        }
    }
}

impl fmt::Display for Terminator {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Terminator::Jump(block, args) => write!(f, "jump {}", target(*block, args)),
            Terminator::Branch { cond, a, b, then, otherwise } => {
                let (yes, no) = (target(then.0, &then.1), target(otherwise.0, &otherwise.1));
                write!(f, "br.{} {a}, {b}, {yes}, {no}", word(&CONDS, *cond))
            }
            Terminator::BranchNull { pointer, null, non_null } => {
                write!(f, "br.null {pointer}, {}, {}", target(null.0, &null.1), target(non_null.0, &non_null.1))
            }
            Terminator::Return(value) => write!(f, "ret {value}"),
            Terminator::None => write!(f, "unterminated"),
        }
    }
}

impl Func {
    /// One instruction as it prints: `v3 = const 5`.
    pub fn inst_text(&self, inst: Inst) -> String {
        let data = self.inst(inst);
        match data.result {
            Some(result) => format!("{result} = {}", data.op),
            None => data.op.to_string(),
        }
    }
}

fn print(func: &Func, sql: Option<&str>, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    let words = if func.context.words_only { " words" } else { "" };
    writeln!(f, "func {} context {}{words} {{", func.name, func.context.bytes)?;
    tables(func, f)?;
    let mut comment = Comment { sql, last: Span::default() };
    for block in func.block_ids().filter(|&block| !func.block(block).is_removed()) {
        print_block(func, block, &mut comment, f)?;
    }
    writeln!(f, "}}")
}

fn tables(func: &Func, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    for (i, slot) in func.slots.iter().enumerate() {
        writeln!(f, "  slot s{i} {:?} {}", slot.name, slot.size)?;
    }
    for (i, map) in func.maps.iter().enumerate() {
        writeln!(f, "  map m{i} {}", map_text(map))?;
    }
    for (i, global) in func.globals.iter().enumerate() {
        writeln!(f, "  global g{i} {}", global_text(global))?;
    }
    for (i, core) in func.cores.iter().enumerate() {
        writeln!(f, "  core c{i} {}", core_text(core))?;
    }
    Ok(())
}

fn map_text(map: &MapData) -> String {
    let kind = word(&MAP_KINDS, map.kind);
    // A ring buffer has neither keys nor values; one that claims to still prints as it is.
    if map.kind == MapKind::RingBuffer && (map.key_size, map.value_size) == (0, 0) {
        return format!("{:?}: {kind} {}", map.name, map.max_entries);
    }
    format!("{:?}: {kind} {} -> {}, {}", map.name, map.key_size, map.value_size, map.max_entries)
}

fn global_text(global: &GlobalData) -> String {
    let section = word(&SECTIONS, global.section);
    let mut text = format!("{:?}: {section}+{}, {}", global.name, global.offset, global.size);
    if !global.init.is_empty() {
        text.push_str(" =");
        for (times, bytes) in runs(&global.init) {
            let _ = if times == 1 { write!(text, " ") } else { write!(text, " {times} x ") };
            text.extend(bytes.iter().map(|byte| format!("{byte:02x}")));
        }
    }
    text
}

/// Bytes as printed: a few as they are, more in pieces of a table's entry, of which equal ones stand once.
fn runs(init: &[u8]) -> Vec<(usize, &[u8])> {
    if init.len() <= 64 {
        return vec![(1, init)];
    }
    let mut runs: Vec<(usize, &[u8])> = Vec::new();
    for piece in init.chunks(16) {
        match runs.last_mut() {
            Some((times, last)) if *last == piece => *times += 1,
            _ => runs.push((1, piece)),
        }
    }
    runs
}

fn core_text(core: &CoreReloc) -> String {
    let members: Vec<String> = core.members.iter().map(u32::to_string).collect();
    let (what, object, root) = (word(&CORE_KINDS, core.what), &core.object, core.root);
    let guess = core.guess.map(|guess| format!(" absent {}", word(&GUESSES, guess))).unwrap_or_default();
    format!("{what} {object:?}:{root} {:?} [{}] = {}{guess}", core.text, members.join(" "), core.local)
}

fn print_block(func: &Func, block: Block, comment: &mut Comment<'_>, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    let data = func.block(block);
    writeln!(f, "{block}{}{}:", params(func, data), if data.cold { " cold" } else { "" })?;
    for &inst in &data.insts {
        comment.line(&func.inst_text(inst), func.inst(inst).span, f)?;
    }
    comment.line(&data.terminator.to_string(), data.span, f)
}

fn params(func: &Func, data: &BlockData) -> String {
    if data.params.is_empty() {
        return String::new();
    }
    let params: Vec<String> = data.params.iter().map(|&param| format!("{param}: {}", func.ty(param))).collect();
    format!("({})", params.join(", "))
}

fn list(values: &[Value]) -> String {
    values.iter().map(Value::to_string).collect::<Vec<_>>().join(", ")
}

fn target(block: Block, args: &[Value]) -> String {
    if args.is_empty() { block.to_string() } else { format!("{block}({})", list(args)) }
}

/// Writes the SQL behind a line where it changes.
struct Comment<'a> {
    sql: Option<&'a str>,
    last: Span,
}

impl Comment<'_> {
    fn line(&mut self, text: &str, span: Span, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sql = self.sql.and_then(|sql| sql.get(span.start as usize..span.end as usize)).unwrap_or("");
        let new = span != self.last;
        self.last = span;
        if sql.is_empty() || !new {
            return writeln!(f, "  {text}");
        }
        // Newlines would end the comment.
        let sql = sql.split_whitespace().collect::<Vec<_>>().join(" ");
        writeln!(f, "  {text:<40} ; {sql}")
    }
}
