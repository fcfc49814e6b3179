//! Request handlers of the broker.
