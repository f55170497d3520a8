//! The programs as instructions: ours as `run` would load them on this kernel, and clang's.
//!
//! What must hold: eight-byte slots of all programs of an object are counted, so that a 64-bit constant counts twice.

use crate::events::Lab;
use crate::made::output;
use crate::workload::Workload;
use std::path::Path;
use std::process::Command;

/// A program in its forms; what cannot be compiled has none.
#[derive(Clone, Debug)]
pub(crate) struct Programs {
    /// Of the SQL.
    pub(crate) ours: Result<Listing, String>,
    /// Of C as it is usually written.
    pub(crate) usual: Option<Listing>,
    /// Of the best known C.
    pub(crate) best: Option<Listing>,
}

/// A disassembled object.
#[derive(Clone, Debug)]
pub(crate) struct Listing {
    /// Eight-byte slots.
    pub(crate) slots: usize,
    /// One instruction a line.
    pub(crate) text: String,
}

/// Compiles and disassembles a workload.
///
/// # Errors
/// C that clang does not take, and tools that are missing.
pub(crate) fn programs(lab: &Lab, workload: &Workload) -> Result<Programs, String> {
    let object = lab.made.into.join(format!("{}.ours.o", workload.name));
    let mut compile = Command::new(&lab.bin);
    compile.args(["compile", "--target", "this", "-e", &workload.sql, "-o"]).arg(&object);
    let ours = output(&mut compile).and_then(|_| listing(&object));
    let clang = |form: &str| {
        let object = lab.made.object(&format!("{}.{form}", workload.name))?;
        object.map(|object| listing(&object)).transpose()
    };
    Ok(Programs { ours, usual: clang("usual")?, best: clang("best")? })
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
