//! Where settings come from, and which of several values wins.
//!
//! Default < file < environment < flag < changed while running; within one kind of source the later value wins, as in
//! Java's properties. Names and values are checked as they are given, so an error names its place.

use crate::broker_rows::BROKER_SETTINGS;
use crate::error::{ConfigError, InvalidValue};
use crate::setting::Setting;
use crate::settings::{Settings, Unused};
use crate::suggest::nearest;
use crate::topic_rows::TOPIC_SETTINGS;
use crate::unused::UNUSED_BROKER_SETTINGS;
use crate::value::Value;
use crate::{properties, toml_file};
use core::fmt;
use std::collections::BTreeMap;
use std::sync::Arc;

/// The place a value was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origin {
    /// Nobody set it.
    Default,
    /// A settings file.
    File {
        /// The file as it was named.
        path: Arc<str>,
        /// The line, from 1.
        line: usize,
    },
    /// A variable of the environment.
    Environment {
        /// Its name.
        name: Arc<str>,
    },
    /// The command line.
    Flag {
        /// The flag, as `-X` or `--data-dir`.
        flag: Arc<str>,
    },
    /// A client, for all brokers while they run.
    AllBrokers,
    /// A client, for this broker while it runs.
    ThisBroker,
}

impl Origin {
    fn rank(&self) -> u8 {
        match self {
            Self::Default => 0,
            Self::File { .. } => 1,
            Self::Environment { .. } => 2,
            Self::Flag { .. } => 3,
            Self::AllBrokers => 4,
            Self::ThisBroker => 5,
        }
    }

    /// Whether a value from here wins against one from `other`, all else being equal.
    pub(crate) fn is_stronger_than(&self, other: &Self) -> bool {
        self.rank() > other.rank()
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Default => f.write_str("default"),
            Self::File { path, line } => write!(f, "{path}:{line}"),
            Self::Environment { name } => write!(f, "environment {name}"),
            Self::Flag { flag } => f.write_str(flag),
            Self::AllBrokers => f.write_str("changed for all brokers"),
            Self::ThisBroker => f.write_str("changed for this broker"),
        }
    }
}

/// The start of the names of environment variables that are settings.
pub(crate) const ENVIRONMENT_PREFIX: &str = "ODRADEK__";

/// Collects the settings of one start.
#[derive(Clone, Debug, Default)]
pub struct Sources {
    values: BTreeMap<&'static str, (Value, Origin)>,
    unused: Vec<Unused>,
}

impl Sources {
    /// Nothing set yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes a settings file: Kafka's `server.properties` form if the name ends so, else TOML.
    pub fn file(&mut self, path: &str, text: &str) -> Result<(), ConfigError> {
        let is_properties = path
            .rsplit_once('.')
            .is_some_and(|(_, extension)| extension.eq_ignore_ascii_case("properties"));
        if is_properties {
            self.properties(path, text)
        } else {
            self.toml(path, text)
        }
    }

    /// Takes a TOML file with quoted keys, as `"log.retention.ms" = 1`.
    pub fn toml(&mut self, path: &str, text: &str) -> Result<(), ConfigError> {
        for entry in toml_file::read(path, text)? {
            self.set(&entry.key, &entry.value, entry.origin)?;
        }
        Ok(())
    }

    /// Takes a file in the form of Java's properties.
    pub fn properties(&mut self, path: &str, text: &str) -> Result<(), ConfigError> {
        for entry in properties::read(path, text)? {
            self.set(&entry.key, &entry.value, entry.origin)?;
        }
        Ok(())
    }

    /// Takes the variables that start with `ODRADEK__`; the rest is the setting's name in any
    /// case with `_` for `.`.
    pub fn environment<'a>(
        &mut self,
        variables: impl IntoIterator<Item = (&'a str, &'a str)>,
    ) -> Result<(), ConfigError> {
        for (name, value) in variables {
            let Some(rest) = name.strip_prefix(ENVIRONMENT_PREFIX) else {
                continue;
            };
            // No setting has a `_` in its name, so this loses nothing.
            let key = rest.replace('_', ".").to_ascii_lowercase();
            self.set(&key, value, Origin::Environment { name: name.into() })?;
        }
        Ok(())
    }

    /// Takes `KEY=VALUE`, as given to `-X`.
    pub fn assignment(&mut self, text: &str) -> Result<(), ConfigError> {
        let origin = Origin::Flag { flag: "-X".into() };
        match text.split_once('=') {
            Some((key, value)) => self.set(key.trim(), value, origin),
            None => Err(ConfigError::NoAssignment {
                text: text.to_owned(),
                origin,
            }),
        }
    }

    /// Takes the value of a flag that stands for a setting, as `--data-dir`.
    pub fn flag(&mut self, flag: &str, key: &str, value: &str) -> Result<(), ConfigError> {
        self.set(key, value, Origin::Flag { flag: flag.into() })
    }

    /// What holds after all sources were taken.
    pub fn resolve(self) -> Settings {
        Settings::new(self.values, self.unused)
    }

    fn set(&mut self, key: &str, text: &str, origin: Origin) -> Result<(), ConfigError> {
        let Some(row) = BROKER_SETTINGS.iter().find(|row| row.key == key) else {
            return self.set_unused(key, origin);
        };
        let value = row
            .parse(text)
            .map_err(|reason| invalid(row, text, &origin, reason))?;
        let weaker = self
            .values
            .get(row.key)
            .is_some_and(|(_, standing)| standing.is_stronger_than(&origin));
        if !weaker {
            self.values.insert(row.key, (value, origin));
        }
        Ok(())
    }

    fn set_unused(&mut self, key: &str, origin: Origin) -> Result<(), ConfigError> {
        let known = UNUSED_BROKER_SETTINGS.iter().find(|name| **name == key);
        let Some(key) = known.copied() else {
            return Err(ConfigError::Unknown {
                key: key.to_owned(),
                origin,
                suggestion: suggestion(key),
            });
        };
        self.unused.retain(|unused| unused.key != key);
        self.unused.push(Unused { key, origin });
        Ok(())
    }
}

pub(crate) fn invalid(
    row: &Setting,
    text: &str,
    origin: &Origin,
    reason: InvalidValue,
) -> ConfigError {
    ConfigError::Invalid {
        key: row.key,
        value: text.to_owned(),
        origin: origin.clone(),
        reason,
    }
}

/// A topic's setting given to a broker means the broker setting that it defaults from.
fn suggestion(key: &str) -> Option<&'static str> {
    let topics = TOPIC_SETTINGS.iter().find(|row| row.key == key);
    if let Some(synonym) = topics.and_then(|row| row.synonyms.first()) {
        return Some(synonym);
    }
    let names = BROKER_SETTINGS.iter().map(|row| row.key);
    nearest(key, names.chain(UNUSED_BROKER_SETTINGS.iter().copied()))
}

#[cfg(test)]
mod tests;
