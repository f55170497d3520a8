//! Made-up addresses, and the memory that only probe reads see.
//!
//! ```text
//!  0xffffc900_0000_0000  context          0xffffc900_2000_0000  .rodata
//!  0xffffc900_1000_0000  stack slots      0xffffc900_3000_0000  .bss
//!  0xffff8881_mm00_0000  map mm           0xffffdmcc_ccco_oooo  byte ooooo of cell ccccc of map m
//! ```
//!
//! Slots are 64 KiB apart and cells 1 MiB, far more than they are large, so what runs over an end meets
//! nothing. Simulated kernel memory should lie elsewhere: it is looked at first.

use std::collections::BTreeMap;

/// What unwritten memory holds.
pub const POISON: u8 = 0xa5;

const CONTEXT: u64 = 0xffff_c900_0000_0000;
const STACK: u64 = 0xffff_c900_1000_0000;
const RODATA: u64 = 0xffff_c900_2000_0000;
const BSS: u64 = 0xffff_c900_3000_0000;
const MAPS: u64 = 0xffff_8881_0000_0000;
const CELLS: u64 = 0xffff_d000_0000_0000;

const SLOT_STRIDE: u64 = 0x1_0000;
const MAP_STRIDE: u64 = 0x100_0000;
const CELL_SHIFT: u32 = 20;
const CELLS_SHIFT: u32 = 40;

/// Where user space ends (x86-64, TASK_SIZE_MAX).
pub(super) const USER_END: u64 = 0x7fff_ffff_f000;

/// Something that has bytes of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Object {
    Context,
    Slot(u32),
    Rodata,
    Bss,
    /// A cell of a map, or a record of a ring.
    Cell {
        map: u32,
        cell: u32,
    },
}

impl Object {
    /// The address of its first byte.
    pub(super) fn address(self) -> u64 {
        match self {
            Object::Context => CONTEXT,
            Object::Slot(slot) => STACK + u64::from(slot) * SLOT_STRIDE,
            Object::Rodata => RODATA,
            Object::Bss => BSS,
            Object::Cell { map, cell } => CELLS + (u64::from(map) << CELLS_SHIFT) + (u64::from(cell) << CELL_SHIFT),
        }
    }

    /// What an address may be in, and how many bytes from its start.
    pub(super) fn of(address: u64) -> Option<(Object, u64)> {
        let object = match address {
            // The top of the address space is where small negative numbers lie.
            CELLS..0xffff_ffff_0000_0000 => {
                let at = address - CELLS;
                let cell = (at >> CELL_SHIFT) & ((1 << (CELLS_SHIFT - CELL_SHIFT)) - 1);
                Object::Cell { map: u32::try_from(at >> CELLS_SHIFT).ok()?, cell: u32::try_from(cell).ok()? }
            }
            BSS..CELLS => Object::Bss,
            RODATA..BSS => Object::Rodata,
            STACK..RODATA => Object::Slot(u32::try_from((address - STACK) / SLOT_STRIDE).ok()?),
            CONTEXT..STACK => Object::Context,
            _ => return None,
        };
        Some((object, address - object.address()))
    }
}

/// A map's number as a helper's argument, and back.
pub(super) fn map_handle(map: u32) -> u64 {
    MAPS + u64::from(map) * MAP_STRIDE
}

/// The map that a helper's argument names.
pub(super) fn map_of(handle: u64) -> Option<u32> {
    let at = handle.checked_sub(MAPS).filter(|at| at % MAP_STRIDE == 0)?;
    u32::try_from(at / MAP_STRIDE).ok()
}

/// Memory that only probe reads see: bytes at some addresses, nothing at all others.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Sparse {
    regions: BTreeMap<u64, Vec<u8>>,
}

impl Sparse {
    /// Puts bytes at an address; where regions overlap, the one that starts later is seen.
    pub fn put(&mut self, address: u64, bytes: impl Into<Vec<u8>>) {
        self.regions.insert(address, bytes.into());
    }

    /// Puts a NUL-ended string at an address.
    pub fn put_str(&mut self, address: u64, text: &str) {
        let mut bytes = text.as_bytes().to_vec();
        bytes.push(0);
        self.put(address, bytes);
    }

    /// The bytes there, unless one is missing.
    pub fn read(&self, address: u64, bytes: u64) -> Option<Vec<u8>> {
        (0..bytes).map(|i| self.byte(address.checked_add(i)?)).collect()
    }

    /// The byte there.
    pub fn byte(&self, address: u64) -> Option<u8> {
        let (start, bytes) = self.regions.range(..=address).next_back()?;
        bytes.get(usize::try_from(address - start).ok()?).copied()
    }
}
