//! The case runner, bless, and the crate-order check.
