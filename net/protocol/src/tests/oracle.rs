//! Round trips of random messages through another implementation, the crate `kafka-protocol`.

use super::for_each_message;
use super::sample::{Sample, Source};
use crate::{Message, Reader, Writer};
use bytes::{Bytes, BytesMut};
use kafka_protocol::messages as theirs;
use kafka_protocol::protocol::{Decodable, Encodable, Message as _};
use proptest::prelude::*;

fn encode<M: Message>(message: &M, version: i16) -> Bytes {
    let mut writer = Writer::new();
    message.encode(version, &mut writer).unwrap();
    writer.into_bytes()
}

fn check<M: Message + Sample, T: Encodable + Decodable>(version: i16, source: &[u8], known: bool) {
    let ours = M::sample(M::KEY.version(version), &mut Source(source));
    let bytes = encode(&ours, version);
    let mut reader = Reader::new(bytes.clone());
    assert_eq!(M::decode(version, &mut reader).as_ref(), Ok(&ours));
    assert_eq!(reader.left(), 0);
    if known {
        let mut buffer = bytes.clone();
        let their = T::decode(&mut buffer, version).unwrap();
        assert!(buffer.is_empty());
        let mut again = BytesMut::new();
        their.encode(&mut again, version).unwrap();
        assert_eq!(again.freeze(), bytes);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 96, ..ProptestConfig::default() })]

    #[test]
    fn random_messages_of_every_version_make_the_round_trip(
        source in proptest::collection::vec(any::<u8>(), 0..600)
    ) {
        macro_rules! each {
            ($name:ident, $module:ident) => {
                for version in <crate::$module::$name as Message>::VERSIONS {
                    let known = theirs::$name::VERSIONS;
                    let known = (known.min..=known.max).contains(&version);
                    check::<crate::$module::$name, theirs::$name>(version, &source, known);
                }
            };
        }
        for_each_message!(each);
    }
}

/// Versions newer than the other implementation: only Kafka's own bytes vouch for them.
#[test]
fn the_other_implementation_lacks_one_version_only() {
    let mut lacking = Vec::new();
    macro_rules! each {
        ($name:ident, $module:ident) => {
            for version in <crate::$module::$name as Message>::VERSIONS {
                let known = theirs::$name::VERSIONS;
                if !(known.min..=known.max).contains(&version) {
                    lacking.push((stringify!($name), version));
                }
            }
        };
    }
    for_each_message!(each);
    assert_eq!(
        lacking,
        [("ListOffsetsRequest", 11), ("ListOffsetsResponse", 11)]
    );
}
