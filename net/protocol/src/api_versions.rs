//! ApiVersions: which APIs, versions and features are spoken.
//!
//! Tables only. Source: Kafka 4.3.1's message tables; KIP-35, KIP-511, KIP-584 (features),
//! KIP-1022.

use crate::api::ApiKey;
use crate::text::Text;
use engine_model::ErrorCode;

const KEY: ApiKey = ApiKey::ApiVersions;

message! {
    /// Asks what is spoken.
    request ApiVersionsRequest -> ApiVersionsResponse {
        /// Name of the client library.
        client_software_name: Text [3+] ignorable;
        /// Its version.
        client_software_version: Text [3+] ignorable;
    }
}

message! {
    /// What is spoken.
    response ApiVersionsResponse {
        /// What went wrong, or `NONE`.
        error_code: ErrorCode [0+];
        /// One entry an API.
        api_keys: Vec<ApiVersion> [0+];
        /// How long the client was throttled, in milliseconds.
        throttle_time_ms: i32 [1+] ignorable;
        /// Features this broker can do.
        supported_features: Vec<SupportedFeatureKey> [3+, tag 0] ignorable;
        /// Epoch of the finalized features, -1 if unknown.
        finalized_features_epoch: i64 [3+, tag 1] ignorable = -1;
        /// Features the cluster has agreed on.
        finalized_features: Vec<FinalizedFeatureKey> [3+, tag 2] ignorable;
        /// Of the way out of ZooKeeper; false.
        zk_migration_ready: bool [3+, tag 3] ignorable;
    }
}

message! {
    /// The versions of one API.
    struct ApiVersion {
        /// Number of the API.
        api_key: i16 [0+];
        /// Lowest version or level.
        min_version: i16 [0+];
        /// Highest version or level.
        max_version: i16 [0+];
    }
}

message! {
    /// The levels of a feature this broker can do.
    struct SupportedFeatureKey {
        /// Its name.
        name: Text [3+];
        /// Lowest version or level.
        min_version: i16 [3+];
        /// Highest version or level.
        max_version: i16 [3+];
    }
}

message! {
    /// The levels of a feature the cluster has agreed on.
    struct FinalizedFeatureKey {
        /// Its name.
        name: Text [3+];
        /// Highest level agreed on.
        max_version_level: i16 [3+];
        /// Lowest level agreed on.
        min_version_level: i16 [3+];
    }
}

impl ApiVersion {
    /// What is advertised of an API.
    pub fn of(api: ApiKey) -> Self {
        let (min_version, max_version) = api.advertised().into_inner();
        Self {
            api_key: api.code(),
            min_version,
            max_version,
        }
    }
}

impl ApiVersionsResponse {
    /// Every API and its advertised range, without features.
    pub fn advertise() -> Self {
        Self {
            api_keys: ApiKey::ALL.iter().copied().map(ApiVersion::of).collect(),
            ..Self::default()
        }
    }

    /// The answer to a version that is not spoken: to be encoded as version 0, which every client
    /// reads, with our range so that the client can ask again. Source: KIP-511.
    pub fn unsupported_version() -> Self {
        Self {
            error_code: ErrorCode::UNSUPPORTED_VERSION,
            api_keys: vec![ApiVersion::of(KEY)],
            ..Self::default()
        }
    }
}

impl ApiVersionsRequest {
    /// Whether name and version of the client's software are legal; if not the answer is
    /// `INVALID_REQUEST`. Only for version 3 and up, which carry them. Source: KIP-511.
    pub fn is_valid(&self) -> bool {
        [&self.client_software_name, &self.client_software_version]
            .into_iter()
            .all(|text| is_software_text(text))
    }
}

/// `[a-zA-Z0-9](?:[a-zA-Z0-9\-.]*[a-zA-Z0-9])?`
fn is_software_text(text: &str) -> bool {
    let inner = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.');
    let bytes = text.as_bytes();
    bytes.iter().all(inner)
        && bytes.first().is_some_and(u8::is_ascii_alphanumeric)
        && bytes.last().is_some_and(u8::is_ascii_alphanumeric)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Message, Reader, response_frame};
    use bytes::Bytes;

    #[test]
    fn software_names_are_judged_by_kafkas_pattern() {
        for (text, legal) in [
            ("a", true),
            ("apache-kafka-java", true),
            ("4.3.1", true),
            ("a--b..c", true),
            ("", false),
            ("-a", false),
            ("a-", false),
            (".", false),
            ("a b", false),
            ("a_b", false),
            ("\u{e9}", false),
        ] {
            assert_eq!(is_software_text(text), legal, "{text:?}");
        }
    }

    #[test]
    fn an_unknown_version_is_answered_in_version_0_with_a_fixed_header() {
        let frame = response_frame(0, 7, &ApiVersionsResponse::unsupported_version()).unwrap();
        // Size, correlation id, error 35, one entry: key 18, versions 0 to 4.
        let expected = b"\0\0\0\x10\0\0\0\x07\0\x23\0\0\0\x01\0\x12\0\0\0\x04";
        assert_eq!(frame.concat(), expected);
    }

    #[test]
    fn the_response_header_stays_fixed_in_flexible_versions() {
        let frame = response_frame(4, 7, &ApiVersionsResponse::advertise()).unwrap();
        let mut reader = Reader::new(Bytes::from(frame.concat()).slice(8..));
        let response = ApiVersionsResponse::decode(4, &mut reader).unwrap();
        assert_eq!(reader.left(), 0);
        assert_eq!(response, ApiVersionsResponse::advertise());
    }
}
