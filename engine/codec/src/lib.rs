//! Byte layouts that Kafka fixed: record batches, records, varints, compression.
