#include "read-latency.best.c"
