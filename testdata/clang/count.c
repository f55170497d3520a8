/* One group: each CPU's own. */
#include "count-by-cpu.c"
