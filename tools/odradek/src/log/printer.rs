//! Items on stdout as they are found, and a count of what is damaged.

use super::item::Item;
use crate::cli::Format;
use crate::failure::{Failure, Kind};
use crate::output::{Tree, yaml_item};
use std::io::{self, BufWriter, StdoutLock, Write};
use std::path::Path;

/// Prints items in a format.
pub struct Printer {
    out: BufWriter<StdoutLock<'static>>,
    format: Format,
    is_first: bool,
    damage_count: u64,
}

impl Printer {
    /// Errors: `Usage` for a format that has no place for items of many kinds.
    pub fn new(format: Format) -> Result<Self, Failure> {
        if matches!(format, Format::Csv | Format::Name) {
            let what = "a dump has lines of many kinds: table, json or yaml";
            return Err(Failure::new(Kind::Usage, what));
        }
        let mut out = BufWriter::new(io::stdout().lock());
        match format {
            Format::Json => write!(out, "{{\"items\": [")?,
            Format::Yaml => writeln!(out, "items:")?,
            _ => {}
        }
        Ok(Self {
            out,
            format,
            is_first: true,
            damage_count: 0,
        })
    }

    /// Prints one item.
    pub fn item(&mut self, item: &Item) -> Result<(), Failure> {
        if matches!(item, Item::Damage { .. }) {
            self.damage_count = self.damage_count.saturating_add(1);
        }
        match self.format {
            Format::Json => {
                let json = serde_json::to_string(item).map_err(|error| {
                    Failure::new(Kind::Failed, format!("cannot write JSON: {error}"))
                })?;
                let separator = if self.is_first { "" } else { "," };
                write!(self.out, "{separator}\n  {json}")?;
            }
            Format::Yaml => self.out.write_all(yaml_item(&Tree::of(item)?).as_bytes())?,
            _ => {
                let indent = item.depth() * 2;
                writeln!(self.out, "{:indent$}{}", "", item.text())?;
            }
        }
        self.is_first = false;
        Ok(())
    }

    /// Tells damage.
    pub fn damage(
        &mut self,
        path: &Path,
        position: u64,
        what: impl std::fmt::Display,
    ) -> Result<(), Failure> {
        self.item(&Item::Damage {
            file: path.display().to_string(),
            position,
            what: what.to_string(),
        })
    }

    /// Ends the output; how many places are damaged.
    pub fn finish(mut self) -> Result<u64, Failure> {
        if self.format == Format::Json {
            let end = if self.is_first { "]}" } else { "\n]}" };
            writeln!(self.out, "{end}")?;
        }
        self.out.flush()?;
        Ok(self.damage_count)
    }
}
