//! What one row of the table of settings says.
//!
//! Rows are built by `const` functions so that a table reads as one: name, type and default
//! first, then what narrows them, the meaning last.

/// The type of a setting's value, in Kafka's words.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// `true` or `false`, in any case.
    Boolean,
    /// A number of 16 bits.
    Short,
    /// A number of 32 bits.
    Int,
    /// A number of 64 bits.
    Long,
    /// A floating-point number.
    Double,
    /// Text.
    Text,
    /// Texts, written with commas between them.
    List,
}

impl Kind {
    /// Kafka's name of the type.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Boolean => "BOOLEAN",
            Self::Short => "SHORT",
            Self::Int => "INT",
            Self::Long => "LONG",
            Self::Double => "DOUBLE",
            Self::Text => "STRING",
            Self::List => "LIST",
        }
    }
}

/// What a number counts; decides whether `7d` or `64KiB` may be written for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unit {
    /// Plain numbers and texts.
    None,
    /// Bytes; `64KiB`, `1MB` are understood.
    Bytes,
    /// Milliseconds; `250ms`, `7d` are understood.
    Milliseconds,
    /// Whole minutes.
    Minutes,
    /// Whole hours.
    Hours,
}

/// The values a setting may take, beyond its type.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Allowed {
    /// All of the type.
    Any,
    /// Whole numbers from `min` to `max`, both included.
    Range {
        /// The smallest.
        min: i64,
        /// The largest.
        max: i64,
    },
    /// Whole numbers from `min` to `max`, or -1.
    RangeOrMinusOne {
        /// The smallest but for -1.
        min: i64,
        /// The largest.
        max: i64,
    },
    /// Floating-point numbers from 0 to 1.
    Ratio,
    /// One of these texts.
    OneOf(&'static [&'static str]),
    /// Each element one of these texts.
    ListOf(&'static [&'static str]),
    /// `*`, or a list of `partition:broker`.
    ThrottledReplicas,
}

/// What a setting belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scope {
    /// A broker: given at start.
    Broker,
    /// A topic: given when it is created or altered; defaults come from the broker.
    Topic,
}

/// Whether anything in this release listens to a setting.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Effect {
    /// The setting is obeyed.
    InForce,
    /// The value is checked and kept, but changes nothing yet.
    NotYet,
}

/// When a new value of a setting is taken up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Update {
    /// At the next start.
    AtStart,
    /// While the broker runs.
    WhileRunning,
}

/// One row of the table.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Setting {
    /// The name; Kafka's where Kafka has one.
    pub key: &'static str,
    /// The type of its value.
    pub kind: Kind,
    /// The default as one would write it; `None` is Kafka's null.
    pub default: Option<&'static str>,
    /// What the value may be.
    pub allowed: Allowed,
    /// What a number counts.
    pub unit: Unit,
    /// What it belongs to.
    pub scope: Scope,
    /// Of a topic setting: the broker settings its default comes from, the strongest first.
    pub synonyms: &'static [&'static str],
    /// Whether this release obeys it.
    pub effect: Effect,
    /// When a new value is taken up.
    pub update: Update,
    /// Whether the value must never be shown.
    pub sensitive: bool,
    /// Whether Kafka knows the setting too.
    pub is_kafkas: bool,
    /// What it does.
    pub doc: &'static str,
}

impl Setting {
    /// A topic's setting, obeyed, which can change while the broker runs.
    pub(crate) const fn topic(key: &'static str, kind: Kind, default: &'static str) -> Self {
        Self::row(key, kind, Some(default), Scope::Topic, Update::WhileRunning)
    }

    /// A broker's setting, obeyed from start on.
    pub(crate) const fn broker(
        key: &'static str,
        kind: Kind,
        default: Option<&'static str>,
    ) -> Self {
        Self::row(key, kind, default, Scope::Broker, Update::AtStart)
    }

    const fn row(
        key: &'static str,
        kind: Kind,
        default: Option<&'static str>,
        scope: Scope,
        update: Update,
    ) -> Self {
        Self {
            key,
            kind,
            default,
            allowed: Allowed::Any,
            unit: Unit::None,
            scope,
            synonyms: &[],
            effect: Effect::InForce,
            update,
            sensitive: false,
            is_kafkas: true,
            doc: "",
        }
    }

    pub(crate) const fn bytes(self) -> Self {
        Self {
            unit: Unit::Bytes,
            ..self
        }
    }

    pub(crate) const fn millis(self) -> Self {
        Self {
            unit: Unit::Milliseconds,
            ..self
        }
    }

    pub(crate) const fn minutes(self) -> Self {
        Self {
            unit: Unit::Minutes,
            ..self
        }
    }

    pub(crate) const fn hours(self) -> Self {
        Self {
            unit: Unit::Hours,
            ..self
        }
    }

    pub(crate) const fn at_least(self, min: i64) -> Self {
        self.within(min, i64::MAX)
    }

    pub(crate) const fn within(self, min: i64, max: i64) -> Self {
        Self {
            allowed: Allowed::Range { min, max },
            ..self
        }
    }

    pub(crate) const fn allow(self, allowed: Allowed) -> Self {
        Self { allowed, ..self }
    }

    pub(crate) const fn defaults_to_broker(self, synonyms: &'static [&'static str]) -> Self {
        Self { synonyms, ..self }
    }

    /// Of a broker's setting: clients may change it while the broker runs.
    pub(crate) const fn dynamic(self) -> Self {
        Self {
            update: Update::WhileRunning,
            ..self
        }
    }

    pub(crate) const fn not_yet(self) -> Self {
        Self {
            effect: Effect::NotYet,
            ..self
        }
    }

    pub(crate) const fn ours(self) -> Self {
        Self {
            is_kafkas: false,
            ..self
        }
    }

    pub(crate) const fn doc(self, doc: &'static str) -> Self {
        Self { doc, ..self }
    }
}
