//! The settings of a start: file, environment, flags.

use crate::cli::{Global, StartArguments};
use crate::failure::{Failure, Kind};
use crate::start::banner;
use engine_config::{BrokerConfig, ConfigError, Sources};

/// Reads all sources and checks them together.
///
/// Errors: `Usage`: what is wrong, where it stands, and what was perhaps meant.
pub fn read(global: &Global, arguments: &StartArguments) -> Result<BrokerConfig, Failure> {
    let mut sources = Sources::new();
    if let Some(path) = &arguments.config {
        let text = std::fs::read_to_string(path).map_err(|error| {
            let what = format!("cannot read the settings file {}: {error}", path.display());
            Failure::new(Kind::Usage, what)
        })?;
        sources
            .file(&path.to_string_lossy(), &text)
            .map_err(|error| usage(&error))?;
    }
    let variables: Vec<(String, String)> = std::env::vars_os()
        .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
        .collect();
    let pairs = variables
        .iter()
        .map(|(name, value)| (name.as_str(), value.as_str()));
    sources.environment(pairs).map_err(|error| usage(&error))?;
    for assignment in &global.properties {
        sources
            .assignment(assignment)
            .map_err(|error| usage(&error))?;
    }
    flags(&mut sources, arguments).map_err(|error| usage(&error))?;
    let settings = sources.resolve();
    let unused: Vec<&str> = settings.unused().iter().map(|unused| unused.key).collect();
    if !unused.is_empty() {
        let text = format!("warning: of no effect here: {}", unused.join(", "));
        banner::say(global.quiet, &text);
    }
    BrokerConfig::new(settings).map_err(|error| usage(&error))
}

fn flags(sources: &mut Sources, arguments: &StartArguments) -> Result<(), ConfigError> {
    if let Some(path) = &arguments.data_dir {
        sources.flag("--data-dir", "data.dir", &path.to_string_lossy())?;
    }
    if let Some(listen) = &arguments.listen {
        sources.flag("--listen", "listeners", listen)?;
    }
    if let Some(shards) = arguments.shards {
        sources.flag("--shards", "shards", &shards.to_string())?;
    }
    if let Some(durability) = &arguments.durability {
        sources.flag("--durability", "durability", durability)?;
    }
    Ok(())
}

fn usage(error: &ConfigError) -> Failure {
    let failure = Failure::new(Kind::Usage, error);
    match error {
        ConfigError::NoAssignment { .. } => failure,
        _ => failure.hint("`odradek start --help` shows the flags; settings have Kafka's names"),
    }
}
