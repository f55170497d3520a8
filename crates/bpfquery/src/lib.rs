//! SQL queries on the running Linux kernel.
