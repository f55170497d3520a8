-- row: 6
-- title: count, sum by comm
-- load: read 0 300000
-- hooks: syscalls/sys_enter_read
-- at most: 1.0
select comm, count(*), sum(count) from tracepoint.syscalls.sys_enter_read group by comm
