/* loader OBJECT [COMMAND ARGUMENT...]: a libbpf program as small as they are written. Loads and attaches OBJECT, says
 * `attached` on stderr, starts COMMAND, prints the records of the map `events` as text, ends with COMMAND or by SIGINT, and
 * then prints the entries of hash maps, read in batches: the key's bytes and the sum of the CPUs' first numbers. */

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

enum { POLL_MS = 50, BATCH = 4096 };

/* Those of rows/, stream.*.c and columns-12.*.c, told apart by their size. */
struct called {
	uint32_t pid, cpu;
	char comm[16];
};
struct opened {
	uint32_t pid;
	char comm[16], filename[256];
};
struct renamed {
	uint64_t ts;
	uint32_t pid, tid, uid, gid, cpu;
	int32_t olddfd, newdfd;
	uint32_t flags;
	char comm[16], oldname[256], newname[256];
};

static volatile sig_atomic_t ended;

static void end(int signal)
{
	(void)signal;
	ended = 1;
}

static void fail(const char *what)
{
	fprintf(stderr, "error: %s: %s\n", what, strerror(errno));
	exit(1);
}

static int print_record(void *context, void *data, size_t size)
{
	const struct called *c = data;
	const struct opened *o = data;
	const struct renamed *r = data;

	(void)context;
	if (size == sizeof(*c))
		printf("{\"pid\":%u,\"comm\":\"%s\",\"cpu\":%u}\n", c->pid, c->comm, c->cpu);
	else if (size == sizeof(*o))
		printf("%-7u %-16s %s\n", o->pid, o->comm, o->filename);
	else if (size == sizeof(*r))
		printf("%llu %u %u %u %u %u %s %d %s %d %s %u\n", (unsigned long long)r->ts, r->pid, r->tid, r->uid, r->gid,
		       r->cpu, r->comm, r->olddfd, r->oldname, r->newdfd, r->newname, r->flags);
	return 0;
}

static void start_command(char **command)
{
	int child = fork();

	if (child < 0)
		fail("fork");
	if (child == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		execvp(command[0], command);
		_exit(127);
	}
}

static void print_entry(const uint8_t *key, size_t key_size, const uint8_t *value, size_t value_size, int copies)
{
	uint64_t sum = 0;

	for (size_t i = 0; i < key_size; i++)
		printf("%02x", key[i]);
	for (int cpu = 0; cpu < copies; cpu++)
		sum += *(const uint64_t *)(value + (size_t)cpu * value_size);
	printf(" %llu\n", (unsigned long long)sum);
}

static void print_map(const struct bpf_map *map)
{
	bool percpu = bpf_map__type(map) == BPF_MAP_TYPE_PERCPU_HASH;
	int copies = percpu ? libbpf_num_possible_cpus() : 1, error = 0;
	size_t key_size = bpf_map__key_size(map), value_size = (bpf_map__value_size(map) + 7) / 8 * 8;
	size_t stride = percpu ? value_size * (size_t)copies : bpf_map__value_size(map);
	uint8_t *keys = malloc(BATCH * key_size), *values = malloc(BATCH * stride), *in = NULL, out[256];

	if ((!percpu && bpf_map__type(map) != BPF_MAP_TYPE_HASH) || !keys || !values || key_size > sizeof(out))
		return;
	while (!error) {
		uint32_t count = BATCH;
		error = bpf_map_lookup_batch(bpf_map__fd(map), in, out, keys, values, &count, NULL);
		if (error && errno != ENOENT)
			fail(bpf_map__name(map));
		in = out;
		for (uint32_t i = 0; i < count; i++)
			print_entry(keys + i * key_size, key_size, values + i * stride, value_size, copies);
	}
	free(keys);
	free(values);
}

static struct bpf_object *attached(const char *path)
{
	struct bpf_object *object = bpf_object__open_file(path, NULL);
	struct bpf_program *program;

	if (!object || bpf_object__load(object))
		fail(path);
	bpf_object__for_each_program(program, object)
		if (!bpf_program__attach(program))
			fail(bpf_program__name(program));
	return object;
}

int main(int argc, char **argv)
{
	struct sigaction by_signal = {.sa_handler = end};
	struct ring_buffer *ring = NULL;
	struct bpf_object *object;
	struct bpf_map *map;

	if (argc < 2)
		return 2;
	sigaction(SIGINT, &by_signal, NULL);
	sigaction(SIGTERM, &by_signal, NULL);
	sigaction(SIGCHLD, &by_signal, NULL);
	object = attached(argv[1]);
	map = bpf_object__find_map_by_name(object, "events");
	if (map && !(ring = ring_buffer__new(bpf_map__fd(map), print_record, NULL, NULL)))
		fail("the ring buffer");
	fprintf(stderr, "attached\n");
	if (argc > 2)
		start_command(argv + 2);
	while (!ended) {
		if (!ring) {
			poll(NULL, 0, POLL_MS);
			continue;
		}
		ring_buffer__poll(ring, POLL_MS);
		/* Records that woke nobody. */
		ring_buffer__consume(ring);
	}
	bpf_object__for_each_map(map, object)
		print_map(map);
	return 0;
}
