//! One hit of a probe.

/// What the program sees of the world at the moment that it runs.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Event {
    /// The context's bytes, as the program type lays them out.
    pub context: Vec<u8>,
    /// CLOCK_MONOTONIC, ns.
    pub ktime_ns: u64,
    /// Thread group id, initial pid namespace.
    pub pid: u32,
    /// Thread id.
    pub tid: u32,
    /// User id.
    pub uid: u32,
    /// Group id.
    pub gid: u32,
    /// The task's name, NUL-padded.
    pub comm: [u8; 16],
    /// The CPU that runs the program.
    pub cpu: u32,
    /// The cgroup v2 id.
    pub cgroup_id: u64,
    /// The address of the task's `task_struct`; what stands there is in [`super::World::kernel`].
    pub task: u64,
    /// What was given when the program was attached (`bpf_get_attach_cookie`).
    pub cookie: u64,
    /// The traced function's address (`bpf_get_func_ip`).
    pub ip: u64,
}

impl Event {
    /// The same with a task's name, cut to 15 bytes.
    #[must_use]
    pub fn comm(mut self, name: &str) -> Event {
        self.comm = [0; 16];
        for (to, from) in self.comm.iter_mut().take(15).zip(name.bytes()) {
            *to = from;
        }
        self
    }
}
