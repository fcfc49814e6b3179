//! What stands in front of every request and every response.
//!
//! Request header 1 (fixed) and 2 (flexible), response header 0 and 1. The response header of
//! ApiVersions is always 0, so that a client that guessed too high a version can read the answer.
//! Source: KIP-511, KIP-482.

use crate::api::{ApiKey, Version};
use crate::error::{DecodeError, EncodeError};
use crate::reader::Reader;
use crate::text::Text;
use crate::value::Nullable;
use crate::writer::Writer;

/// The client id is never compact, whatever the version.
const CLIENT_ID: Version = Version {
    number: 1,
    flexible: false,
};

/// What a request begins with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RequestHeader {
    /// The API's number; one that is spoken here, after `decode`.
    pub api_key: i16,
    /// The version of the body; any, after `decode`: the caller checks it against the API's range.
    pub api_version: i16,
    /// Comes back in the response.
    pub correlation_id: i32,
    /// What the client calls itself.
    pub client_id: Option<Text>,
}

impl RequestHeader {
    /// Reads a header and leaves the reader at the body.
    ///
    /// Errors: `UnknownApi` for a key that is not spoken, whose header version nobody knows; Kafka
    /// closes the connection.
    pub fn decode(reader: &mut Reader) -> Result<Self, DecodeError> {
        let code = reader.i16()?;
        let api = ApiKey::from_code(code).ok_or(DecodeError::UnknownApi { key: code })?;
        let api_version = reader.i16()?;
        let correlation_id = reader.i32()?;
        let client_id = Text::read_nullable(CLIENT_ID, reader)?;
        if api.version(api_version).flexible {
            reader.tagged_fields(|_, _| Ok(false))?;
        }
        Ok(Self {
            api_key: code,
            api_version,
            correlation_id,
            client_id,
        })
    }

    /// Writes the header of a request of `api`.
    pub fn encode(&self, api: ApiKey, writer: &mut Writer) -> Result<(), EncodeError> {
        writer.i16(self.api_key);
        writer.i16(self.api_version);
        writer.i32(self.correlation_id);
        Text::write_nullable(self.client_id.as_ref(), CLIENT_ID, writer)?;
        if api.version(self.api_version).flexible {
            writer.tagged_fields(Vec::new())?;
        }
        Ok(())
    }
}

/// What a response begins with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ResponseHeader {
    /// That of the request.
    pub correlation_id: i32,
}

impl ResponseHeader {
    const fn is_flexible(api: ApiKey, version: i16) -> bool {
        !matches!(api, ApiKey::ApiVersions) && api.version(version).flexible
    }

    /// Reads the header of the response to a request of `api` and `version`.
    pub fn decode(api: ApiKey, version: i16, reader: &mut Reader) -> Result<Self, DecodeError> {
        let correlation_id = reader.i32()?;
        if Self::is_flexible(api, version) {
            reader.tagged_fields(|_, _| Ok(false))?;
        }
        Ok(Self { correlation_id })
    }

    /// Writes the header of the response to a request of `api` and `version`.
    pub fn encode(
        &self,
        api: ApiKey,
        version: i16,
        writer: &mut Writer,
    ) -> Result<(), EncodeError> {
        writer.i32(self.correlation_id);
        if Self::is_flexible(api, version) {
            writer.tagged_fields(Vec::new())?;
        }
        Ok(())
    }
}
