//! Lines of the tables: slots, maps, globals, relocations.

use super::super::names::{CORE_KINDS, GUESSES, MAP_KINDS, SECTIONS, meaning};
use super::super::{CoreReloc, Func, GlobalData, MapData, MapKind, SlotData};
use super::{entity, lex::Line};

/// One line, behind its first word.
pub(super) fn entry(func: &mut Func, word: &str, line: &mut Line) -> Result<(), String> {
    let (prefix, len) = match word {
        "slot" => ('s', func.slots.len()),
        "map" => ('m', func.maps.len()),
        "global" => ('g', func.globals.len()),
        _ => ('c', func.cores.len()),
    };
    let name = line.word("a name")?;
    if entity(&name, prefix)? as usize != len {
        return Err(format!("expected \"{prefix}{len}\", found \"{name}\": tables are numbered from 0"));
    }
    match word {
        "slot" => func.slots.push(slot(line)?),
        "map" => func.maps.push(map(line)?),
        "global" => func.globals.push(global(line)?),
        _ => func.cores.push(core(line)?),
    }
    Ok(())
}

fn slot(line: &mut Line) -> Result<SlotData, String> {
    Ok(SlotData { name: line.text("the slot's name")?, size: line.number("the slot's bytes")? })
}

fn map(line: &mut Line) -> Result<MapData, String> {
    let name = line.text("the map's name")?;
    line.punct(':')?;
    let word = line.word("a kind of map")?;
    let kind = meaning(&MAP_KINDS, &word).ok_or_else(|| format!("\"{word}\" is not a kind of map"))?;
    let first: u32 = line.number("a number")?;
    if kind == MapKind::RingBuffer && !line.eat('>') {
        return Ok(MapData { name, kind, key_size: 0, value_size: 0, max_entries: first });
    }
    if kind != MapKind::RingBuffer {
        line.punct('>')?;
    }
    let value_size = line.number("the value's bytes")?;
    line.punct(',')?;
    Ok(MapData { name, kind, key_size: first, value_size, max_entries: line.number("the entries")? })
}

fn global(line: &mut Line) -> Result<GlobalData, String> {
    let name = line.text("the variable's name")?;
    line.punct(':')?;
    let word = line.word("a section")?;
    let section = meaning(&SECTIONS, &word).ok_or_else(|| format!("\"{word}\" is not a section"))?;
    line.punct('+')?;
    let offset = line.number("an offset")?;
    line.punct(',')?;
    let size = line.number("the variable's bytes")?;
    let init = if line.eat('=') { runs(line)? } else { Vec::new() };
    Ok(GlobalData { name, section, offset, size, init })
}

/// `00ff 3 x 0a`.
fn runs(line: &mut Line) -> Result<Vec<u8>, String> {
    let mut bytes = Vec::new();
    while line.peek().is_some() {
        let mut word = line.word("bytes")?;
        let mut times = 1;
        if line.eat_word("x") {
            times = word.parse().map_err(|_| format!("\"{word}\" does not say how often"))?;
            word = line.word("bytes")?;
        }
        let piece = hex(&word)?;
        bytes.extend(piece.iter().cycle().take(times * piece.len()));
    }
    Ok(bytes)
}

fn hex(word: &str) -> Result<Vec<u8>, String> {
    let byte = |pair: &[u8]| std::str::from_utf8(pair).ok().and_then(|pair| u8::from_str_radix(pair, 16).ok());
    let bytes: Option<Vec<u8>> = word.as_bytes().chunks(2).map(byte).collect();
    bytes.filter(|_| word.len().is_multiple_of(2)).ok_or_else(|| format!("\"{word}\" is not bytes in hexadecimal"))
}

fn core(line: &mut Line) -> Result<CoreReloc, String> {
    let word = line.word("a kind of relocation")?;
    let what = meaning(&CORE_KINDS, &word).ok_or_else(|| format!("\"{word}\" is not a kind of relocation"))?;
    let object = line.text("whose types")?;
    line.punct(':')?;
    let root = line.number("a type's number")?;
    let text = line.text("the access")?;
    line.punct('[')?;
    let mut members = Vec::new();
    while !line.eat(']') {
        members.push(line.number("a member's number")?);
    }
    line.punct('=')?;
    let local = line.number("a number")?;
    let guess = match line.eat_word("absent") {
        true => {
            let word = line.word("a guess")?;
            Some(meaning(&GUESSES, &word).ok_or_else(|| format!("\"{word}\" is no guess"))?)
        }
        false => None,
    };
    Ok(CoreReloc { what, object, root, members, text, local, guess })
}
