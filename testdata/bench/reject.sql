-- row: 10
-- title: a WHERE that rejects every event (pid = other)
-- load: getpgid 0 300000
-- hooks: raw_syscalls/sys_enter
-- above best at most: 3
select comm, count(*) from tracepoint.raw_syscalls.sys_enter where pid = 4194305 group by comm
