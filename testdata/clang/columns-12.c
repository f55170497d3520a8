#include "common.h"

struct row {
	u64 ts, elapsed;
	char comm[16], name[256], directory[256];
	u64 inode;
	u32 pid, tid, ppid, uid, gid, cpu;
	u8 nulls;
};
#include "rows.h"

const volatile u64 start_ns;
u64 read_faults, text_cut;

/* A dentry's name; whether it is NULL. */
static __always_inline bool name(char *to, struct dentry *dentry)
{
	const unsigned char *from;
	long length;

	if (core_faults(&from, &dentry->d_name.name))
		goto fault;
	length = bpf_probe_read_kernel_str(to, 256, from);
	if (unlikely(length < 0))
		goto fault;
	if (unlikely(length == 256))
		count(&text_cut);
	return 0;
fault:
	count(&read_faults);
	return 1;
}

SEC("kprobe/vfs_open")
int program(struct pt_regs *ctx)
{
	const struct path *path = (const void *)ctx->di;
	u64 id, ts = bpf_ktime_get_ns();
	struct dentry *dentry, *parent;
	struct task_struct *real_parent;
	struct inode *inode;
	struct row *row = reserve();
	u8 nulls = 0;

	if (!row)
		return 0;
	row->ts = ts;
	row->elapsed = ts - start_ns;
	id = bpf_get_current_pid_tgid();
	row->pid = id >> 32;
	row->tid = id;
	if (core_faults(&real_parent, &((struct task_struct *)bpf_get_current_task())->real_parent) ||
	    core_faults(&row->ppid, &real_parent->tgid)) {
		count(&read_faults);
		nulls |= 1;
	}
	id = bpf_get_current_uid_gid();
	row->uid = id;
	row->gid = id >> 32;
	bpf_get_current_comm(row->comm, sizeof(row->comm));
	row->cpu = bpf_get_smp_processor_id();
	if (core_faults(&dentry, &path->dentry)) {
		count(&read_faults);
		nulls |= 2 | 4 | 8;
		goto submit;
	}
	if (name(row->name, dentry))
		nulls |= 2;
	if (core_faults(&parent, &dentry->d_parent)) {
		count(&read_faults);
		nulls |= 4;
	} else if (name(row->directory, parent)) {
		nulls |= 4;
	}
	if (core_faults(&inode, &dentry->d_inode) || core_faults(&row->inode, &inode->i_ino)) {
		count(&read_faults);
		nulls |= 8;
	}
submit:
	row->nulls = nulls;
	bpf_ringbuf_submit(row, BPF_RB_NO_WAKEUP);
	return 0;
}
