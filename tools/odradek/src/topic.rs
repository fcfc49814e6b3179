//! `odradek topic`: one file a verb.

mod alter;
mod create;
mod delete;
mod describe;
pub mod find;
mod list;
mod offsets;
mod trim;

use crate::cli::{Global, TopicVerb};
use crate::driver::Driver;
use crate::failure::{Failure, Kind};
use crate::properties::ClientProperties;
use net_client::{Target, TopicResult};
use net_protocol::Text;
use std::io::{self, BufRead, IsTerminal, Write};

/// Runs a verb.
pub fn run(global: &Global, verb: &TopicVerb) -> Result<(), Failure> {
    let properties = ClientProperties::of(global)?;
    let mut driver = Driver::new(global, &properties);
    match verb {
        TopicVerb::List(arguments) => list::run(&mut driver, global, arguments),
        TopicVerb::Describe(arguments) => describe::run(&mut driver, global, arguments),
        TopicVerb::Create(arguments) => create::run(&mut driver, global, arguments),
        TopicVerb::Alter(arguments) => alter::run(&mut driver, global, arguments),
        TopicVerb::Trim(arguments) => trim::run(&mut driver, global, arguments),
        TopicVerb::Offsets(arguments) => offsets::run(&mut driver, global, arguments),
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
pub fn not_found(name: &str) -> Failure {
    let what = format!("there is no topic '{}'", name.escape_debug());
    Failure::new(Kind::NotFound, what).hint("`odradek topic list` shows those there are")
}

/// Asks the person at the terminal before `what` is deleted; without one, `--yes` is needed.
fn confirm(what: &str) -> Result<(), Failure> {
    if !io::stdin().is_terminal() || !io::stderr().is_terminal() {
        let what = "deleting needs a person to ask, or --yes";
        return Err(Failure::new(Kind::Usage, what).hint("--yes deletes without asking"));
    }
    let mut stderr = io::stderr().lock();
    let _ = write!(stderr, "Delete {what}? [y/N] ");
    let _ = stderr.flush();
    let mut answer = String::new();
    let read = io::stdin().lock().read_line(&mut answer);
    if read.is_ok() && matches!(answer.trim(), "y" | "Y" | "yes") {
        return Ok(());
    }
    Err(Failure::new(Kind::Failed, "nothing was deleted"))
}

/// The time a flag names.
fn moment(flag: &str, text: &str) -> Result<engine_model::Timestamp, Failure> {
    let found = crate::time::moment(text, crate::time::now_ms());
    found.map(engine_model::Timestamp).ok_or_else(|| {
        let what = format!("{flag}: {text:?} is no time");
        Failure::new(Kind::Usage, what)
            .hint("write @MILLISECONDS, 2026-01-31T12:00:00Z, or an age as 15m")
    })
}
