//! `odradek config explain`: a row of the table of settings, in words.

use super::{rows, unknown};
use crate::cli::{ExplainArguments, Format, Global};
use crate::failure::Failure;
use crate::output::{self, Row};
use engine_config::{Allowed, Effect, Scope, Setting, Unit, Update};
use serde::Serialize;
use std::io::Write;

#[derive(Serialize)]
struct SettingRow {
    key: &'static str,
    scope: &'static str,
    #[serde(rename = "type")]
    kind: &'static str,
    default: Option<&'static str>,
    allowed: String,
    unit: Option<&'static str>,
    taken_up: &'static str,
    in_force: bool,
    sensitive: bool,
    known_to_kafka: bool,
    default_comes_from: &'static [&'static str],
    doc: &'static str,
}

impl Row for SettingRow {
    const COLUMNS: &'static [&'static str] = &["KEY", "SCOPE", "TYPE", "DEFAULT", "ALLOWED"];

    fn cells(&self) -> Vec<String> {
        vec![
            self.key.to_owned(),
            self.scope.to_owned(),
            self.kind.to_owned(),
            self.default.unwrap_or("null").to_owned(),
            self.allowed.clone(),
        ]
    }

    fn name(&self) -> String {
        self.key.to_owned()
    }
}

/// Runs it.
pub fn run(global: &Global, arguments: &ExplainArguments) -> Result<(), Failure> {
    let mut explained = Vec::new();
    for key in &arguments.keys {
        let found = rows(key);
        if found.is_empty() {
            return Err(unknown(key));
        }
        explained.extend(found.into_iter().map(explain));
    }
    if global.format() != Format::Table {
        return output::print(global.format(), &explained);
    }
    let mut out = std::io::stdout().lock();
    for (place, row) in explained.iter().enumerate() {
        if place > 0 {
            writeln!(out)?;
        }
        out.write_all(page(row).as_bytes())?;
    }
    Ok(())
}

fn explain(setting: &'static Setting) -> SettingRow {
    SettingRow {
        key: setting.key,
        scope: match setting.scope {
            Scope::Broker => "broker",
            Scope::Topic => "topic",
        },
        kind: setting.kind.name(),
        default: setting.default,
        allowed: allowed(setting),
        unit: match setting.unit {
            Unit::None => None,
            Unit::Bytes => Some("bytes"),
            Unit::Milliseconds => Some("milliseconds"),
            Unit::Minutes => Some("minutes"),
            Unit::Hours => Some("hours"),
        },
        taken_up: match setting.update {
            Update::AtStart => "at the next start",
            Update::WhileRunning => "while the broker runs",
        },
        in_force: setting.effect == Effect::InForce,
        sensitive: setting.sensitive,
        known_to_kafka: setting.is_kafkas,
        default_comes_from: setting.synonyms,
        doc: setting.doc,
    }
}

fn allowed(setting: &Setting) -> String {
    let range = |min: i64, max: i64| match (min, max) {
        (i64::MIN, i64::MAX) => "any number".to_owned(),
        (min, i64::MAX) => format!("{min} or more"),
        (min, max) => format!("{min} to {max}"),
    };
    match setting.allowed {
        Allowed::Any => "any".to_owned(),
        Allowed::Range { min, max } => range(min, max),
        Allowed::RangeOrMinusOne { min, max } => format!("{}, or -1", range(min, max)),
        Allowed::Ratio => "0 to 1".to_owned(),
        Allowed::OneOf(words) => format!("one of {}", words.join(", ")),
        Allowed::ListOf(words) => format!("any of {}, with commas between", words.join(", ")),
        Allowed::ThrottledReplicas => "*, or a list of partition:broker".to_owned(),
    }
}

fn page(row: &SettingRow) -> String {
    let mut lines = vec![format!("{} ({} setting)", row.key, row.scope)];
    lines.push(format!("  {}", row.doc));
    let mut field = |name: &str, value: &str| lines.push(format!("  {name:<10} {value}"));
    field("type", &row.kind.to_lowercase());
    field("default", row.default.unwrap_or("null"));
    field("allowed", &row.allowed);
    match row.unit {
        Some("bytes") => field("unit", "bytes; 64KiB and 1MB are understood too"),
        Some("milliseconds") => field("unit", "milliseconds; 250ms and 7d are understood too"),
        Some(unit) => field("unit", unit),
        None => {}
    }
    field("taken up", row.taken_up);
    if !row.default_comes_from.is_empty() {
        let from = format!("the broker's {}", row.default_comes_from.join(", "));
        field("inherits", &from);
    }
    if !row.in_force {
        field(
            "note",
            "checked and kept, but nothing in this release obeys it yet",
        );
    }
    if !row.known_to_kafka {
        field(
            "note",
            "a setting of Odradek's own: Kafka has none of this name",
        );
    }
    lines.push(String::new());
    lines.join("\n")
}
