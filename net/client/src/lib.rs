//! A Kafka client: a core without I/O and a driver on the runtime.
