//! The whole broker in one process under one seed.
