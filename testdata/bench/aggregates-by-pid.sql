-- row: 5
-- title: count, sum, min, max, avg by pid
-- load: read 0 300000
-- hooks: syscalls/sys_enter_read
-- at most: 1.0
select pid, count(*), sum(count), min(count), max(count), avg(count) from tracepoint.syscalls.sys_enter_read group by pid
