//! The kernel functions that programs may call, as the kernel does them (6.18; each names its file).
//!
//! A helper's own failures are results; arguments that the kernel's verifier would refuse are faults.

use super::machine::Machine;
use super::memory::{Object, USER_END, map_of};
use super::trap::Fault;
use super::world::StoreKind;
use bpfquery_isa::Helper;

/// Error numbers (include/uapi/asm-generic/errno-base.h).
pub(super) mod errno {
    pub(in super::super) const ENOENT: i64 = 2;
    pub(in super::super) const E2BIG: i64 = 7;
    pub(in super::super) const EAGAIN: i64 = 11;
    pub(in super::super) const EFAULT: i64 = 14;
    pub(in super::super) const EEXIST: i64 = 17;
    pub(in super::super) const EINVAL: i64 = 22;
    pub(in super::super) const ERANGE: i64 = 34;
}

/// BPF_RB_NO_WAKEUP | BPF_RB_FORCE_WAKEUP.
const WAKEUP_FLAGS: u64 = 3;

/// The least kernel address (x86-64, four levels of page tables).
const CANONICAL: u64 = 0xffff_8000_0000_0000;

/// Whose memory a probe read follows.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Whose {
    Kernel,
    User,
}

/// Calls the helper.
pub(super) fn call(machine: &mut Machine<'_>, helper: Helper, args: &[u64]) -> Result<u64, Fault> {
    if args.len() != usize::from(helper.args()) {
        return Err(Fault::Arguments(format!("{} takes {} arguments", helper.name(), helper.args())));
    }
    if let Some(result) = machine.world.planned_failure(helper) {
        if is_read(helper) {
            // A read that fails leaves zeroes, whatever it failed for.
            machine.write(args[0], &vec![0; bounded(args[1])?])?;
        }
        return Ok(result.cast_unsigned());
    }
    let event = machine.event;
    let pair = |high: u32, low: u32| u64::from(high) << 32 | u64::from(low);
    Ok(match helper {
        Helper::KtimeGetNs | Helper::KtimeGetBootNs | Helper::KtimeGetTaiNs => event.ktime_ns,
        // CONFIG_HZ of 250, for want of a better number.
        Helper::Jiffies64 => event.ktime_ns / 4_000_000,
        Helper::GetPrandomU32 => random(machine),
        Helper::GetSmpProcessorId => event.cpu.into(),
        Helper::GetCurrentPidTgid => pair(event.pid, event.tid),
        Helper::GetCurrentUidGid => pair(event.gid, event.uid),
        Helper::GetCurrentTask | Helper::GetCurrentTaskBtf => event.task,
        Helper::GetCurrentCgroupId => event.cgroup_id,
        Helper::GetAttachCookie => event.cookie,
        Helper::GetFuncIp => event.ip,
        Helper::GetCurrentComm => comm(machine, args[0], args[1])?.cast_unsigned(),
        Helper::ProbeRead => probe_read(machine, args, whose(args[2]))?.cast_unsigned(),
        Helper::ProbeReadKernel => probe_read(machine, args, Whose::Kernel)?.cast_unsigned(),
        Helper::ProbeReadUser => probe_read(machine, args, Whose::User)?.cast_unsigned(),
        Helper::ProbeReadStr => probe_read_str(machine, args, whose(args[2]))?.cast_unsigned(),
        Helper::ProbeReadKernelStr => probe_read_str(machine, args, Whose::Kernel)?.cast_unsigned(),
        Helper::ProbeReadUserStr => probe_read_str(machine, args, Whose::User)?.cast_unsigned(),
        Helper::MapLookupElem => lookup(machine, args)?,
        Helper::MapUpdateElem => update(machine, args)?.cast_unsigned(),
        Helper::MapDeleteElem => delete(machine, args)?.cast_unsigned(),
        Helper::TaskStorageGet => storage(machine, args)?,
        Helper::RingbufReserve => reserve(machine, args)?,
        Helper::RingbufSubmit => commit(machine, args[0], false)?,
        Helper::RingbufDiscard => commit(machine, args[0], true)?,
        Helper::RingbufOutput => output(machine, args)?.cast_unsigned(),
        Helper::RingbufQuery => query(machine, args)?,
        _ => return Err(Fault::Arguments(format!("{} is not modelled", helper.name()))),
    })
}

fn is_read(helper: Helper) -> bool {
    matches!(
        helper,
        Helper::ProbeRead
            | Helper::ProbeReadKernel
            | Helper::ProbeReadUser
            | Helper::ProbeReadStr
            | Helper::ProbeReadKernelStr
            | Helper::ProbeReadUserStr
    )
}

