/* A system call is its enter and its exit. */
#include "read-latency.c"
