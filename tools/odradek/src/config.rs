//! `odradek config`: one file a verb.

mod alter;
mod explain;
mod remote;
mod show;

pub use alter::{alter, changes};
pub use remote::{Resource, describe};

use crate::cli::{ConfigVerb, Global};
use crate::failure::{Failure, Kind};
use engine_config::{BROKER_SETTINGS, Setting, TOPIC_SETTINGS, UNUSED_BROKER_SETTINGS};

/// Runs a verb.
pub fn run(global: &Global, verb: &ConfigVerb) -> Result<(), Failure> {
    match verb {
        ConfigVerb::Show(arguments) => show::run(global, arguments),
        ConfigVerb::Set(arguments) => alter::set(global, arguments),
        ConfigVerb::Unset(arguments) => alter::unset(global, arguments),
        ConfigVerb::Explain(arguments) => explain::run(global, arguments),
    }
}

/// Every row of the table under this name: a topic's, a broker's, or both.
fn rows(key: &str) -> Vec<&'static Setting> {
    let all = TOPIC_SETTINGS.iter().chain(BROKER_SETTINGS);
    all.filter(|setting| setting.key == key).collect()
}

/// The failure of a setting that is not there, with what was perhaps meant.
fn unknown(key: &str) -> Failure {
    let what = format!("there is no setting {key:?}");
    let failure = Failure::new(Kind::NotFound, what);
    if UNUSED_BROKER_SETTINGS.contains(&key) {
        return failure
            .hint("Kafka has it; here it is accepted in a settings file and has no effect");
    }
    let all = TOPIC_SETTINGS.iter().chain(BROKER_SETTINGS);
    match engine_config::nearest(key, all.map(|setting| setting.key)) {
        Some(near) => failure.hint(format!("did you mean {near:?}?")),
        None => failure.hint("`odradek config show` lists the settings of a broker"),
    }
}
