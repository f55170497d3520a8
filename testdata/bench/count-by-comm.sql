-- row: 1
-- title: count by comm, raw_syscalls sys_enter
-- load: getpgid 0 300000
-- hooks: raw_syscalls/sys_enter
-- at most: 0.95
-- added at most: 0.80
select comm, count(*) from tracepoint.raw_syscalls.sys_enter group by comm
