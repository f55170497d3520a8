//! From a line of the `input` section to what a program meets: its context's bytes, the task, and the memory that
//! its pointers lead to.
//!
//! Contexts are laid out by the relation's own access paths, so a mistake there is not seen here; `rows kernel` sees it.

use crate::input::{Line, Place, Value};
use crate::memory::Memory;
use bpfquery_catalog::{
    Access, Builtin, Column, Feature, FieldPath, Kernel, Miss, Pointee, Relation, Space, SqlType, TypeRef, VMLINUX, nav,
};
use bpfquery_codegen::interp::{Event, Sparse};
use bpfquery_isa::Helper;

/// Elements that are made behind a pointer.
const ROOM: usize = 8;

/// One hit of a probe, with the memory around it.
pub(crate) struct Hit {
    pub(crate) event: Event,
    pub(crate) kernel: Sparse,
    pub(crate) user: Sparse,
    /// Helpers whose next call fails, and with what.
    pub(crate) failures: Vec<(Helper, i64)>,
}

/// Makes the hit that a line describes; `context` is how many bytes the program may read.
///
/// # Errors
/// A name that the relation or the kernel does not have, or a value that does not fit its type.
pub(crate) fn hit(kernel: &dyn Kernel, relation: &Relation, context: usize, line: &Line) -> Result<Hit, String> {
    let mut maker = Maker {
        kernel,
        relation,
        event: Event { context: vec![0; context], pid: 1, tid: 1, ..Event::default() }.comm("test"),
        memory: Memory::default(),
        failures: Vec::new(),
        tail: tail(relation),
        has_tid: false,
    };
    for (place, value) in &line.fields {
        maker.set(place, value).map_err(|error| format!("{}: {error}", place.text))?;
    }
    if !maker.has_tid {
        maker.event.tid = maker.event.pid;
    }
    maker.place_name()?;
    let (kernel, user) = maker.memory.halves();
    Ok(Hit { event: maker.event, kernel, user, failures: maker.failures })
}

struct Maker<'a> {
    kernel: &'a dyn Kernel,
    relation: &'a Relation,
    event: Event,
    memory: Memory,
    failures: Vec<(Helper, i64)>,
    /// Where the text of the next `__data_loc` goes.
    tail: usize,
    has_tid: bool,
}

/// Where bytes stand.
#[derive(Clone, Copy)]
enum At {
    Context(usize),
    Memory(u64),
}

/// A value's place: where, how many bytes, which of their bits, and its type.
struct Spot {
    at: At,
    size: usize,
    bits: Option<nav::BitField>,
    ty: SqlType,
}

/// Behind the last field of the record.
fn tail(relation: &Relation) -> usize {
    let end = |column: &Column| match column.access {
        Access::Context { offset, size } => usize::from(offset + size),
        Access::DataLocation { offset } => usize::from(offset) + 4,
        Access::Member { offset, .. } => usize::from(offset) + 8,
        Access::Listed { .. } | Access::Unreachable => 0,
        Access::Builtin(_) | Access::Held { .. } => 0,
    };
    relation.columns.iter().map(end).max().unwrap_or(0)
}

