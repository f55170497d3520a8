//! Memory of a made-up machine: structs and texts at made-up addresses.
//!
//! What must hold: between two things there is a gap, so that what reads over an end faults.

use bpfquery_catalog::Space;
use bpfquery_codegen::interp::Sparse;
use std::collections::BTreeMap;

// Away from the interpreter's own objects: its context stands at 0xffffc900…, its maps at 0xffff8881….
const KERNEL: u64 = 0xffff_8800_0000_0000;
const USER: u64 = 0x5555_0000_0000;
const STRIDE: u64 = 0x1_0000;

/// An address in the kernel's half at which nothing ever is.
const KERNEL_FAULT: u64 = 0xffff_8fff_dead_0000;
/// The same in the user's half.
const USER_FAULT: u64 = 0x7000_dead_0000;

/// What stands where.
#[derive(Clone, Debug, Default)]
pub(crate) struct Memory {
    regions: BTreeMap<u64, Vec<u8>>,
    kernel: u64,
    user: u64,
}

impl Memory {
    /// Puts bytes somewhere, and says where.
    pub(crate) fn place(&mut self, space: Space, bytes: Vec<u8>) -> u64 {
        let (base, used) = match space {
            Space::User => (USER, &mut self.user),
            Space::Kernel | Space::Unknown => (KERNEL, &mut self.kernel),
        };
        let address = base + *used;
        *used += (bytes.len() as u64).next_multiple_of(STRIDE) + STRIDE;
        self.regions.insert(address, bytes);
        address
    }

    /// Writes bytes at an address of a thing that is there, or puts them there.
    pub(crate) fn put(&mut self, address: u64, bytes: &[u8]) {
        match self.bytes_mut(address, bytes.len()) {
            Some(there) => there.copy_from_slice(bytes),
            None => {
                self.regions.insert(address, bytes.to_vec());
            }
        }
    }

    /// An address that cannot be read.
    pub(crate) fn fault(space: Space) -> u64 {
        match space {
            Space::User => USER_FAULT,
            Space::Kernel | Space::Unknown => KERNEL_FAULT,
        }
    }

    /// The bytes there, to be changed; `None` where they are not all of one thing.
    pub(crate) fn bytes_mut(&mut self, address: u64, len: usize) -> Option<&mut [u8]> {
        let (start, bytes) = self.regions.range_mut(..=address).next_back()?;
        let at = usize::try_from(address - start).ok()?;
        bytes.get_mut(at..at.checked_add(len)?)
    }

    /// The kernel's half and the user's, as the interpreter wants them.
    pub(crate) fn halves(self) -> (Sparse, Sparse) {
        let (mut kernel, mut user) = (Sparse::default(), Sparse::default());
        for (address, bytes) in self.regions {
            if address >= KERNEL { kernel.put(address, bytes) } else { user.put(address, bytes) }
        }
        (kernel, user)
    }
}
