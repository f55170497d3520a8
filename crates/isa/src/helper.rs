//! The kernel functions that programs may call.
//!
//! Ids, names and argument counts are those of `include/uapi/linux/bpf.h` (6.18); they are ABI and never change.
//! Versions are the first release with the helper for tracing programs. Not checked: which program types may call it.

use crate::Since;

macro_rules! helpers {
    ($($variant:ident = $id:literal, $name:literal, $args:literal, $major:literal . $minor:literal, $doc:literal;)*) => {
        /// A kernel function with a fixed id, called with its arguments in `r1` to `r5` and its result in `r0`.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Helper {
            $(#[doc = $doc] $variant,)*
        }

        impl Helper {
            /// All helpers known here, by id.
            pub const ALL: &'static [Helper] = &[$(Helper::$variant,)*];

            /// The number in the instruction.
            pub const fn id(self) -> u32 {
                match self { $(Helper::$variant => $id,)* }
            }

            /// The name in C, for example `bpf_map_lookup_elem`.
            pub const fn name(self) -> &'static str {
                match self { $(Helper::$variant => concat!("bpf_", $name),)* }
            }

            /// How many arguments it takes, 0 to 5.
            pub const fn args(self) -> u8 {
                match self { $(Helper::$variant => $args,)* }
            }

            /// The first kernel that has it for tracing programs.
            pub const fn since(self) -> Since {
                match self { $(Helper::$variant => Since($major, $minor),)* }
            }

            /// The helper of that number, if it is known here.
            pub const fn from_id(id: u32) -> Option<Helper> {
                match id { $($id => Some(Helper::$variant),)* _ => None }
            }
        }
    };
}

