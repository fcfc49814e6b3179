//! Which versions a broker speaks, and which of them to use.

use crate::error::ClientError;
use net_protocol::ApiKey;
use net_protocol::api_versions::ApiVersionsResponse;
use std::collections::BTreeMap;

/// What one broker said it speaks.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Versions {
    ranges: BTreeMap<ApiKey, (i16, i16)>,
}

impl Versions {
    /// Takes the ranges out of an answer; APIs that are not spoken here are left out.
    pub fn new(response: &ApiVersionsResponse) -> Self {
        let range = |api: &net_protocol::api_versions::ApiVersion| {
            let key = ApiKey::from_code(api.api_key)?;
            Some((key, (api.min_version, api.max_version)))
        };
        Self {
            ranges: response.api_keys.iter().filter_map(range).collect(),
        }
    }

    /// The highest version that both sides have.
    ///
    /// Errors: `UnknownApi`, `NoCommonVersion`.
    pub fn pick(&self, api: ApiKey) -> Result<i16, ClientError> {
        let (broker_min, broker_max) = self
            .ranges
            .get(&api)
            .copied()
            .ok_or(ClientError::UnknownApi { api })?;
        let (min, max) = api.versions().into_inner();
        let version = max.min(broker_max);
        if version < min.max(broker_min) {
            return Err(ClientError::NoCommonVersion {
                api,
                min,
                max,
                broker_min,
                broker_max,
            });
        }
        Ok(version)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use net_protocol::api_versions::ApiVersion;

    #[test]
    fn the_highest_common_version_is_taken() {
        let pick = |min_version, max_version| {
            Versions::new(&ApiVersionsResponse {
                api_keys: vec![ApiVersion {
                    api_key: 1,
                    min_version,
                    max_version,
                }],
                ..ApiVersionsResponse::default()
            })
            .pick(ApiKey::Fetch)
        };
        for (min, max, expected) in [
            (4, 18, Some(18)),
            (0, 11, Some(11)),
            (10, 30, Some(18)),
            (18, 18, Some(18)),
            (0, 4, Some(4)),
            (0, 3, None),
            (19, 25, None),
            (9, 5, None),
        ] {
            assert_eq!(pick(min, max).ok(), expected, "{min} to {max}");
        }
        assert_eq!(
            Versions::default().pick(ApiKey::Fetch),
            Err(ClientError::UnknownApi { api: ApiKey::Fetch })
        );
    }
}
