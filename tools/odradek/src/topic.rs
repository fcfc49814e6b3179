//! `odradek topic`: one file a verb.

mod create;
mod delete;
mod describe;
mod list;

use crate::cli::{Global, TopicVerb};
use crate::driver::Driver;
use crate::failure::{Failure, Kind};
use crate::properties::ClientProperties;
use net_client::{Target, TopicResult};
use net_protocol::Text;

/// Runs a verb.
pub fn run(global: &Global, verb: &TopicVerb) -> Result<(), Failure> {
    let properties = ClientProperties::parse(&global.properties)?;
    let mut driver = Driver::new(global, &properties);
    match verb {
        TopicVerb::List(arguments) => list::run(&mut driver, global, arguments),
        TopicVerb::Describe(arguments) => describe::run(&mut driver, global, arguments),
        TopicVerb::Create(arguments) => create::run(&mut driver, global, arguments),
        TopicVerb::Delete(arguments) => delete::run(&mut driver, global, arguments),
    }
}

/// Learns which broker is the controller and how to reach it, and asks about no topic.
fn learn_cluster(driver: &mut Driver) -> Result<(), Failure> {
    driver.call(Target::Any, net_client::describe_topics([]))?;
    Ok(())
}

/// Settings as `-c` takes them.
///
/// Errors: `Usage` for what is no assignment.
pub fn configs(assignments: &[String]) -> Result<Vec<(Text, Text)>, Failure> {
    let config = |assignment: &String| {
        let parts = assignment.split_once('=');
        let (key, value) = parts.ok_or_else(|| {
            let what = format!("-c: {assignment:?} is no assignment");
            Failure::new(Kind::Usage, what).hint("write -c KEY=VALUE")
        })?;
        Ok((Text::from(key.trim()), Text::from(value)))
    };
    assignments.iter().map(config).collect()
}

fn texts(names: &[String]) -> Vec<Text> {
    names.iter().map(|name| Text::from(name.as_str())).collect()
}

/// The first failure among results; every other one goes to stderr.
fn first_failure(
    verb: &str,
    results: &[TopicResult],
    is_fine: impl Fn(&TopicResult) -> bool,
) -> Result<(), Failure> {
    let mut failures = results
        .iter()
        .filter(|result| result.error.is_error() && !is_fine(result))
        .map(|result| {
            let what = format!("cannot {verb} topic '{}'", result.name.escape_debug());
            Failure::broker(what, result.error, result.message.as_deref())
        });
    let Some(first) = failures.next() else {
        return Ok(());
    };
    for failure in failures {
        failure.print();
    }
    Err(first)
}

/// The failure of a topic that is not there.
fn not_found(name: &str) -> Failure {
    let what = format!("there is no topic '{}'", name.escape_debug());
    Failure::new(Kind::NotFound, what).hint("`odradek topic list` shows those there are")
}
