//! Registers and widths. A value of one of these types is always encodable.

use std::fmt;

/// One of the eleven BPF registers.
///
/// `r0` is the result of calls and of the program, `r1`–`r5` are arguments and are lost across calls, `r6`–`r9`
/// survive calls, `r10` is the read-only frame pointer (`Documentation/bpf/standardization/abi.rst`).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Reg(u8);

impl Reg {
    /// `r0`: the result.
    pub const R0: Reg = Reg(0);
    /// `r1`: first argument; the context at the start of a program.
    pub const R1: Reg = Reg(1);
    /// `r2`: second argument.
    pub const R2: Reg = Reg(2);
    /// `r3`: third argument.
    pub const R3: Reg = Reg(3);
    /// `r4`: fourth argument.
    pub const R4: Reg = Reg(4);
    /// `r5`: fifth argument.
    pub const R5: Reg = Reg(5);
    /// `r6`: survives calls.
    pub const R6: Reg = Reg(6);
    /// `r7`: survives calls.
    pub const R7: Reg = Reg(7);
    /// `r8`: survives calls.
    pub const R8: Reg = Reg(8);
    /// `r9`: survives calls.
    pub const R9: Reg = Reg(9);
    /// `r10`: the frame pointer, read-only; the stack is the 512 bytes below it.
    pub const R10: Reg = Reg(10);

    /// All registers, `r0` to `r10`.
    pub const ALL: [Reg; 11] =
        [Reg::R0, Reg::R1, Reg::R2, Reg::R3, Reg::R4, Reg::R5, Reg::R6, Reg::R7, Reg::R8, Reg::R9, Reg::R10];

    /// The register of that number, if there is one.
    pub const fn new(number: u8) -> Option<Reg> {
        if number <= 10 { Some(Reg(number)) } else { None }
    }

    /// The register's number, 0 to 10.
    pub const fn number(self) -> u8 {
        self.0
    }

    /// Whether a call may change the register: `r0` to `r5`.
    pub const fn is_clobbered_by_call(self) -> bool {
        self.0 <= 5
    }

    /// The argument register of that place, counted from 0; a helper has at most five.
    pub const fn arg(index: u8) -> Option<Reg> {
        if index < 5 { Some(Reg(index + 1)) } else { None }
    }
}

impl fmt::Display for Reg {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "r{}", self.0)
    }
}

impl fmt::Debug for Reg {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// How many bytes a load or store moves.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Size {
    /// One byte.
    B,
    /// Two bytes.
    H,
    /// Four bytes.
    W,
    /// Eight bytes.
    DW,
}

impl Size {
    /// All sizes, smallest first.
    pub const ALL: [Size; 4] = [Size::B, Size::H, Size::W, Size::DW];

    /// The number of bytes: 1, 2, 4 or 8.
    pub const fn bytes(self) -> u32 {
        match self {
            Size::B => 1,
            Size::H => 2,
            Size::W => 4,
            Size::DW => 8,
        }
    }

    /// The number of bits: 8, 16, 32 or 64.
    pub const fn bits(self) -> u32 {
        self.bytes() * 8
    }

    /// The size of that many bytes, if there is one.
    pub const fn from_bytes(bytes: u32) -> Option<Size> {
        match bytes {
            1 => Some(Size::B),
            2 => Some(Size::H),
            4 => Some(Size::W),
            8 => Some(Size::DW),
            _ => None,
        }
    }
}

/// The sizes that can be sign-extended while loading: all but eight bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Narrow {
    /// One byte.
    B,
    /// Two bytes.
    H,
    /// Four bytes.
    W,
}

impl Narrow {
    /// All narrow sizes, smallest first.
    pub const ALL: [Narrow; 3] = [Narrow::B, Narrow::H, Narrow::W];

    /// The same size as a [`Size`].
    pub const fn size(self) -> Size {
        match self {
            Narrow::B => Size::B,
            Narrow::H => Size::H,
            Narrow::W => Size::W,
        }
    }

    /// The number of bits: 8, 16 or 32.
    pub const fn bits(self) -> u32 {
        self.size().bits()
    }
}

/// Whether arithmetic, a comparison or an atomic works on the lower half or on the whole of a register.
///
/// 32-bit arithmetic clears the upper half of its destination.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Width {
    /// The lower 32 bits, printed `w1`.
    W32,
    /// All 64 bits, printed `r1`.
    W64,
}

impl Width {
    /// Both widths.
    pub const ALL: [Width; 2] = [Width::W32, Width::W64];

    /// The number of bits: 32 or 64.
    pub const fn bits(self) -> u32 {
        match self {
            Width::W32 => 32,
            Width::W64 => 64,
        }
    }

    /// The memory size of that width.
    pub const fn size(self) -> Size {
        match self {
            Width::W32 => Size::W,
            Width::W64 => Size::DW,
        }
    }
}