helpers! {
    MapLookupElem = 1, "map_lookup_elem", 2, 3 . 19, "`void *map_lookup_elem(map, key)`: the value's address, or NULL.";
    MapUpdateElem = 2, "map_update_elem", 4, 3 . 19, "`long map_update_elem(map, key, value, flags)`: 0, or -errno.";
    MapDeleteElem = 3, "map_delete_elem", 2, 3 . 19, "`long map_delete_elem(map, key)`: 0, or -ENOENT.";
    ProbeRead = 4, "probe_read", 3, 4 . 1, "`long probe_read(dst, size, unsafe_ptr)`: before 5.5; the newer ones say whose memory.";
    KtimeGetNs = 5, "ktime_get_ns", 0, 4 . 1, "`u64 ktime_get_ns()`: CLOCK_MONOTONIC, ns.";
    TracePrintk = 6, "trace_printk", 5, 4 . 1, "`long trace_printk(fmt, size, ...)`: a line in trace_pipe, for debugging.";
    GetPrandomU32 = 7, "get_prandom_u32", 0, 4 . 1, "`u32 get_prandom_u32()`: a pseudo-random number.";
    GetSmpProcessorId = 8, "get_smp_processor_id", 0, 4 . 1, "`u32 get_smp_processor_id()`: the CPU that runs the program.";
    GetCurrentPidTgid = 14, "get_current_pid_tgid", 0, 4 . 2, "`u64 get_current_pid_tgid()`: `tgid << 32 | tid`, initial namespace.";
    GetCurrentUidGid = 15, "get_current_uid_gid", 0, 4 . 2, "`u64 get_current_uid_gid()`: `gid << 32 | uid`.";
    GetCurrentComm = 16, "get_current_comm", 2, 4 . 2, "`long get_current_comm(buf, size)`: NUL-padded; 0, or -EINVAL.";
    PerfEventRead = 22, "perf_event_read", 2, 4 . 3, "`u64 perf_event_read(map, flags)`: a perf counter's value.";
    PerfEventOutput = 25, "perf_event_output", 5, 4 . 4, "`long perf_event_output(ctx, map, flags, data, size)`: 0, or -errno.";
    GetStackid = 27, "get_stackid", 3, 4 . 6, "`long get_stackid(ctx, map, flags)`: the stack's id, or -errno.";
    GetCurrentTask = 35, "get_current_task", 0, 4 . 8, "`u64 get_current_task()`: the address of the current `task_struct`, as a number.";
    ProbeReadStr = 45, "probe_read_str", 3, 4 . 11, "`long probe_read_str(dst, size, unsafe_ptr)`: before 5.5; the newer ones say whose memory.";
    PerfEventReadValue = 55, "perf_event_read_value", 4, 4 . 15, "`long perf_event_read_value(map, flags, buf, size)`: value and times.";
    PerfProgReadValue = 56, "perf_prog_read_value", 3, 4 . 15, "`long perf_prog_read_value(ctx, buf, size)`: the sampled counter's value and times.";
    GetStack = 67, "get_stack", 4, 4 . 18, "`long get_stack(ctx, buf, size, flags)`: bytes written, or -errno.";
    GetCurrentCgroupId = 80, "get_current_cgroup_id", 0, 4 . 18, "`u64 get_current_cgroup_id()`: the id in cgroup v2.";
    ProbeReadUser = 112, "probe_read_user", 3, 5 . 5, "`long probe_read_user(dst, size, unsafe_ptr)`: 0, or -EFAULT and zeroes.";
    ProbeReadKernel = 113, "probe_read_kernel", 3, 5 . 5, "`long probe_read_kernel(dst, size, unsafe_ptr)`: 0, or -EFAULT and zeroes.";
    ProbeReadUserStr = 114, "probe_read_user_str", 3, 5 . 5, "`long probe_read_user_str(dst, size, unsafe_ptr)`: bytes with NUL, or -EFAULT.";
    ProbeReadKernelStr = 115, "probe_read_kernel_str", 3, 5 . 5, "`long probe_read_kernel_str(dst, size, unsafe_ptr)`: bytes with NUL, or -EFAULT.";
    Jiffies64 = 118, "jiffies64", 0, 5 . 6, "`u64 jiffies64()`: the tick counter.";
    GetNsCurrentPidTgid = 120, "get_ns_current_pid_tgid", 4, 5 . 7, "`long get_ns_current_pid_tgid(dev, ino, nsdata, size)`: ids as a pid namespace sees them.";
    GetCurrentAncestorCgroupId = 123, "get_current_ancestor_cgroup_id", 1, 5 . 7, "`u64 get_current_ancestor_cgroup_id(level)`: an ancestor's id; 0 is the root.";
    KtimeGetBootNs = 125, "ktime_get_boot_ns", 0, 5 . 8, "`u64 ktime_get_boot_ns()`: CLOCK_BOOTTIME, ns.";
    RingbufOutput = 130, "ringbuf_output", 4, 5 . 8, "`long ringbuf_output(ringbuf, data, size, flags)`: 0, or -errno.";
    RingbufReserve = 131, "ringbuf_reserve", 3, 5 . 8, "`void *ringbuf_reserve(ringbuf, size, flags)`: room for a record, or NULL.";
    RingbufSubmit = 132, "ringbuf_submit", 2, 5 . 8, "`void ringbuf_submit(data, flags)`: makes the record readable.";
    RingbufDiscard = 133, "ringbuf_discard", 2, 5 . 8, "`void ringbuf_discard(data, flags)`: gives the record back.";
    RingbufQuery = 134, "ringbuf_query", 2, 5 . 8, "`u64 ringbuf_query(ringbuf, flags)`: bytes to be read, size, or positions.";
    GetTaskStack = 141, "get_task_stack", 4, 5 . 9, "`long get_task_stack(task, buf, size, flags)`: bytes written, or -errno.";
    DPath = 147, "d_path", 3, 5 . 10, "`long d_path(path, buf, size)`: the whole path's length with NUL, or -errno.";
    CopyFromUser = 148, "copy_from_user", 3, 5 . 10, "`long copy_from_user(dst, size, user_ptr)`: may sleep; 0, or -EFAULT.";
    PerCpuPtr = 153, "per_cpu_ptr", 2, 5 . 10, "`void *per_cpu_ptr(percpu_ptr, cpu)`: that CPU's copy, or NULL.";
    ThisCpuPtr = 154, "this_cpu_ptr", 1, 5 . 10, "`void *this_cpu_ptr(percpu_ptr)`: this CPU's copy.";
    TaskStorageGet = 156, "task_storage_get", 4, 5 . 12, "`void *task_storage_get(map, task, value, flags)`: the task's value, or NULL.";
    TaskStorageDelete = 157, "task_storage_delete", 2, 5 . 12, "`long task_storage_delete(map, task)`: 0, or -ENOENT.";
    GetCurrentTaskBtf = 158, "get_current_task_btf", 0, 5 . 11, "`struct task_struct *get_current_task_btf()`: the current task, typed.";
    ForEachMapElem = 164, "for_each_map_elem", 4, 5 . 13, "`long for_each_map_elem(map, callback, ctx, flags)`: elements seen, or -errno.";
    GetFuncIp = 173, "get_func_ip", 1, 5 . 15, "`u64 get_func_ip(ctx)`: the traced function's address.";
    GetAttachCookie = 174, "get_attach_cookie", 1, 5 . 15, "`u64 get_attach_cookie(ctx)`: the number given when attaching.";
    TaskPtRegs = 175, "task_pt_regs", 1, 5 . 15, "`long task_pt_regs(task)`: the address of the task's user registers.";
    Loop = 181, "loop", 4, 5 . 17, "`long loop(iterations, callback, ctx, flags)`: iterations done, or -errno.";
    Strncmp = 182, "strncmp", 3, 5 . 17, "`long strncmp(s1, s1_size, s2)`: s2 in read-only memory; below, equal to or above 0.";
    GetFuncArg = 183, "get_func_arg", 3, 5 . 17, "`long get_func_arg(ctx, n, value)`: 0, or -EINVAL.";
    GetFuncRet = 184, "get_func_ret", 2, 5 . 17, "`long get_func_ret(ctx, value)`: 0, or -EOPNOTSUPP.";
    GetFuncArgCnt = 185, "get_func_arg_cnt", 1, 5 . 17, "`long get_func_arg_cnt(ctx)`: the number of arguments.";
    MapLookupPercpuElem = 195, "map_lookup_percpu_elem", 3, 5 . 19, "`void *map_lookup_percpu_elem(map, key, cpu)`: that CPU's value, or NULL.";
    KtimeGetTaiNs = 208, "ktime_get_tai_ns", 0, 6 . 1, "`u64 ktime_get_tai_ns()`: CLOCK_TAI, ns.";
}
