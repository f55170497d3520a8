#include "common.h"

struct row {
	char comm[16], name[256];
	u32 pid, ppid;
	u8 nulls;
};
#include "rows.h"

u64 read_faults, text_cut;

/* Whether a dentry's name is this text; -1, and counted, if it is NULL. */
#define name_is(dentry, text) name_is_(dentry, text, sizeof(text))
static __always_inline int name_is_(struct dentry *dentry, const char *text, u32 size)
{
	const unsigned char *from;
	char name[32];

	if (core_faults(&from, &dentry->d_name.name) ||
	    unlikely(bpf_probe_read_kernel_str(name, sizeof(name), from) < 0)) {
		count(&read_faults);
		return -1;
	}
	return !__builtin_memcmp(name, text, size);
}

/* The parent's process id; -1, and counted, if it is NULL. */
static __always_inline s64 parent_id(void)
{
	struct task_struct *parent;
	s32 id;

	if (core_faults(&parent, &((struct task_struct *)bpf_get_current_task())->real_parent) ||
	    core_faults(&id, &parent->tgid)) {
		count(&read_faults);
		return -1;
	}
	return (u32)id;
}

SEC("kprobe/vfs_open")
int program(struct pt_regs *ctx)
{
	const struct path *path = (const void *)ctx->di;
	const unsigned char *from;
	struct dentry *dentry, *parent;
	struct inode *inode;
	struct row *row;
	char comm[16];
	kuid_t owner;
	s64 size, ppid;
	u8 nulls = 0;
	long length;

	/* Where one of these is NULL, the condition is never true. */
	if (core_faults(&dentry, &path->dentry) || core_faults(&inode, &dentry->d_inode))
		goto fault;
	if (!(u32)bpf_get_current_uid_gid()) {
		if (core_faults(&parent, &dentry->d_parent))
			goto fault;
		if (name_is(parent, "etc"))
			return 0;
	}
	if (core_faults(&size, &inode->i_size)) {
		count(&read_faults);
		size = 0;
	}
	if (size <= 4096) {
		if (core_faults(&owner, &inode->i_uid))
			goto fault;
		if (owner.val >= 1000)
			return 0;
	}
	bpf_get_current_comm(comm, sizeof(comm));
	ppid = parent_id();
	if (__builtin_memcmp(comm, "sshd", 5) && ppid != 1 && name_is(dentry, "passwd") != 1)
		return 0;
	row = reserve();
	if (!row)
		return 0;
	row->pid = bpf_get_current_pid_tgid() >> 32;
	__builtin_memcpy(row->comm, comm, sizeof(comm));
	if (ppid < 0)
		nulls |= 1;
	row->ppid = ppid;
	length = -1;
	if (!core_faults(&from, &dentry->d_name.name))
		length = bpf_probe_read_kernel_str(row->name, sizeof(row->name), from);
	if (unlikely(length < 0)) {
		count(&read_faults);
		nulls |= 2;
	} else if (unlikely(length == sizeof(row->name))) {
		count(&text_cut);
	}
	row->nulls = nulls;
	bpf_ringbuf_submit(row, BPF_RB_NO_WAKEUP);
	return 0;
fault:
	count(&read_faults);
	return 0;
}
