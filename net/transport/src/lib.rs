//! Frames and connections of the Kafka protocol.
