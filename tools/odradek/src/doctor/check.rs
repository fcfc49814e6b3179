//! One check and what came of it.

use crate::output::Row;
use serde::Serialize;

/// How it stands, the worst last.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Status {
    /// As it should be.
    Ok,
    /// A broker runs, but slower or with a risk.
    Warning,
    /// A broker does not start, or would lose data.
    Problem,
}

impl Status {
    /// Seven letters for the start of a line.
    pub const fn label(self, is_colored: bool) -> &'static str {
        match (self, is_colored) {
            (Self::Ok, false) => "ok     ",
            (Self::Warning, false) => "warning",
            (Self::Problem, false) => "PROBLEM",
            (Self::Ok, true) => "\x1b[32mok     \x1b[0m",
            (Self::Warning, true) => "\x1b[33mwarning\x1b[0m",
            (Self::Problem, true) => "\x1b[1;31mPROBLEM\x1b[0m",
        }
    }
}

/// One check.
#[derive(Clone, Debug, Serialize)]
#[allow(
    clippy::struct_field_names,
    reason = "the names are those of the output, where an item is no struct"
)]
pub struct Check {
    /// What was looked at; scripts rely on the name.
    pub check: &'static str,
    /// How it stands.
    pub status: Status,
    /// What was found.
    pub measured: String,
    /// Why it matters.
    pub why: &'static str,
    /// What to paste where it is not well.
    pub fix: Option<String>,
}

impl Check {
    /// All is well, until something else is said.
    pub fn ok(check: &'static str, why: &'static str, measured: impl std::fmt::Display) -> Self {
        Self {
            check,
            status: Status::Ok,
            measured: measured.to_string(),
            why,
            fix: None,
        }
    }

    /// The same, not well, and what to do about it.
    #[must_use]
    pub fn but(self, status: Status, fix: impl std::fmt::Display) -> Self {
        Self {
            status,
            fix: Some(fix.to_string()),
            ..self
        }
    }
}

impl Row for Check {
    const COLUMNS: &'static [&'static str] = &["CHECK", "STATUS", "MEASURED", "FIX"];

    fn cells(&self) -> Vec<String> {
        vec![
            self.check.to_owned(),
            self.status.label(false).trim_end().to_owned(),
            self.measured.clone(),
            self.fix.clone().unwrap_or_default(),
        ]
    }

    fn name(&self) -> String {
        self.check.to_owned()
    }
}
