/* A program that does nothing, on each of the hooks that -D names: what the others are net of. */
#include "bench.h"

SEC(ENTER)
int enter(void *ctx)
{
	return 0;
}

#ifdef EXIT
SEC(EXIT)
int leave(void *ctx)
{
	return 0;
}
#endif