// A xorshift: the kernel promises nothing about the numbers, and tests want the same ones each time.
fn random(machine: &mut Machine<'_>) -> u64 {
    let mut x = machine.world.random;
    x ^= x << 13;
    x ^= x >> 17;
    x ^= x << 5;
    machine.world.random = x;
    x.into()
}

// bpf_get_current_comm, kernel/bpf/helpers.c: strscpy, which leaves what is behind the NUL as it was, as Linux 6.1 to 6.3 do;
// others zero it.
fn comm(machine: &mut Machine<'_>, to: u64, size: u64) -> Result<i64, Fault> {
    if size == 0 {
        return Ok(-errno::EINVAL);
    }
    let end = machine.event.comm.iter().position(|&byte| byte == 0).unwrap_or(16);
    let mut bytes = machine.event.comm[..end.min(bounded(size)? - 1)].to_vec();
    bytes.push(0);
    machine.write(to, &bytes)?;
    Ok(0)
}

// bpf_probe_read_compat, kernel/trace/bpf_trace.c: the address says whose it is.
fn whose(address: u64) -> Whose {
    if address < USER_END { Whose::User } else { Whose::Kernel }
}

// What a read that finds no byte returns. A kernel read of what cannot be a kernel address is refused before it is tried
// (copy_from_kernel_nofault_allowed, arch/x86/mm/maccess.c).
fn fault(whose: Whose, address: u64) -> i64 {
    let canonical = address >= CANONICAL;
    if whose == Whose::Kernel && !canonical { -errno::ERANGE } else { -errno::EFAULT }
}

// bpf_probe_read_kernel_common and _user_common: all of it, or an error and zeroes.
fn probe_read(machine: &mut Machine<'_>, args: &[u64], whose: Whose) -> Result<i64, Fault> {
    let (to, size, from) = (args[0], bounded(args[1])?, args[2]);
    let bytes: Option<Vec<u8>> = (0..size as u64).map(|i| byte(machine, whose, from.checked_add(i)?)).collect();
    let result = if bytes.is_some() { 0 } else { fault(whose, from) };
    machine.write(to, &bytes.unwrap_or_else(|| vec![0; size]))?;
    Ok(result)
}

// strncpy_from_kernel_nofault, mm/maccess.c: up to the NUL; a longer string is cut and ended; a fault leaves zeroes.
// The kernel's copy from user space may also zero up to 7 bytes behind the NUL; here they stay.
fn probe_read_str(machine: &mut Machine<'_>, args: &[u64], whose: Whose) -> Result<i64, Fault> {
    let (to, size, from) = (args[0], bounded(args[1])?, args[2]);
    let mut text = Vec::new();
    while text.len() < size {
        match from.checked_add(text.len() as u64).and_then(|at| byte(machine, whose, at)) {
            Some(byte) => text.push(byte),
            None => {
                machine.write(to, &vec![0; size])?;
                return Ok(fault(whose, from));
            }
        }
        if text.last() == Some(&0) {
            break;
        }
    }
    if let Some(last) = text.last_mut() {
        *last = 0;
    }
    machine.write(to, &text)?;
    Ok(i64::try_from(text.len()).unwrap_or(i64::MAX))
}

fn byte(machine: &Machine<'_>, whose: Whose, address: u64) -> Option<u8> {
    match whose {
        Whose::User => machine.world.user.byte(address).filter(|_| address < USER_END),
        Whose::Kernel => {
            let own = || machine.read(address, 1).ok().map(|bytes| bytes[0]);
            machine.world.kernel.byte(address).or_else(own)
        }
    }
}

fn lookup(machine: &mut Machine<'_>, args: &[u64]) -> Result<u64, Fault> {
    let (map, key) = key(machine, args)?;
    let StoreKind::Map(inner) = &machine.world.stores[map as usize].kind else { return Err(no_keys()) };
    Ok(inner.lookup(&key).map_or(0, |cell| Object::Cell { map, cell }.address()))
}

// bpf_task_storage_get, kernel/bpf/bpf_task_storage.c: only the current task is asked for here, and its id stands for it.
fn storage(machine: &mut Machine<'_>, args: &[u64]) -> Result<u64, Fault> {
    let map = store(machine, args[0])?;
    if args[1] != machine.event.task {
        return Err(Fault::Arguments(format!("{:#x} is not the current task", args[1])));
    }
    let task = machine.event.tid.to_le_bytes();
    let StoreKind::Map(inner) = &mut machine.world.stores[map as usize].kind else { return Err(no_keys()) };
    Ok(inner.storage(&task, args[3] == 1).map_or(0, |cell| Object::Cell { map, cell }.address()))
}

