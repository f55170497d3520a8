//! Runs a function without a kernel: the same input gives the same maps, records and variables as the kernel's.
//!
//! A [`World`] is what outlives a run: maps, rings, variables, and the memory that probe reads see. An [`Event`] is one hit:
//! the context's bytes, the clock, the task. [`run`] changes the world as the program would; exec's decoder reads raw bytes from
//! it exactly as it does from the kernel.
//!
//! What must hold: nothing depends on the machine or the clock; every address is made up, and every region has a gap behind it,
//! so that what runs over its end is a [`Trap`]. A trap is our bug, for the verifier or the kernel's verifier would have
//! rejected the program; what a correct program can meet at run time (a fault, a full map) is an errno, as in the kernel.
//!
//! Memory that the kernel leaves unwritten (the stack, fresh records, what is behind a string's NUL) holds [`POISON`], so that a
//! result which depends on it is seen.
//!
//! Not modelled: other programs and CPUs that run at the same time, map pre-allocation per CPU (a full hash map is one with
//! `max_entries` entries), the order of hash maps (entries come by key), `-EBUSY` (see [`World::fail_next`]).

mod event;
mod helper;
mod machine;
mod map;
mod memory;
mod ring;
mod trap;
mod world;

pub use event::Event;
pub(crate) use machine::holds;
pub use machine::{MOST_STEPS, run};
pub use map::Entry;
pub use memory::{POISON, Sparse};
pub use ring::Ring;
pub use trap::{Fault, Trap};
pub use world::World;
