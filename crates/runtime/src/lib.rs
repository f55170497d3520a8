//! Load, attach, poll and sweep through libbpf.
