//! One test per behaviour and client, so that a failure names both.

/// Makes a test of every function named, once for each kind of client program.
#[macro_export]
macro_rules! with_every_client {
    ($($behaviour:ident),* $(,)?) => {
        mod confluent { $( #[test] fn $behaviour() { super::$behaviour($crate::Kind::Confluent); } )* }
        mod kafka_python { $( #[test] fn $behaviour() { super::$behaviour($crate::Kind::KafkaPython); } )* }
        mod franz_go { $( #[test] fn $behaviour() { super::$behaviour($crate::Kind::FranzGo); } )* }
        mod java { $( #[test] fn $behaviour() { super::$behaviour($crate::Kind::Java); } )* }
    };
}
