-- row: 9
-- title: count, raw_syscalls sys_enter
-- load: getpgid 0 300000
-- hooks: raw_syscalls/sys_enter
select count(*) from tracepoint.raw_syscalls.sys_enter
