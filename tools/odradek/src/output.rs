//! What was asked for, on stdout: as a table, as JSON, YAML or CSV, or as names.
//!
//! Keeps: JSON is `{"items": [...]}`, snake_case, only ever added to; YAML and CSV are the same
//! fields in the same order; nothing else goes to stdout.

mod tree;

pub use tree::{Tree, csv_cells, csv_line, yaml_item};

use crate::cli::{ColorChoice, Format};
use crate::failure::{Failure, Kind};
use serde::Serialize;
use std::io::{self, IsTerminal, Write};
use std::sync::OnceLock;

/// What `--color` said; the answer for `auto` depends on where something is written.
static COLOR: OnceLock<ColorChoice> = OnceLock::new();

/// Remembers what `--color` said. The first call counts.
pub fn set_color(choice: ColorChoice) {
    let _ = COLOR.set(choice);
}

/// Whether what goes to `stream` is coloured: as told, else at a terminal unless `NO_COLOR` is set.
pub fn is_colored(stream: &impl IsTerminal) -> bool {
    match COLOR.get().copied().unwrap_or(ColorChoice::Auto) {
        ColorChoice::Always => true,
        ColorChoice::Never => false,
        ColorChoice::Auto => {
            stream.is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|v| v.is_empty())
        }
    }
}

/// A row of a table that is also an object of JSON.
pub trait Row: Serialize {
    /// Titles of the columns.
    const COLUMNS: &'static [&'static str];
    /// The cells, as many as there are columns.
    fn cells(&self) -> Vec<String>;
    /// What `-o name` prints.
    fn name(&self) -> String;
}

#[derive(Serialize)]
struct Items<'a, T> {
    items: &'a [T],
}

/// Prints rows in a format.
pub fn print<T: Row>(format: Format, rows: &[T]) -> Result<(), Failure> {
    let mut out = io::BufWriter::new(io::stdout().lock());
    match format {
        Format::Json => json(&mut out, rows)?,
        Format::Yaml => yaml(&mut out, rows)?,
        Format::Csv => csv(&mut out, rows)?,
        Format::Name => {
            let mut last = None;
            for row in rows {
                // A topic of several rows is one name.
                let name = row.name();
                if last.as_ref() != Some(&name) {
                    writeln!(out, "{name}")?;
                }
                last = Some(name);
            }
        }
        Format::Table => table(&mut out, rows)?,
    }
    out.flush()?;
    Ok(())
}

fn json<T: Serialize>(out: &mut impl Write, items: &[T]) -> Result<(), Failure> {
    serde_json::to_writer_pretty(&mut *out, &Items { items }).map_err(|error| {
        match error.io_error_kind() {
            Some(kind) => Failure::from(io::Error::from(kind)),
            None => Failure::new(Kind::Failed, format!("cannot write JSON: {error}")),
        }
    })?;
    writeln!(out)?;
    Ok(())
}

fn yaml<T: Serialize>(out: &mut impl Write, items: &[T]) -> Result<(), Failure> {
    if items.is_empty() {
        writeln!(out, "items: []")?;
        return Ok(());
    }
    writeln!(out, "items:")?;
    for item in items {
        out.write_all(yaml_item(&Tree::of(item)?).as_bytes())?;
    }
    Ok(())
}

fn csv<T: Serialize>(out: &mut impl Write, items: &[T]) -> Result<(), Failure> {
    for (number, item) in items.iter().enumerate() {
        let (names, cells) = csv_cells(&Tree::of(item)?);
        if number == 0 {
            writeln!(out, "{}", csv_line(&names))?;
        }
        writeln!(out, "{}", csv_line(&cells))?;
    }
    Ok(())
}

fn table<T: Row>(out: &mut impl Write, rows: &[T]) -> Result<(), Failure> {
    let cells: Vec<Vec<String>> = rows.iter().map(Row::cells).collect();
    let width = |column: usize, title: &str| {
        let longest = cells.iter().filter_map(|row| row.get(column));
        let longest = longest.map(|cell| cell.chars().count()).max().unwrap_or(0);
        longest.max(title.len())
    };
    let widths: Vec<usize> = T::COLUMNS
        .iter()
        .enumerate()
        .map(|(column, title)| width(column, title))
        .collect();
    let line = |cells: &mut dyn Iterator<Item = &str>| {
        let padded: Vec<String> = cells
            .zip(&widths)
            .map(|(cell, width)| format!("{cell:<width$}"))
            .collect();
        padded.join("  ").trim_end().to_owned()
    };
    writeln!(out, "{}", line(&mut T::COLUMNS.iter().copied()))?;
    for row in &cells {
        writeln!(out, "{}", line(&mut row.iter().map(String::as_str)))?;
    }
    Ok(())
}

/// Says something on stderr to a person who is watching; silent for scripts and with `--quiet`.
pub fn note(is_quiet: bool, text: &str) {
    let mut stderr = io::stderr().lock();
    if !is_quiet && stderr.is_terminal() {
        // Nobody is left to tell if stderr is closed.
        let _ = writeln!(stderr, "{text}");
    }
}
