#include "read-latency.usual.c"
