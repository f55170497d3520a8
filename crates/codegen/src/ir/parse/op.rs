//! Instructions, terminators, types.

use super::super::names::{ACCESSES, BIN_OPS, CONDS, STOPS, meaning};
use super::super::{Access, Args, Block, CoreId, GlobalId, MapId, Op, PtrKind, Scan, SlotId, Terminator, Type, Value};
use super::{Parser, entity, lex::Line};
use bpfquery_isa::Helper;

/// `int`, `ctx`, `value m0?`.
pub(super) fn ty(line: &mut Line) -> Result<Type, String> {
    let word = line.word("a type")?;
    let kind = match word.as_str() {
        "int" => return Ok(Type::Int),
        "ctx" => PtrKind::Context,
        "stack" => PtrKind::Stack,
        "value" => PtrKind::MapValue(MapId(id(line, 'm')?)),
        "map" => PtrKind::Map(MapId(id(line, 'm')?)),
        "record" => PtrKind::Record(MapId(id(line, 'm')?)),
        "global" => PtrKind::Global(GlobalId(id(line, 'g')?)),
        "task" => PtrKind::Task,
        _ => return Err(format!("\"{word}\" is not a type")),
    };
    Ok(Type::Ptr { kind, nullable: line.eat('?') })
}

/// The terminator that begins with this word, if one does.
pub(super) fn terminator(parser: &mut Parser, word: &str, line: &mut Line) -> Result<Option<Terminator>, String> {
    let terminator = match word {
        "jump" => {
            let (block, args) = target(parser, line)?;
            Terminator::Jump(block, args)
        }
        "ret" => Terminator::Return(parser.value(line)?),
        "unterminated" => Terminator::None,
        "br.null" => {
            let pointer = parser.value(line)?;
            let null = next_target(parser, line)?;
            Terminator::BranchNull { pointer, null, non_null: next_target(parser, line)? }
        }
        _ => match word.strip_prefix("br.") {
            Some(cond) => branch(parser, cond, line)?,
            None => return Ok(None),
        },
    };
    Ok(Some(terminator))
}

fn branch(parser: &mut Parser, cond: &str, line: &mut Line) -> Result<Terminator, String> {
    let cond = meaning(&CONDS, cond).ok_or_else(|| format!("\"{cond}\" is not a comparison"))?;
    let (a, b) = pair(parser, line)?;
    let then = next_target(parser, line)?;
    Ok(Terminator::Branch { cond, a, b, then, otherwise: next_target(parser, line)? })
}

/// The instruction that begins with this word.
pub(super) fn inst(parser: &mut Parser, word: &str, line: &mut Line) -> Result<Op, String> {
    let (name, width) = word.split_once('.').unwrap_or((word, ""));
    Ok(match name {
        "const" => Op::Const(line.number("a number")?),
        "sext" | "zext" => {
            let bits = width.parse().map_err(|_| format!("\"{word}\" has no width"))?;
            Op::Extend { bits, signed: name == "sext", value: parser.value(line)? }
        }
        "load" => {
            let (base, offset) = address(parser, line)?;
            Op::Load { access: access(width)?, base, offset }
        }
        "store" => {
            let (base, offset) = address(parser, line)?;
            line.punct(',')?;
            Op::Store { access: access(width)?, base, offset, value: parser.value(line)? }
        }
        "atomic_add" => {
            let (base, offset) = address(parser, line)?;
            line.punct(',')?;
            Op::AtomicAdd { base, offset, value: parser.value(line)? }
        }
        "scan" => {
            let (text, table) = pair(parser, line)?;
            line.punct(',')?;
            let bytes = line.number("how many bytes")?;
            line.punct(',')?;
            let start = line.number("a state")?;
            let stop = meaning(&STOPS, width).ok_or_else(|| format!("\"{word}\" does not say where it stops"))?;
            Op::Scan(Scan { text, table, bytes, start, stop })
        }
        "slot" => Op::SlotAddr(SlotId(id(line, 's')?)),
        "map" => Op::MapAddr(MapId(id(line, 'm')?)),
        "global" => Op::GlobalAddr(GlobalId(id(line, 'g')?)),
        "core" => Op::Core(CoreId(id(line, 'c')?)),
        "call" => call(parser, line)?,
        _ => {
            let op = meaning(&BIN_OPS, word).ok_or_else(|| format!("\"{word}\" is not an instruction"))?;
            let (a, b) = pair(parser, line)?;
            Op::Bin(op, a, b)
        }
    })
}

fn call(parser: &mut Parser, line: &mut Line) -> Result<Op, String> {
    let name = line.word("a helper's name")?;
    let known = |helper: &&Helper| helper.name().strip_prefix("bpf_") == Some(&name);
    let helper = *Helper::ALL.iter().find(known).ok_or_else(|| format!("\"{name}\" is not a helper"))?;
    let mut args = Args::default();
    while line.peek().is_some() {
        if !args.is_empty() {
            line.punct(',')?;
        }
        if !args.push(parser.value(line)?) {
            return Err(format!("more than {} arguments", Args::MOST));
        }
    }
    Ok(Op::Call { helper, args })
}

fn access(width: &str) -> Result<Access, String> {
    meaning(&ACCESSES, width).ok_or_else(|| format!("\"{width}\" is not a width"))
}

fn address(parser: &mut Parser, line: &mut Line) -> Result<(Value, i16), String> {
    let base = parser.value(line)?;
    line.punct(',')?;
    Ok((base, line.number("an offset")?))
}

fn pair(parser: &mut Parser, line: &mut Line) -> Result<(Value, Value), String> {
    let a = parser.value(line)?;
    line.punct(',')?;
    Ok((a, parser.value(line)?))
}

fn next_target(parser: &mut Parser, line: &mut Line) -> Result<(Block, Vec<Value>), String> {
    line.punct(',')?;
    target(parser, line)
}

fn target(parser: &mut Parser, line: &mut Line) -> Result<(Block, Vec<Value>), String> {
    let block = Block(id(line, 'b')?);
    let mut args = Vec::new();
    if line.eat('(') {
        args.push(parser.value(line)?);
        while line.eat(',') {
            args.push(parser.value(line)?);
        }
        line.punct(')')?;
    }
    Ok((block, args))
}

fn id(line: &mut Line, prefix: char) -> Result<u32, String> {
    entity(&line.word("a name")?, prefix)
}
