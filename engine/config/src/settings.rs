//! The settings of a broker after all sources were read: one value each, with its origin.

use crate::broker_rows::BROKER_SETTINGS;
use crate::setting::Setting;
use crate::sources::Origin;
use crate::value::Value;
use std::collections::BTreeMap;

/// A setting's value and where it came from.
#[derive(Clone, Debug, PartialEq)]
pub struct Resolved {
    /// The row of the table.
    pub setting: &'static Setting,
    /// The value; `None` where nobody set it and the default is null.
    pub value: Option<Value>,
    /// Where the value came from.
    pub origin: Origin,
    /// Values that would hold without it, of weaker places, the strongest first; without the
    /// default.
    pub weaker: Vec<(Value, Origin)>,
}

impl Resolved {
    /// Every value that was given, the one in force first; none where only the default holds.
    pub fn given(&self) -> impl Iterator<Item = (Option<&Value>, &Origin)> {
        let own = (self.origin != Origin::Default).then_some((self.value.as_ref(), &self.origin));
        let weaker = self.weaker.iter().map(|(value, from)| (Some(value), from));
        own.into_iter().chain(weaker)
    }
}

/// A setting of Kafka's that was given and means nothing here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unused {
    /// Its name.
    pub key: &'static str,
    /// Where it was given.
    pub origin: Origin,
}

/// Every broker setting with its value.
#[derive(Clone, Debug, PartialEq)]
pub struct Settings {
    values: BTreeMap<&'static str, Resolved>,
    unused: Vec<Unused>,
}

impl Settings {
    pub(crate) fn new(
        mut given: BTreeMap<&'static str, (Value, Origin)>,
        unused: Vec<Unused>,
    ) -> Self {
        let values = BROKER_SETTINGS
            .iter()
            .map(|setting| {
                let (value, origin) = match given.remove(setting.key) {
                    Some((value, origin)) => (Some(value), origin),
                    // That every default reads is pinned by a test of `value`.
                    None => (
                        setting.default.and_then(|text| setting.parse(text).ok()),
                        Origin::Default,
                    ),
                };
                (
                    setting.key,
                    Resolved {
                        setting,
                        value,
                        origin,
                        weaker: Vec::new(),
                    },
                )
            })
            .collect();
        Self { values, unused }
    }

    /// Puts a value on top of the one that holds. Values come from weaker places before those from
    /// stronger ones.
    pub(crate) fn put(&mut self, setting: &'static Setting, value: Value, origin: Origin) {
        let Some(standing) = self.values.get_mut(setting.key) else {
            return;
        };
        let before = std::mem::replace(&mut standing.origin, origin);
        let held = standing.value.replace(value);
        if let Some(held) = held
            && before != Origin::Default
        {
            standing.weaker.insert(0, (held, before));
        }
    }

    /// Every setting, in order of their names.
    pub fn iter(&self) -> impl Iterator<Item = &Resolved> {
        self.values.values()
    }

    /// One setting; `None` if the table has no such name.
    pub fn get(&self, key: &str) -> Option<&Resolved> {
        self.values.get(key)
    }

    /// What was given and means nothing here.
    pub fn unused(&self) -> &[Unused] {
        &self.unused
    }

    /// The one of several names for the same thing that holds: the one from the strongest source,
    /// and of those the first named. `None` when nobody set any.
    pub(crate) fn strongest(&self, keys: &[&str]) -> Option<&Resolved> {
        let mut best: Option<&Resolved> = None;
        for found in keys.iter().filter_map(|key| self.get(key)) {
            let beats = match best {
                Some(best) => found.origin.is_stronger_than(&best.origin),
                None => found.origin != Origin::Default,
            };
            if beats {
                best = Some(found);
            }
        }
        best
    }

    pub(crate) fn boolean(&self, key: &str) -> bool {
        matches!(self.value(key), Some(Value::Boolean(true)))
    }

    pub(crate) fn number(&self, key: &str) -> i64 {
        match self.value(key) {
            Some(Value::Number(number)) => *number,
            _ => 0,
        }
    }

    pub(crate) fn double(&self, key: &str) -> f64 {
        match self.value(key) {
            Some(Value::Double(number)) => *number,
            _ => 0.0,
        }
    }

    pub(crate) fn text(&self, key: &str) -> Option<&str> {
        match self.value(key) {
            Some(Value::Text(text)) => Some(text),
            _ => None,
        }
    }

    pub(crate) fn list(&self, key: &str) -> &[String] {
        match self.value(key) {
            Some(Value::List(list)) => list,
            _ => &[],
        }
    }

    fn value(&self, key: &str) -> Option<&Value> {
        self.get(key)?.value.as_ref()
    }
}
