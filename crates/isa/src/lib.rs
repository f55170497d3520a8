//! BPF instructions as types: build, encode, decode, print; helper ids.
