//! Operators. Each is one that the instruction set has in both widths and with both kinds of operand.

/// A two-operand arithmetic operation: `dst = dst op src`, or `dst = src` for `Mov`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum AluOp {
    /// `dst += src`
    Add,
    /// `dst -= src`
    Sub,
    /// `dst *= src`
    Mul,
    /// `dst /= src`, unsigned; 0 when `src` is 0
    Div,
    /// `dst |= src`
    Or,
    /// `dst &= src`
    And,
    /// `dst <<= src`
    Lsh,
    /// `dst >>= src`, filling with zeros
    Rsh,
    /// `dst %= src`, unsigned; `dst` unchanged when `src` is 0
    Mod,
    /// `dst ^= src`
    Xor,
    /// `dst = src`
    Mov,
    /// `dst s>>= src`, filling with the sign
    Arsh,
    /// `dst s/= src`, signed, truncating toward zero; from kernel 6.6
    SDiv,
    /// `dst s%= src`, signed, the sign of `dst`; from kernel 6.6
    SMod,
}

impl AluOp {
    /// All operations.
    pub const ALL: [AluOp; 14] = [
        AluOp::Add,
        AluOp::Sub,
        AluOp::Mul,
        AluOp::Div,
        AluOp::Or,
        AluOp::And,
        AluOp::Lsh,
        AluOp::Rsh,
        AluOp::Mod,
        AluOp::Xor,
        AluOp::Mov,
        AluOp::Arsh,
        AluOp::SDiv,
        AluOp::SMod,
    ];

    /// Whether `a op b` is `b op a`.
    pub const fn is_commutative(self) -> bool {
        matches!(self, AluOp::Add | AluOp::Mul | AluOp::Or | AluOp::And | AluOp::Xor)
    }
}

/// A comparison of a conditional jump.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Cond {
    /// `==`
    Eq,
    /// `!=`
    Ne,
    /// `>` unsigned
    Ugt,
    /// `>=` unsigned
    Uge,
    /// `<` unsigned
    Ult,
    /// `<=` unsigned
    Ule,
    /// `s>` signed
    Sgt,
    /// `s>=` signed
    Sge,
    /// `s<` signed
    Slt,
    /// `s<=` signed
    Sle,
    /// `&`: some bit is set in both
    Set,
}

impl Cond {
    /// All comparisons.
    pub const ALL: [Cond; 11] = [
        Cond::Eq,
        Cond::Ne,
        Cond::Ugt,
        Cond::Uge,
        Cond::Ult,
        Cond::Ule,
        Cond::Sgt,
        Cond::Sge,
        Cond::Slt,
        Cond::Sle,
        Cond::Set,
    ];

    /// The comparison that holds exactly when this one does not. The bit test has none.
    pub const fn negate(self) -> Option<Cond> {
        match self {
            Cond::Eq => Some(Cond::Ne),
            Cond::Ne => Some(Cond::Eq),
            Cond::Ugt => Some(Cond::Ule),
            Cond::Uge => Some(Cond::Ult),
            Cond::Ult => Some(Cond::Uge),
            Cond::Ule => Some(Cond::Ugt),
            Cond::Sgt => Some(Cond::Sle),
            Cond::Sge => Some(Cond::Slt),
            Cond::Slt => Some(Cond::Sge),
            Cond::Sle => Some(Cond::Sgt),
            Cond::Set => None,
        }
    }

    /// The comparison that says the same with its operands exchanged: `a < b` is `b > a`.
    pub const fn swap(self) -> Cond {
        match self {
            Cond::Ugt => Cond::Ult,
            Cond::Uge => Cond::Ule,
            Cond::Ult => Cond::Ugt,
            Cond::Ule => Cond::Uge,
            Cond::Sgt => Cond::Slt,
            Cond::Sge => Cond::Sle,
            Cond::Slt => Cond::Sgt,
            Cond::Sle => Cond::Sge,
            Cond::Eq | Cond::Ne | Cond::Set => self,
        }
    }

    /// Whether the comparison reads its operands as signed.
    pub const fn is_signed(self) -> bool {
        matches!(self, Cond::Sgt | Cond::Sge | Cond::Slt | Cond::Sle)
    }
}

/// An atomic update of memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum AtomicOp {
    /// `*p += src`
    Add,
    /// `*p |= src`; from kernel 5.12
    Or,
    /// `*p &= src`; from kernel 5.12
    And,
    /// `*p ^= src`; from kernel 5.12
    Xor,
}

impl AtomicOp {
    /// All atomic updates.
    pub const ALL: [AtomicOp; 4] = [AtomicOp::Add, AtomicOp::Or, AtomicOp::And, AtomicOp::Xor];
}

/// A sign-extending move: from how many bits, to which width.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Extend {
    /// `w1 = (s8)w2`
    W32From8,
    /// `w1 = (s16)w2`
    W32From16,
    /// `r1 = (s8)r2`
    W64From8,
    /// `r1 = (s16)r2`
    W64From16,
    /// `r1 = (s32)r2`
    W64From32,
}

impl Extend {
    /// All sign-extending moves.
    pub const ALL: [Extend; 5] =
        [Extend::W32From8, Extend::W32From16, Extend::W64From8, Extend::W64From16, Extend::W64From32];

    /// The number of bits that are kept.
    pub const fn bits(self) -> u32 {
        match self {
            Extend::W32From8 | Extend::W64From8 => 8,
            Extend::W32From16 | Extend::W64From16 => 16,
            Extend::W64From32 => 32,
        }
    }

    /// The width of the result.
    pub const fn width(self) -> super::Width {
        match self {
            Extend::W32From8 | Extend::W32From16 => super::Width::W32,
            Extend::W64From8 | Extend::W64From16 | Extend::W64From32 => super::Width::W64,
        }
    }
}

/// Which byte order a register's low bytes are brought to; the bytes above are cleared.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Swap {
    /// From the machine's order to little-endian, or back: on x86-64 it only truncates.
    ToLe,
    /// From the machine's order to big-endian (network order), or back.
    ToBe,
    /// Always swaps; from kernel 6.6.
    Always,
}

impl Swap {
    /// All byte swaps.
    pub const ALL: [Swap; 3] = [Swap::ToLe, Swap::ToBe, Swap::Always];
}

/// How many bits a byte swap works on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum SwapBits {
    /// Two bytes.
    B16,
    /// Four bytes.
    B32,
    /// Eight bytes.
    B64,
}

impl SwapBits {
    /// All swap widths.
    pub const ALL: [SwapBits; 3] = [SwapBits::B16, SwapBits::B32, SwapBits::B64];

    /// The number of bits: 16, 32 or 64.
    pub const fn bits(self) -> u32 {
        match self {
            SwapBits::B16 => 16,
            SwapBits::B32 => 32,
            SwapBits::B64 => 64,
        }
    }
}
