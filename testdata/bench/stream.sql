-- row: 2
-- title: stream pid, comm, filename of openat at 50k/s
-- load: openat 50000 25000
-- hooks: syscalls/sys_enter_openat
-- at most: 0.15
select pid, comm, str(filename) from tracepoint.syscalls.sys_enter_openat
