//! Programs, maps, BTF and line information to ELF bytes.
