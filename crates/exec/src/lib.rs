//! Raw records and map entries to Arrow record batches.
