-- row: 12
-- title: GROUP BY of six keys
-- load: getpgid 0 300000
-- hooks: raw_syscalls/sys_enter
-- at most: 1.0
select pid, tid, uid, comm, cpu, id, count(*) from tracepoint.raw_syscalls.sys_enter group by pid, tid, uid, comm, cpu, id
