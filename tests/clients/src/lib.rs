//! Real Kafka clients against the real binary.
