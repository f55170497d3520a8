//! Read, query and write BTF, `.BTF.ext` and CO-RE records: bytes in, values out.
//!
//! What must hold: hostile bytes never panic, never hang, and never make it allocate more than a small multiple of
//! their own size; the same calls make the same bytes.
//!
//! Why not btf-rs in the product: its parse of a whole vmlinux takes about 140 ms and 42 MB, and a query has to be
//! live within 5 ms and 8 MB. Reading here is lazy: only what leads to the type that is asked for is looked at. btf-rs is
//! a development dependency: the tests compare every type of the running kernel with what it says.
//!
//! Only little-endian BTF, and pointers of 8 bytes (x86-64).

mod error;
mod raw;

mod btf;
mod index;
mod kind;
mod query;

mod display;

mod builder;
mod ext;
mod ident;
mod maps;

mod core_types;
mod core_write;

pub use btf::{Btf, POINTER_SIZE};
pub use builder::{Builder, NewMember, StrOff};
pub use core_types::{CoreEnd, CoreRef, CoreSpec, CoreTypes, Leaf};
pub use error::{Error, Result};
pub use ext::{CoreKind, CoreRelo, Ext, ExtSection, FuncInfo, LineInfo};
pub use ident::c_identifier;
pub use kind::{
    Array, Composite, Datasec, Enum, Func, FuncProto, Int, Kind, Linkage, Member, Param, SecVar, Tag, TypeId, Var,
};
pub use maps::{MapDef, MapPart, MapSection};
pub use query::{BitLoad, Bits, Field, Pointer, Proto};
