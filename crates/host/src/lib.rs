//! Captures snapshots: BTF, formats, features and symbols of a machine.
