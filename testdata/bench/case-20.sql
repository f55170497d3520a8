-- row: 13
-- title: CASE with 20 arms as the key
-- load: getpgid 0 300000
-- hooks: raw_syscalls/sys_enter
-- at most: 1.0
select case id when 0 then 'read' when 1 then 'write' when 2 then 'open' when 3 then 'close' when 4 then 'stat'
       when 5 then 'stat' when 6 then 'stat' when 7 then 'poll' when 8 then 'seek' when 9 then 'memory'
       when 10 then 'memory' when 11 then 'memory' when 12 then 'memory' when 17 then 'read' when 18 then 'write'
       when 19 then 'read' when 20 then 'write' when 202 then 'futex' when 257 then 'open' when 262 then 'stat'
       else 'other' end as kind, count(*)
from tracepoint.raw_syscalls.sys_enter
group by kind
