-- row: 11
-- text: 64
-- title: stream of 12 columns, three of them text
-- load: renameat2 50000 25000
-- hooks: syscalls/sys_enter_renameat2
-- at most: 1.0
select ts, pid, tid, uid, gid, cpu, comm, olddfd, str(oldname) as oldname, newdfd, str(newname) as newname, flags
from tracepoint.syscalls.sys_enter_renameat2
