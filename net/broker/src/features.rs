//! The feature levels this broker names in ApiVersions.
//!
//! Kafka's names and numbers. A feature that changes what clients do (`transaction.version`,
//! `group.version`) stays away until the thing itself is there. Source: KIP-584, KIP-1022.

/// A feature and its levels.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Feature {
    pub(crate) name: &'static str,
    pub(crate) min: i16,
    pub(crate) max: i16,
}

/// Kafka 4.3's `metadata.version`, 4.3-IV0; 7 (3.3-IV3) is the lowest any 4.x broker names.
const METADATA_VERSION: Feature = Feature {
    name: "metadata.version",
    min: 7,
    max: 30,
};

/// What this broker can do.
pub(crate) const SUPPORTED: &[Feature] = &[METADATA_VERSION];

/// What the cluster has agreed on, at `max`.
pub(crate) const FINALIZED: &[Feature] = &[METADATA_VERSION];
