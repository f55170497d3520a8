//! What each helper takes.
//!
//! From the `bpf_func_proto` of each (kernel/trace/bpf_trace.c, kernel/bpf/helpers.c, kernel/bpf/ringbuf.c, 6.18). Map keys
//! and values come from the stack, map values and variables (`map_key_value_types`; records joined them later than 5.10).

use crate::ir::{Func, Global, MapKind, PtrKind, Type, Value};
use bpfquery_isa::Helper;

/// What an argument is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Arg {
    /// A map that has keys; `delete`: a hash.
    Keyed {
        /// Whether entries can be deleted.
        delete: bool,
    },
    /// Task storage.
    Storage,
    /// A ring buffer.
    Ring,
    /// The bytes of a key of the map in the first argument.
    Key,
    /// The bytes of a value of it.
    Element,
    /// Memory that is read, as many bytes as the argument of this number says.
    Source(usize),
    /// Memory that is written.
    Destination(usize),
    /// A reserved record.
    Record,
    /// The program's context.
    Context,
    /// A thread.
    Task,
    /// An address that a probe read follows: a number, or a pointer, of which the kernel looks at nothing.
    Address,
    /// A number.
    Int,
}

/// The helper's arguments; none for a helper that code generation does not use.
pub(super) fn signature(helper: Helper) -> Option<&'static [Arg]> {
    use Arg::{Address, Context, Destination, Element, Int, Key, Keyed, Record, Ring, Source, Storage, Task};
    Some(match helper {
        Helper::MapLookupElem => &[Keyed { delete: false }, Key],
        Helper::MapUpdateElem => &[Keyed { delete: false }, Key, Element, Int],
        Helper::MapDeleteElem => &[Keyed { delete: true }, Key],
        Helper::TaskStorageGet => &[Storage, Task, Int, Int],
        Helper::ProbeRead
        | Helper::ProbeReadStr
        | Helper::ProbeReadUser
        | Helper::ProbeReadKernel
        | Helper::ProbeReadUserStr
        | Helper::ProbeReadKernelStr => &[Destination(1), Int, Address],
        Helper::GetCurrentComm => &[Destination(1), Int],
        Helper::RingbufOutput => &[Ring, Source(2), Int, Int],
        Helper::RingbufReserve => &[Ring, Int, Int],
        Helper::RingbufSubmit | Helper::RingbufDiscard => &[Record, Int],
        Helper::RingbufQuery => &[Ring, Int],
        Helper::GetAttachCookie | Helper::GetFuncIp => &[Context],
        Helper::KtimeGetNs
        | Helper::KtimeGetBootNs
        | Helper::KtimeGetTaiNs
        | Helper::Jiffies64
        | Helper::GetPrandomU32
        | Helper::GetSmpProcessorId
        | Helper::GetCurrentPidTgid
        | Helper::GetCurrentUidGid
        | Helper::GetCurrentTask
        | Helper::GetCurrentTaskBtf
        | Helper::GetCurrentCgroupId => &[],
        _ => return None,
    })
}

/// What is wrong with the arguments' types.
pub(super) fn fault(func: &Func, helper: Helper, args: &[Value]) -> Option<String> {
    let Some(signature) = signature(helper) else { return Some(format!("{} is not modelled", helper.name())) };
    if signature.len() != args.len() {
        return Some(format!("{} arguments, not {}", args.len(), signature.len()));
    }
    let fits = |(&arg, &value): (&Arg, &Value)| {
        let expected = arg_fault(func, arg, func.ty(value))?;
        Some(format!("{value} is `{}`, not {expected}", func.ty(value)))
    };
    signature.iter().zip(args).find_map(fits)
}

/// What was expected, where the type is not it.
fn arg_fault(func: &Func, arg: Arg, ty: Type) -> Option<&'static str> {
    let kind = match ty {
        Type::Ptr { kind, .. } => Some(kind),
        Type::Int => None,
    };
    let map = match kind {
        Some(PtrKind::Map(map)) => Some(func.map(map).kind),
        _ => None,
    };
    let writable = |global| func.global(global).section == Global::Bss;
    let (ok, expected) = match arg {
        Arg::Keyed { delete: true } => (matches!(map, Some(MapKind::Hash | MapKind::PerCpuHash)), "a hash map"),
        Arg::Keyed { delete: false } => {
            (map.is_some_and(|map| !matches!(map, MapKind::RingBuffer | MapKind::TaskStorage)), "a map with keys")
        }
        Arg::Storage => (map == Some(MapKind::TaskStorage), "task storage"),
        Arg::Ring => (map == Some(MapKind::RingBuffer), "a ring buffer"),
        Arg::Key | Arg::Element => {
            let ok = matches!(kind, Some(PtrKind::Stack | PtrKind::MapValue(_) | PtrKind::Global(_)));
            (ok, "an address in the stack, a map value or a variable")
        }
        Arg::Source(_) => (matches!(kind, Some(kind) if is_memory(kind)), "an address of memory"),
        Arg::Destination(_) => {
            let ok = match kind {
                Some(PtrKind::Global(global)) => writable(global),
                Some(kind) => is_memory(kind),
                None => false,
            };
            (ok, "an address of memory that may be written")
        }
        Arg::Record => (matches!(kind, Some(PtrKind::Record(_))), "a record"),
        Arg::Context => (kind == Some(PtrKind::Context), "the context"),
        Arg::Task => (kind == Some(PtrKind::Task), "a thread"),
        Arg::Address => (map.is_none(), "an address"),
        Arg::Int => (kind.is_none(), "a number"),
    };
    (!ok).then_some(expected)
}

fn is_memory(kind: PtrKind) -> bool {
    match kind {
        PtrKind::Stack | PtrKind::MapValue(_) | PtrKind::Record(_) | PtrKind::Global(_) => true,
        PtrKind::Context | PtrKind::Map(_) | PtrKind::Task => false,
    }
}
