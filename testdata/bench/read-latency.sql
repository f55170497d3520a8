-- row: 3
-- title: enter and exit of read joined by tid, log2 histogram by comm
-- load: read 0 300000
-- hooks: syscalls/sys_enter_read syscalls/sys_exit_read
-- at most: 0.45
select x.comm, hist(x.ts - e.ts)
from tracepoint.syscalls.sys_enter_read e join tracepoint.syscalls.sys_exit_read x on e.tid = x.tid
group by x.comm
