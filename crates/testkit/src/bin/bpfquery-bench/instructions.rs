//! The programs as instructions: ours as `run` would load them on this kernel, and clang's.
//!
//! What must hold: eight-byte slots of all programs of an object are counted, so that a 64-bit constant counts twice; each of ours is
//! there for one purpose, which lowering said (`bpfquery_isa::Purpose`).

use crate::events::Lab;
use crate::made::output;
use crate::workload::Workload;
use bpfquery::{Options, Target, compile};
use bpfquery_host::Live;
use bpfquery_isa::{MapRef, Program, Purpose};
use std::path::Path;
use std::process::Command;

/// A program in its forms; what cannot be compiled has none.
#[derive(Clone, Debug)]
pub(crate) struct Programs {
    /// Of the SQL.
    pub(crate) ours: Result<Ours, String>,
    /// Of C as it is usually written.
    pub(crate) usual: Option<Listing>,
    /// Of the best known C.
    pub(crate) best: Option<Listing>,
    /// Of C that means the same: losses, NULLs and all (`testdata/clang`).
    pub(crate) same: Option<Listing>,
}

/// A disassembled object.
#[derive(Clone, Debug)]
pub(crate) struct Listing {
    /// Eight-byte slots.
    pub(crate) slots: usize,
    /// One instruction a line.
    pub(crate) text: String,
}

/// Our programs.
#[derive(Clone, Debug)]
pub(crate) struct Ours {
    /// All of them; behind an instruction stands what it is there for, if not for the program's work.
    pub(crate) listing: Listing,
    /// Slots for the work, for losses, for NULLs, and for the upper halves of sums.
    pub(crate) purposes: [u32; 4],
}

/// Compiles and disassembles a workload.
///
/// # Errors
/// C that clang does not take, and tools that are missing.
pub(crate) fn programs(lab: &Lab, workload: &Workload) -> Result<Programs, String> {
    let clang = |source: &str| lab.made.object(source)?.map(|object| listing(&object)).transpose();
    let name = &workload.name;
    let same = if name == "columns-12" { "columns-12-text" } else { name };
    Ok(Programs {
        ours: ours(&workload.sql),
        usual: clang(&format!("{name}.usual"))?,
        best: clang(&format!("{name}.best"))?,
        same: clang(&format!("../clang/{same}"))?,
    })
}

fn ours(sql: &str) -> Result<Ours, String> {
    let options = Options { target: Target::This, ..Options::default() };
    let compiled = compile(sql, &Live::new(), options).map_err(|failure| bpfquery_diag::render(&failure, sql))?;
    let mut ours = Ours { listing: Listing { slots: 0, text: String::new() }, purposes: [0; 4] };
    for program in &compiled.programs {
        let func = &program.func;
        let name = |map: MapRef| match map.0 as usize {
            at if at == func.maps.len() => Some(".rodata"),
            at if at == func.maps.len() + 1 => Some(".bss"),
            at => func.maps.get(at).map(|map| map.name.as_str()),
        };
        ours.listing.slots += program.code.slots() as usize;
        ours.listing.text.push_str(&told(&program.code, &program.code.display(&name).to_string()));
        let purposes = [Purpose::Work, Purpose::Losses, Purpose::Nulls, Purpose::Wide];
        for (sum, purpose) in ours.purposes.iter_mut().zip(purposes) {
            *sum += program.code.slots_for(purpose);
        }
    }
    Ok(ours)
}

/// The program's text with what is there for something else than its work.
fn told(program: &Program, text: &str) -> String {
    let mut lines = program.lines();
    let mut told = String::new();
    for line in text.lines() {
        // Labels and comments stand at the margin, or behind a semicolon.
        let is_instruction = line.starts_with(' ') && !line.trim_start().starts_with(';');
        let purpose = if is_instruction { lines.next().map(|line| line.purpose) } else { None };
        let why = match purpose {
            None | Some(Purpose::Work) => "",
            Some(Purpose::Losses) => "losses",
            Some(Purpose::Nulls) => "NULLs",
            Some(Purpose::Wide) => "128 bits",
        };
        told.push_str(format!("{line:<44}{why}").trim_end());
        told.push('\n');
    }
    told
}

fn listing(object: &Path) -> Result<Listing, String> {
    // Since 19 it knows all instructions; names of symbols say nothing here.
    let text = output(Command::new("llvm-objdump-19").args(["-d", "--no-show-raw-insn"]).arg(object))?;
    Ok(parsed(&String::from_utf8_lossy(&text)))
}

fn parsed(text: &str) -> Listing {
    let is_instruction = |line: &&str| line.split(':').next().is_some_and(|at| at.trim().parse::<u32>().is_ok());
    let lines: Vec<&str> = text.lines().filter(is_instruction).map(str::trim).collect();
    let slots = lines.iter().map(|line| if line.ends_with(" ll") { 2 } else { 1 }).sum();
    let tidy = |line: &&str| line.split('<').next().unwrap_or_default().trim_end().replace('\t', " ");
    Listing { slots, text: lines.iter().map(tidy).collect::<Vec<_>>().join("\n") }
}

#[cfg(test)]
mod tests {
    use super::parsed;

    #[test]
    fn a_constant_of_64_bits_takes_two_slots() {
        let text = "q.o:\tfile format elf64-bpf\n\nDisassembly of section x:\n\n0000000000000000 <p>:\n       0:\tr1 = 0x0 ll\n       \
            2:\tif r0 == 0x0 goto +0x1 <LBB0_2>\n       3:\texit\n";
        let listing = parsed(text);
        assert_eq!(listing.slots, 4);
        assert_eq!(listing.text, "0: r1 = 0x0 ll\n2: if r0 == 0x0 goto +0x1\n3: exit");
    }
}