fn update(machine: &mut Machine<'_>, args: &[u64]) -> Result<i64, Fault> {
    let (map, key) = key(machine, args)?;
    let bytes = machine.world.stores[map as usize].data.value_size;
    let value = machine.read(args[2], bytes.into())?;
    let cpu = machine.event.cpu;
    let StoreKind::Map(inner) = &mut machine.world.stores[map as usize].kind else { return Err(no_keys()) };
    Ok(inner.update(&key, &value, args[3], cpu))
}

fn delete(machine: &mut Machine<'_>, args: &[u64]) -> Result<i64, Fault> {
    let (map, key) = key(machine, args)?;
    let StoreKind::Map(inner) = &mut machine.world.stores[map as usize].kind else { return Err(no_keys()) };
    Ok(inner.delete(&key))
}

fn key(machine: &Machine<'_>, args: &[u64]) -> Result<(u32, Vec<u8>), Fault> {
    let map = store(machine, args[0])?;
    let bytes = machine.world.stores[map as usize].data.key_size;
    Ok((map, machine.read(args[1], bytes.into())?))
}

fn reserve(machine: &mut Machine<'_>, args: &[u64]) -> Result<u64, Fault> {
    let map = store(machine, args[0])?;
    let StoreKind::Ring(ring) = &mut machine.world.stores[map as usize].kind else { return Err(no_ring()) };
    let record = if args[2] == 0 { ring.reserve(args[1]) } else { None };
    Ok(record.map_or(0, |cell| Object::Cell { map, cell }.address()))
}

fn commit(machine: &mut Machine<'_>, address: u64, discard: bool) -> Result<u64, Fault> {
    let unknown = || Fault::Arguments(format!("{address:#x} is not a reserved record"));
    let Some((Object::Cell { map, cell }, 0)) = Object::of(address) else { return Err(unknown()) };
    let done = match machine.world.stores.get_mut(map as usize).map(|store| &mut store.kind) {
        Some(StoreKind::Ring(ring)) => ring.commit(cell, discard),
        Some(StoreKind::Map(_)) | None => false,
    };
    if done { Ok(0) } else { Err(unknown()) }
}

// bpf_ringbuf_output, kernel/bpf/ringbuf.c.
fn output(machine: &mut Machine<'_>, args: &[u64]) -> Result<i64, Fault> {
    let map = store(machine, args[0])?;
    let bytes = machine.read(args[1], args[2])?;
    let StoreKind::Ring(ring) = &mut machine.world.stores[map as usize].kind else { return Err(no_ring()) };
    if args[3] & !WAKEUP_FLAGS != 0 {
        return Ok(-errno::EINVAL);
    }
    let Some(record) = ring.reserve(args[2]) else { return Ok(-errno::EAGAIN) };
    if let Some(to) = ring.bytes_mut(record) {
        to.copy_from_slice(&bytes);
    }
    ring.commit(record, false);
    Ok(0)
}

// bpf_ringbuf_query: BPF_RB_AVAIL_DATA, _RING_SIZE, _CONS_POS, _PROD_POS.
fn query(machine: &Machine<'_>, args: &[u64]) -> Result<u64, Fault> {
    let map = store(machine, args[0])?;
    let StoreKind::Ring(ring) = &machine.world.stores[map as usize].kind else { return Err(no_ring()) };
    Ok(match args[1] {
        0 => ring.written() - ring.read(),
        1 => ring.capacity(),
        2 => ring.read(),
        3 => ring.written(),
        _ => 0,
    })
}

fn store(machine: &Machine<'_>, handle: u64) -> Result<u32, Fault> {
    let known = map_of(handle).filter(|&map| (map as usize) < machine.world.stores.len());
    known.ok_or_else(|| Fault::Arguments(format!("{handle:#x} is not a map")))
}

fn no_keys() -> Fault {
    Fault::Arguments("the map has no keys".to_owned())
}

fn no_ring() -> Fault {
    Fault::Arguments("the map is not a ring buffer".to_owned())
}

// Larger than any memory of a program; the kernel's verifier knows bounds for every size.
fn bounded(size: u64) -> Result<usize, Fault> {
    usize::try_from(size).ok().filter(|&size| size <= 1 << 20).ok_or_else(|| Fault::Arguments(format!("{size} bytes")))
}
