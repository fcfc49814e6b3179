//! Kafka's requests and responses as declarative tables.
