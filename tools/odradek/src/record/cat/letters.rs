//! kcat's command line: letters, alone or together, their values behind them or in the next word.

use crate::failure::{Failure, Kind};
use std::ffi::{OsStr, OsString};
use std::path::PathBuf;
use std::time::Duration;

/// The letters that have a value.
const WITH_VALUE: &str = "GMtpbzoDKkHdFXcfmsr";
/// The letters that have none.
const ALONE: &str = "PCLQeEOqvTuZlVhJU";

/// What to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    Consume,
    Produce,
    List,
    Query,
    Group,
}

/// Where `-o` says to begin.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Begin {
    Beginning,
    End,
    Stored,
    /// An offset, or below 0 so many records before the end.
    Offset(i64),
}

/// What the letters said.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[allow(
    clippy::struct_excessive_bools,
    reason = "letters of a command line are there or not, each by itself"
)]
pub struct Letters {
    pub mode: Option<Mode>,
    pub topics: Vec<String>,
    pub partition: Option<i32>,
    pub brokers: Option<String>,
    pub compression: Option<String>,
    pub begin: Option<Begin>,
    /// Milliseconds since 1970 at which to begin.
    pub start_ms: Option<i64>,
    /// Milliseconds since 1970 at which to end.
    pub stop_ms: Option<i64>,
    pub exits_at_end: bool,
    pub delimiter: Option<String>,
    pub key_delimiter: Option<String>,
    pub fixed_key: Option<String>,
    pub headers: Vec<String>,
    pub count: Option<u64>,
    pub format: Option<String>,
    pub is_json: bool,
    pub is_null: bool,
    pub is_unbuffered: bool,
    pub is_lines: bool,
    pub is_tee: bool,
    pub is_quiet: bool,
    pub verbosity: u8,
    pub timeout: Option<Duration>,
    pub files: Vec<PathBuf>,
    pub properties: Vec<String>,
    pub lists_properties: bool,
    /// What is no letter and no value: files to produce.
    pub names: Vec<PathBuf>,
}

impl Letters {
    /// Reads the words behind `record cat`.
    ///
    /// Errors: `Usage`, naming the letter.
    pub fn parse(words: &[OsString]) -> Result<Self, Failure> {
        let mut letters = Self::default();
        let mut words = words.iter();
        while let Some(word) = words.next() {
            let text = word.to_string_lossy();
            if text == "--" {
                letters.names.extend(words.by_ref().map(PathBuf::from));
                break;
            }
            let Some(together) = text.strip_prefix('-').filter(|rest| !rest.is_empty()) else {
                letters.names.push(PathBuf::from(word));
                continue;
            };
            let mut rest = together.chars();
            while let Some(letter) = rest.next() {
                if ALONE.contains(letter) {
                    letters.flag(letter)?;
                    continue;
                }
                if !WITH_VALUE.contains(letter) {
                    let what = format!("there is no -{letter}");
                    return Err(Failure::new(Kind::Usage, what)
                        .hint("`odradek record cat --help` lists the letters"));
                }
                let value = match rest.as_str() {
                    "" => words.next().map(|word| lossless(letter, word)),
                    rest => Some(Ok(rest.to_owned())),
                };
                let value = value.ok_or_else(|| usage(letter, "needs a value"))??;
                letters.value(letter, value)?;
                break;
            }
        }
        Ok(letters)
    }

    fn set_mode(&mut self, letter: char, mode: Mode) -> Result<(), Failure> {
        match self.mode.replace(mode) {
            Some(other) if other != mode => Err(usage(letter, "does not go with another mode")),
            _ => Ok(()),
        }
    }

    fn flag(&mut self, letter: char) -> Result<(), Failure> {
        match letter {
            'P' => self.set_mode(letter, Mode::Produce)?,
            'C' => self.set_mode(letter, Mode::Consume)?,
            'L' => self.set_mode(letter, Mode::List)?,
            'Q' => self.set_mode(letter, Mode::Query)?,
            'e' => self.exits_at_end = true,
            'q' => self.is_quiet = true,
            'v' => self.verbosity = self.verbosity.saturating_add(1),
            'T' => self.is_tee = true,
            'u' => self.is_unbuffered = true,
            'Z' => self.is_null = true,
            'l' => self.is_lines = true,
            'J' => self.is_json = true,
            // kcat takes -O and prints no offset for it; -E is about errors that are not fatal, of
            // which there are none here.
            'O' | 'E' => {}
            'h' => return Err(usage(letter, "`odradek record cat --help` shows the help")),
            'V' => return Err(usage(letter, "`odradek --version` shows the version")),
            _ => return Err(usage(letter, "is for kcat's own tests")),
        }
        Ok(())
    }

