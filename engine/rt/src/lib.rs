//! How a thread runs: tasks, timers, files, sockets and mailboxes, on io_uring or simulated.