impl Maker<'_> {
    fn set(&mut self, place: &Place, value: &Value) -> Result<(), String> {
        if place.column == "fail" {
            return self.fail(place, value);
        }
        if let Some(at) = place.column.strip_prefix("context[").and_then(|rest| rest.strip_suffix(']')) {
            return self.register(at, value);
        }
        let index = self.relation.column(&place.column, place.args).map_err(|miss| unknown(self.relation, &miss))?;
        let column = self.relation.columns[index].clone();
        match column.access {
            Access::Builtin(builtin) => self.builtin(builtin, value),
            Access::DataLocation { offset } => self.data_location(offset.into(), value),
            Access::Held { .. } => Err("it comes with the row that is held".to_string()),
            Access::Member { offset, path } => self.behind(offset.into(), &path, column.ty, value),
            // The query does not use it, and its hook does not have it.
            Access::Listed { .. } | Access::Unreachable => Ok(()),
            Access::Context { offset, size } => {
                let at = At::Context(offset.into());
                let mut spot = Spot { at, size: size.into(), bits: None, ty: column.ty };
                for index in &place.indices {
                    spot = self.element(&spot, *index)?;
                }
                for step in &place.members {
                    spot = self.member(&spot, &step.name)?;
                    for index in &step.indices {
                        spot = self.element(&spot, *index)?;
                    }
                }
                self.store(&spot, value)
            }
        }
    }

    fn fail(&mut self, place: &Place, value: &Value) -> Result<(), String> {
        let name = format!("bpf_{}", place.members.first().map_or("", |step| &step.name));
        let helper = Helper::ALL.iter().find(|helper| helper.name() == name).ok_or("no helper is called so")?;
        let Value::Int(result) = value else { return Err("a helper's result is a number".to_string()) };
        self.failures.push((*helper, i64::try_from(*result).map_err(|error| error.to_string())?));
        Ok(())
    }

    /// `context[1]=5`: a whole word of the context, whatever columns say of it.
    fn register(&mut self, at: &str, value: &Value) -> Result<(), String> {
        let at: usize = at.parse().map_err(|_| format!("\"{at}\" is no number of a word"))?;
        let Value::Int(word) = value else { return Err("a word of the context is a number".to_string()) };
        let word: u64 = narrow(*word)?;
        self.put(At::Context(8 * at), &word.to_le_bytes())
    }

    fn builtin(&mut self, builtin: Builtin, value: &Value) -> Result<(), String> {
        match (builtin, value) {
            (Builtin::Comm, Value::Word(name)) => self.name(name.as_bytes())?,
            (Builtin::Comm, Value::Text(name)) => self.name(name)?,
            (Builtin::Comm, Value::Int(name)) => self.name(name.to_string().as_bytes())?,
            (Builtin::Ppid, Value::Fault) => self.event.task = Memory::fault(Space::Kernel),
            (Builtin::Ppid, value) => self.parent(value)?,
            (Builtin::Ts, Value::Int(ns)) => self.event.ktime_ns = narrow(*ns)?,
            (Builtin::CgroupId, Value::Int(id)) => self.event.cgroup_id = narrow(*id)?,
            (Builtin::Pid, Value::Int(id)) => self.event.pid = narrow(*id)?,
            (Builtin::Tid, Value::Int(id)) => {
                self.event.tid = narrow(*id)?;
                self.has_tid = true;
            }
            (Builtin::Uid, Value::Int(id)) => self.event.uid = narrow(*id)?,
            (Builtin::Gid, Value::Int(id)) => self.event.gid = narrow(*id)?,
            (Builtin::Cpu, Value::Int(cpu)) => self.event.cpu = narrow(*cpu)?,
            (Builtin::Elapsed, _) => return Err("it follows from ts and the directive `start`".to_string()),
            (Builtin::Probe, _) => return Err("it is the relation's name".to_string()),
            (
                Builtin::Comm
                | Builtin::Ts
                | Builtin::CgroupId
                | Builtin::Pid
                | Builtin::Tid
                | Builtin::Uid
                | Builtin::Gid
                | Builtin::Cpu,
                _,
            ) => return Err("the value is not of its type".to_string()),
        }
        Ok(())
    }

    /// TASK_COMM_LEN is 16, with the NUL.
    fn name(&mut self, name: &[u8]) -> Result<(), String> {
        if name.len() > 15 {
            return Err(format!("{} bytes are more than a name has", name.len()));
        }
        self.event.comm = [0; 16];
        self.event.comm[..name.len()].copy_from_slice(name);
        Ok(())
    }

    /// `current->comm`, for programs that read it there.
    fn place_name(&mut self) -> Result<(), String> {
        let task = TypeRef { object: VMLINUX.to_string(), id: 0, name: "task_struct".to_string() };
        if !self.kernel.identity().features.contains(&Feature::Btf) {
            return Ok(());
        }
        let comm = nav::member(self.kernel, &SqlType::Struct(task), "comm").map_err(|error| format!("{error:?}"))?;
        let Ok(comm) = comm else { return Ok(()) };
        if self.event.task == 0 {
            self.event.task = self.memory.place(Space::Kernel, vec![0; 8]);
        }
        self.memory.put(self.event.task + u64::from(comm.offset), &self.event.comm);
        Ok(())
    }

    /// `current->real_parent->tgid = value`.
    fn parent(&mut self, value: &Value) -> Result<(), String> {
        let task = SqlType::Pointer {
            space: Space::Kernel,
            to: Pointee::Struct(TypeRef { object: VMLINUX.to_string(), id: 0, name: "task_struct".to_string() }),
        };
        let current = self.memory.place(Space::Kernel, vec![0; 8]);
        let pointer = Spot { at: At::Memory(current), size: 8, bits: None, ty: task };
        let parent = self.member(&pointer, "real_parent")?;
        let tgid = self.member(&parent, "tgid")?;
        self.event.task = self.word(&pointer)?;
        self.store(&tgid, value)
    }

    /// A member of the struct that stands at a spot, or that the pointer there leads to; a struct that is not there is made.
    fn member(&mut self, of: &Spot, name: &str) -> Result<Spot, String> {
        let base = match (&of.ty, of.at) {
            (SqlType::Pointer { to: Pointee::Struct(to), space }, _) => self.target(of, *space, to)?,
            (SqlType::Struct(_), At::Memory(address)) => address,
            (other, _) => return Err(format!("{other} has no member \"{name}\"")),
        };
        let member = nav::member(self.kernel, &of.ty, name).map_err(|error| format!("{error:?}"))?;
        let member = member.map_err(|wrong| format!("{name}: {wrong:?}"))?;
        let at = At::Memory(base + u64::from(member.offset));
        Ok(Spot { at, size: member.size as usize, bits: member.bits, ty: member.ty })
    }

    /// An element of the array that stands at a spot, or of what the pointer there leads to; what is not there is made.
    fn element(&mut self, of: &Spot, index: u32) -> Result<Spot, String> {
        let (base, ty, size) = match (&of.ty, of.at) {
            (SqlType::Array { element, len }, At::Memory(address)) if *len > 0 => {
                (address, (**element).clone(), of.size / *len as usize)
            }
            (SqlType::Text { .. }, At::Memory(address)) => (address, SqlType::Int { bits: 8, signed: false }, 1),
            (SqlType::Pointer { to: Pointee::Struct(to), space }, _) => {
                let size = self.size_of(to)?;
                (self.row(of, *space, size)?, SqlType::Struct(to.clone()), size)
            }
            (SqlType::Pointer { to: Pointee::Value(to), space }, _) => {
                let (bits, _) = to.scalar().ok_or_else(|| format!("{to} has no elements here"))?;
                let size = usize::from(bits) / 8;
                (self.row(of, *space, size)?, (**to).clone(), size)
            }
            (other, _) => return Err(format!("{other} has no elements here")),
        };
        Ok(Spot { at: At::Memory(base + u64::from(index) * size as u64), size, bits: None, ty })
    }

    /// The address that the pointer at a spot holds; if it is none, that of room for some elements.
    fn row(&mut self, of: &Spot, space: Space, size: usize) -> Result<u64, String> {
        match self.word(of)? {
            0 => {
                let address = self.memory.place(space, vec![0; ROOM * size]);
                self.put(of.at, &address.to_le_bytes())?;
                Ok(address)
            }
            address => Ok(address),
        }
    }

    /// The address that the pointer at a spot holds; a struct that is not there is made.
    fn target(&mut self, of: &Spot, space: Space, to: &TypeRef) -> Result<u64, String> {
        match self.word(of)? {
            0 => {
                let address = self.memory.place(space, vec![0; self.size_of(to)?]);
                self.put(of.at, &address.to_le_bytes())?;
                Ok(address)
            }
            address => Ok(address),
        }
    }

    /// A column that is a field of the struct that the context points at; `fault` is a pointer that cannot be followed.
    fn behind(&mut self, offset: usize, path: &FieldPath, ty: SqlType, value: &Value) -> Result<(), String> {
        let to = Pointee::Struct(path.root.clone());
        let pointer = SqlType::Pointer { space: Space::Kernel, to };
        let pointer = Spot { at: At::Context(offset), size: 8, bits: None, ty: pointer };
        if *value == Value::Fault {
            return self.store(&pointer, value);
        }
        let base = self.target(&pointer, Space::Kernel, &path.root)?;
        let at = At::Memory(base + u64::from(path.offset));
        self.store(&Spot { at, size: path.size as usize, bits: None, ty }, value)
    }

    fn size_of(&self, to: &TypeRef) -> Result<usize, String> {
        let found = nav::definition(self.kernel, to).map_err(|error| format!("{error:?}"))?;
        let (object, id) = found.ok_or_else(|| format!("struct {} is not defined in the snapshot", to.name))?;
        object.btf.size_of(id).map(|size| size as usize).ok_or_else(|| format!("struct {} has no size", to.name))
    }

    fn store(&mut self, spot: &Spot, value: &Value) -> Result<(), String> {
        match (&spot.ty, value) {
            (SqlType::Text { .. }, Value::Text(text)) => {
                let mut bytes = text.clone();
                if bytes.len() > spot.size {
                    return Err(format!("{} bytes do not fit {}", bytes.len(), spot.size));
                }
                bytes.resize(spot.size, 0);
                self.put(spot.at, &bytes)
            }
            (SqlType::Text { .. }, Value::Word(word)) => {
                let text = Value::Text(word.clone().into_bytes());
                self.store(spot, &text)
            }
            (SqlType::Pointer { space, .. }, Value::Fault) => self.put(spot.at, &Memory::fault(*space).to_le_bytes()),
            (SqlType::Pointer { space, .. }, Value::Text(text)) => self.point(spot, *space, text),
            (SqlType::Pointer { .. }, Value::UserText(text)) => self.point(spot, Space::User, text),
            (SqlType::Enum(names), Value::Word(word)) => {
                let known = names.values.iter().find(|(_, name)| name == word);
                let (value, _) = known.ok_or_else(|| format!("the enum has no \"{word}\""))?;
                self.number(spot, i128::from(*value))
            }
            (ty, Value::Int(number)) if ty.scalar().is_some() => self.number(spot, *number),
            (ty, value) => Err(format!("{value:?} is no {ty}")),
        }
    }

    /// Puts a text somewhere and its address at the spot.
    fn point(&mut self, spot: &Spot, space: Space, text: &[u8]) -> Result<(), String> {
        let mut bytes = text.to_vec();
        bytes.push(0);
        let address = self.memory.place(space, bytes);
        self.put(spot.at, &address.to_le_bytes())
    }

    fn number(&mut self, spot: &Spot, number: i128) -> Result<(), String> {
        let bits = spot.bits.map_or(8 * spot.size as u32, |bits| bits.width);
        if number >= 1 << bits || number < -(1 << (bits - 1)) {
            return Err(format!("{number} does not fit {bits} bits"));
        }
        // Two's complement: the low bits of a wider number are its own.
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "checked to fit just above")]
        let word = match spot.bits {
            None => number as u64,
            Some(bits) => {
                let (mask, shift) = ((1_u64 << bits.width) - 1, bits.right - bits.left);
                self.word(spot)? & !(mask << shift) | (number as u64 & mask) << shift
            }
        };
        self.put(spot.at, &word.to_le_bytes()[..spot.size])
    }

    fn word(&mut self, spot: &Spot) -> Result<u64, String> {
        let size = spot.size.min(8);
        let bytes = self.bytes(spot.at, size)?;
        Ok(bytes.iter().rev().fold(0, |word, byte| word << 8 | u64::from(*byte)))
    }

    fn put(&mut self, at: At, bytes: &[u8]) -> Result<(), String> {
        self.bytes(at, bytes.len())?.copy_from_slice(bytes);
        Ok(())
    }

    fn bytes(&mut self, at: At, len: usize) -> Result<&mut [u8], String> {
        let found = match at {
            At::Context(offset) => self.event.context.get_mut(offset..offset + len),
            At::Memory(address) => self.memory.bytes_mut(address, len),
        };
        found.ok_or_else(|| "there is no memory at this place".to_string())
    }

    /// `*(u32 *)(ctx + offset) = length << 16 | where`, and the text there.
    fn data_location(&mut self, offset: usize, value: &Value) -> Result<(), String> {
        let mut bytes = match value {
            Value::Text(text) => text.clone(),
            Value::Word(word) => word.clone().into_bytes(),
            Value::Int(number) => number.to_string().into_bytes(),
            Value::UserText(_) | Value::Fault => return Err("the text stands in the record itself".to_string()),
        };
        bytes.push(0);
        let location = (bytes.len() << 16 | self.tail) as u32;
        self.put(At::Context(offset), &location.to_le_bytes())?;
        self.put(At::Context(self.tail), &bytes)?;
        self.tail += bytes.len();
        Ok(())
    }
}

fn narrow<T: TryFrom<i128>>(number: i128) -> Result<T, String> {
    T::try_from(number).map_err(|_| format!("{number} does not fit"))
}

fn unknown(relation: &Relation, miss: &Miss) -> String {
    format!("{} has no such column: {miss:?}", relation.name)
}
