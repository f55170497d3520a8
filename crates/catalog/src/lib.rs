//! Probes as relations: columns, SQL types, access paths; the snapshot as a value.
