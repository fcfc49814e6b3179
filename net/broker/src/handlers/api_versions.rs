//! ApiVersions: what is spoken here. Answers every version, known or not.
//!
//! Source: KIP-35, KIP-511, KIP-584.

use engine_model::ErrorCode;
use net_protocol::Text;
use net_protocol::api_versions::{
    ApiVersionsRequest, ApiVersionsResponse, FinalizedFeatureKey, SupportedFeatureKey,
};

use crate::features::{self, Feature};

/// From this version on the request names the client's software.
const SOFTWARE_FROM: i16 = 3;
/// From this version on a supported feature may start at level 0; older clients choke on it.
const LEVEL_ZERO_FROM: i16 = 4;

/// Answers a request of a known version. `epoch` is the metadata offset the features are as of.
pub(crate) fn api_versions(
    version: i16,
    request: &ApiVersionsRequest,
    epoch: i64,
) -> ApiVersionsResponse {
    if version >= SOFTWARE_FROM && !request.is_valid() {
        return ApiVersionsResponse {
            error_code: ErrorCode::INVALID_REQUEST,
            ..ApiVersionsResponse::default()
        };
    }
    ApiVersionsResponse {
        supported_features: features::SUPPORTED
            .iter()
            .filter(|feature| version >= LEVEL_ZERO_FROM || feature.min > 0)
            .map(|feature| SupportedFeatureKey {
                name: Text::from_static(feature.name),
                min_version: feature.min,
                max_version: feature.max,
            })
            .collect(),
        finalized_features_epoch: epoch,
        finalized_features: features::FINALIZED.iter().map(finalized).collect(),
        ..ApiVersionsResponse::advertise()
    }
}

fn finalized(feature: &Feature) -> FinalizedFeatureKey {
    FinalizedFeatureKey {
        name: Text::from_static(feature.name),
        max_version_level: feature.max,
        min_version_level: feature.max,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use net_protocol::ApiKey;

    fn request(name: &str, version: &str) -> ApiVersionsRequest {
        ApiVersionsRequest {
            client_software_name: name.into(),
            client_software_version: version.into(),
        }
    }

    #[test]
    fn a_bad_software_name_is_an_invalid_request_from_version_3_on() {
        for (version, name, software, expected) in [
            (2, "", "", ErrorCode::NONE),
            (3, "", "1", ErrorCode::INVALID_REQUEST),
            (3, "kcat", "1.7.1", ErrorCode::NONE),
            (4, "kcat ", "1.7.1", ErrorCode::INVALID_REQUEST),
            (4, "kcat", "-", ErrorCode::INVALID_REQUEST),
        ] {
            let answer = api_versions(version, &request(name, software), 5);
            assert_eq!(
                answer.error_code, expected,
                "{version} {name:?} {software:?}"
            );
            assert_eq!(answer.api_keys.is_empty(), expected.is_error());
        }
    }

    #[test]
    fn produce_is_advertised_from_0_and_features_have_an_epoch() {
        let answer = api_versions(4, &request("a", "1"), 5);
        let produce = answer.api_keys.iter().find(|api| api.api_key == 0).unwrap();
        assert_eq!((produce.min_version, produce.max_version), (0, 13));
        assert_eq!(answer.api_keys.len(), ApiKey::ALL.len());
        assert_eq!(answer.finalized_features_epoch, 5);
    }

    #[test]
    fn nothing_that_would_change_how_clients_behave_is_finalized() {
        let answer = api_versions(4, &request("a", "1"), 5);
        for name in ["transaction.version", "group.version"] {
            assert!(
                !answer
                    .finalized_features
                    .iter()
                    .any(|feature| &*feature.name == name)
            );
        }
    }

    #[test]
    fn levels_from_zero_are_hidden_from_clients_that_choke_on_them() {
        let answer = api_versions(3, &request("a", "1"), 5);
        assert!(
            answer
                .supported_features
                .iter()
                .all(|feature| feature.min_version > 0)
        );
    }
}
