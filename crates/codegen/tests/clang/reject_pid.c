/* SELECT count(*) FROM raw_syscalls.sys_enter WHERE pid = $1 */
#include "common.h"
const volatile u32 pid = 0;
u64 count;

SEC("tp_btf/sys_enter")
int q(u64 *ctx)
{
	if (bpf_get_current_pid_tgid() >> 32 == pid)
		__sync_fetch_and_add(&count, 1);
	return 0;
}
