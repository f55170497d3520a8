//! Rows out: table, json, csv.
