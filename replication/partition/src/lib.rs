//! The replica of one partition as a reactor: leadership, in-sync replicas, high watermark.
