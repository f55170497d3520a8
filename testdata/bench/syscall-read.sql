-- row: 4
-- title: latency of read by comm, through `syscall.read`
-- load: read 0 300000
-- hooks: syscalls/sys_enter_read syscalls/sys_exit_read
-- at most: 0.45
select comm, hist(latency) from syscall.read group by comm
