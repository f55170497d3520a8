//! What to use instead of a function or system call that is not to be had by this name.
//!
//! What must hold: nothing is suggested that this kernel does not have, as far as it tells. Not checked: that it happens as often as what
//! was asked for; the tables say what is nearest in meaning.

use crate::kernel::Kernel;
use bpfquery_btf::Tag;
use bpfquery_diag::Result;

/// Functions that went by another name, with the version that renamed them.
const RENAMED: [(&str, &str, &str); 7] = [
    ("_do_fork", "kernel_clone", "5.10"),
    ("do_fork", "kernel_clone", "5.10"),
    ("generic_make_request", "submit_bio_noacct", "5.9"),
    ("do_sys_open", "do_sys_openat2", "5.6"),
    ("add_to_page_cache_lru", "filemap_add_folio", "5.16"),
    ("mark_page_accessed", "folio_mark_accessed", "5.16"),
    ("account_page_dirtied", "folio_account_dirtied", "5.16"),
];

/// What functions of system calls are called before the call's own name (arch/x86/include/asm/syscall_wrapper.h, Linux 4.17 on,
/// and before).
const SYSCALL_STARTS: [&str; 8] =
    ["__x64_sys_", "__ia32_sys_", "__arm64_sys_", "__se_sys_", "__do_sys_", "ksys_", "SyS_", "sys_"];

/// System calls by the names that programs use, and by those of the kernel's functions, from which its events are named
/// (arch/x86/entry/syscalls/syscall_64.tbl, Linux 6.12).
const TRACED_AS: [(&str, &str); 12] = [
    ("stat", "newstat"),
    ("lstat", "newlstat"),
    ("fstat", "newfstat"),
    ("fstatat", "newfstatat"),
    ("uname", "newuname"),
    ("sendfile", "sendfile64"),
    ("umount2", "umount"),
    ("pread", "pread64"),
    ("pwrite", "pwrite64"),
    ("_sysctl", "sysctl"),
    ("wait", "wait4"),
    ("exec", "execve"),
];

/// System calls that only 32-bit processes make, and what 64-bit ones make instead (arch/x86/entry/syscalls/syscall_32.tbl, Linux
/// 6.12); events of system calls are those of 64-bit processes.
const OF_32_BITS: [(&str, &str); 12] = [
    ("mmap2", "mmap"),
    ("_llseek", "lseek"),
    ("llseek", "lseek"),
    ("fcntl64", "fcntl"),
    ("stat64", "newstat"),
    ("lstat64", "newlstat"),
    ("fstat64", "newfstat"),
    ("fstatat64", "newfstatat"),
    ("truncate64", "truncate"),
    ("ftruncate64", "ftruncate"),
    ("socketcall", "connect"),
    ("waitpid", "wait4"),
];

/// System calls that architectures younger than x86 never had, and what is made there instead
/// (include/uapi/asm-generic/unistd.h, Linux 6.1).
const NOT_ON_ARM64: [(&str, &str); 24] = [
    ("open", "openat"),
    ("creat", "openat"),
    ("newstat", "newfstatat"),
    ("newlstat", "newfstatat"),
    ("fork", "clone"),
    ("vfork", "clone"),
    ("pipe", "pipe2"),
    ("dup2", "dup3"),
    ("poll", "ppoll"),
    ("select", "pselect6"),
    ("mkdir", "mkdirat"),
    ("mknod", "mknodat"),
    ("unlink", "unlinkat"),
    ("rmdir", "unlinkat"),
    ("rename", "renameat2"),
    ("link", "linkat"),
    ("symlink", "symlinkat"),
    ("readlink", "readlinkat"),
    ("chmod", "fchmodat"),
    ("chown", "fchownat"),
    ("access", "faccessat"),
    ("epoll_wait", "epoll_pwait"),
    ("getdents", "getdents64"),
    ("eventfd", "eventfd2"),
];

/// Why there is no system call of this name, and the one to use.
pub(super) struct OtherCall {
    /// A sentence; empty where there is nothing to say.
    pub(super) why: String,
    /// The name by which it is traced.
    pub(super) name: &'static str,
}

/// The system call that was meant by a name that the kernel does not trace.
pub(super) fn other_call(arch: &str, name: &str, calls: &[String]) -> Option<OtherCall> {
    let in_table = |table: &[(&str, &'static str)]| table.iter().find(|(old, _)| *old == name).map(|(_, new)| *new);
    let found = if let Some(new) = in_table(&TRACED_AS) {
        OtherCall { why: format!("the kernel's own name of it is {new}"), name: new }
    } else if let Some(new) = in_table(&OF_32_BITS) {
        OtherCall { why: "only 32-bit processes make it, whose calls are not traced".to_string(), name: new }
    } else {
        let new = in_table(&NOT_ON_ARM64).filter(|_| arch == "aarch64")?;
        OtherCall { why: format!("{arch} has no such call"), name: new }
    };
    calls.iter().any(|call| call == found.name).then_some(found)
}

/// Another name under which a function is to be had: what follows "help: ".
///
/// # Errors
/// What the kernel could not answer.
pub(super) fn other_function(kernel: &dyn Kernel, kind: &str, name: &str) -> Result<Option<String>> {
    if let Some(call) = SYSCALL_STARTS.iter().find_map(|start| name.strip_prefix(start)) {
        let calls = super::syscall::names(kernel).unwrap_or_default();
        let known = calls.iter().find(|known| *known == call).map(String::as_str);
        let known = known.or_else(|| other_call(&kernel.identity().arch, call, &calls).map(|other| other.name));
        if let Some(known) = known {
            return Ok(Some(format!("use syscall.{known}, which has its arguments and what it returned")));
        }
    }
    let btf = kernel.btf()?;
    let is_there = |name: &str| btf.find(Tag::Func, name).is_some() && kernel.traceable_at_once(name) != Some(false);
    if let Some((_, new, since)) = RENAMED.iter().find(|(old, new, _)| *old == name && is_there(new)) {
        return Ok(Some(format!("since Linux {since} it is {kind}.{new}")));
    }
    let bare = name.trim_start_matches('_');
    let near = ["", "_", "__"].map(|start| format!("{start}{bare}"));
    let near = near.into_iter().find(|other| other != name && is_there(other));
    Ok(near.map(|other| format!("there is {kind}.{other}")))
}
