//! Kernel fragments to IR, passes, register allocation, instructions.