    fn value(&mut self, letter: char, value: String) -> Result<(), Failure> {
        match letter {
            'G' => self.set_mode(letter, Mode::Group)?,
            't' => self.topics.push(value),
            'p' => self.partition = Some(number(letter, &value)?),
            'b' => self.brokers = Some(value),
            'z' => self.compression = Some(value),
            'o' => self.begin_at(&value)?,
            'D' => self.delimiter = Some(value),
            'K' => self.key_delimiter = Some(value),
            'k' => self.fixed_key = Some(value),
            'H' => self.headers.push(value),
            'c' => self.count = Some(number(letter, &value)?),
            'f' => self.format = Some(value),
            'm' => self.timeout = Some(Duration::from_secs(number(letter, &value)?)),
            // No file at all, not even the one that is looked for by itself.
            'F' if matches!(value.as_str(), "-" | "none") => {}
            'F' => self.files.push(PathBuf::from(value)),
            'X' if matches!(value.as_str(), "list" | "help") => self.lists_properties = true,
            'X' => self.properties.push(value),
            'd' => self.verbosity = self.verbosity.saturating_add(1),
            's' | 'r' => {
                return Err(usage(
                    letter,
                    "unpacking of keys and values is not here yet",
                ));
            }
            _ => return Err(usage(letter, "there is no mock cluster here")),
        }
        Ok(())
    }

    fn begin_at(&mut self, value: &str) -> Result<(), Failure> {
        if let Some(time) = value.strip_prefix("s@") {
            self.start_ms = Some(number('o', time)?);
            return Ok(());
        }
        if let Some(time) = value.strip_prefix("e@") {
            self.stop_ms = Some(number('o', time)?);
            return Ok(());
        }
        self.begin = Some(match value {
            "beginning" => Begin::Beginning,
            "end" => Begin::End,
            "stored" => Begin::Stored,
            _ => Begin::Offset(number('o', value)?),
        });
        Ok(())
    }
}

fn lossless(letter: char, word: &OsStr) -> Result<String, Failure> {
    let text = word.to_str().map(str::to_owned);
    text.ok_or_else(|| usage(letter, "has a value that is no UTF-8"))
}

fn number<T: std::str::FromStr>(letter: char, value: &str) -> Result<T, Failure> {
    let number = value.parse();
    number.map_err(|_| usage(letter, &format!("{value:?} is no number it takes")))
}

fn usage(letter: char, what: &str) -> Failure {
    Failure::new(Kind::Usage, format!("-{letter}: {what}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(words: &[&str]) -> Result<Letters, Failure> {
        let words: Vec<OsString> = words.iter().map(OsString::from).collect();
        Letters::parse(&words)
    }

    #[test]
    fn letters_stand_alone_or_together_and_values_behind_or_next() {
        let letters = parse(&[
            "-Ceqc5", "-ttopic", "-p", "3", "-o", "-2", "-f", "%s", "-K:",
        ]);
        let expected = Letters {
            mode: Some(Mode::Consume),
            exits_at_end: true,
            is_quiet: true,
            count: Some(5),
            topics: vec!["topic".to_owned()],
            partition: Some(3),
            begin: Some(Begin::Offset(-2)),
            format: Some("%s".to_owned()),
            key_delimiter: Some(":".to_owned()),
            ..Letters::default()
        };
        assert_eq!(letters.unwrap(), expected);
    }

    #[test]
    fn words_that_are_no_letters_are_files_wherever_they_stand() {
        let letters = parse(&["one", "-P", "two", "-", "--", "-three"]).unwrap();
        let names = ["one", "two", "-", "-three"].map(PathBuf::from);
        assert_eq!(letters.names, names);
    }

    #[test]
    fn wrong_letters_and_values_are_usage_errors() {
        for wrong in [
            &["-w"][..],
            &["-t"],
            &["-C", "-P"],
            &["-p", "x"],
            &["-o", "soon"],
            &["-o", "s@x"],
            &["-c", "-1"],
            &["-s", "value=i"],
        ] {
            assert_eq!(parse(wrong).map_err(|f| f.exit_code()), Err(2), "{wrong:?}");
        }
    }
}
