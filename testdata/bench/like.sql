-- row: 14
-- title: LIKE 'prefix%' on comm
-- load: getpgid 0 300000
-- hooks: raw_syscalls/sys_enter
-- at most: 1.0
select pid, count(*) from tracepoint.raw_syscalls.sys_enter where comm like 'bea%' group by pid
