//! Read, query and write BTF, .BTF.ext and CO-RE records.
