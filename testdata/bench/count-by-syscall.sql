-- row: 8
-- title: count by syscall number
-- load: getpgid 0 300000
-- hooks: raw_syscalls/sys_enter
-- at most: 0.6
select id, count(*) from tracepoint.raw_syscalls.sys_enter group by id
