//! Indices with names: `v7`, `b2`, `s0`.

use std::fmt;

macro_rules! entity {
    ($(#[$doc:meta])* $name:ident, $prefix:literal) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(pub u32);

        impl $name {
            /// The position in its table.
            pub fn index(self) -> usize {
                self.0 as usize
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!($prefix, "{}"), self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(self, f)
            }
        }
    };
}

entity!(
    /// An SSA value.
    Value, "v"
);
entity!(
    /// A basic block.
    Block, "b"
);
entity!(
    /// An instruction.
    Inst, "i"
);
entity!(
    /// A stack slot.
    SlotId, "s"
);
entity!(
    /// A map of the object.
    MapId, "m"
);
entity!(
    /// A variable in `.rodata` or `.bss`.
    GlobalId, "g"
);
entity!(
    /// A CO-RE relocation of the object.
    CoreId, "c"
);
