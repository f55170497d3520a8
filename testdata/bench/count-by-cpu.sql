-- row: 7
-- title: count by cpu
-- load: getpgid 0 300000
-- hooks: raw_syscalls/sys_enter
-- at most: 0.6
select cpu, count(*) from tracepoint.raw_syscalls.sys_enter group by cpu
