//! `-P`.

use super::letters::Letters;
use super::settings::Settings;
use super::{escape, topic};
use crate::cli::Global;
use crate::driver::Driver;
use crate::failure::{Failure, Kind};
use crate::record::input::{self, Input};
use crate::record::produce::seed;
use crate::record::pump::Pump;
use crate::record::template::split;
use crate::time;
use bytes::Bytes;
use engine_model::{PartitionIndex, Timestamp};
use net_client::{NewRecord, Producer, ProducerOptions};
use net_protocol::Text;
use std::io::{self, BufWriter, Read, Write};
use std::path::Path;

/// Runs it.
pub fn run(
    driver: &mut Driver,
    global: &Global,
    settings: &Settings,
    letters: &Letters,
) -> Result<(), Failure> {
    let topic = topic(letters)?;
    let cutter = Cutter::new(letters)?;
    if letters.is_lines && letters.names.len() > 1 {
        return Err(Failure::new(Kind::Usage, "-l takes one file only"));
    }
    let options = ProducerOptions {
        key_hash: settings.key_hash,
        ..settings.client.producer(driver.timeout())
    };
    driver.connect()?;
    let producer = Producer::new(Text::from(topic), options, seed());
    let mut pump = Pump::new(driver, producer);
    let read = if letters.names.is_empty() || letters.is_lines {
        let path = letters.names.first().map(AsRef::as_ref);
        pieces(&mut pump, path, letters, &cutter)
    } else {
        files(&mut pump, letters, &cutter, global)
    };
    // What was read before something went wrong is sent all the same.
    pump.finish()?;
    read
}

/// Each piece of the input is a record.
fn pieces(
    pump: &mut Pump<'_>,
    path: Option<&Path>,
    letters: &Letters,
    cutter: &Cutter,
) -> Result<(), Failure> {
    let mut tee = letters.is_tee.then(|| BufWriter::new(io::stdout().lock()));
    let mut input = Input::new(path, &cutter.delimiter)?;
    let mut left = letters.count.filter(|count| *count > 0).unwrap_or(u64::MAX);
    while left > 0 {
        let Some(piece) = pump.next_piece(&mut input)? else {
            break;
        };
        // As in kcat, nothing between two delimiters is no record.
        if piece.is_empty() {
            continue;
        }
        pump.push(&cutter.record(&piece))?;
        if let Some(tee) = &mut tee {
            tee.write_all(&piece)?;
            if letters.is_unbuffered {
                tee.flush()?;
            }
        }
        left = left.saturating_sub(1);
    }
    tee.map_or(Ok(()), |mut tee| Ok(tee.flush()?))
}

/// Each file is a record.
fn files(
    pump: &mut Pump<'_>,
    letters: &Letters,
    cutter: &Cutter,
    global: &Global,
) -> Result<(), Failure> {
    let mut failed = Vec::new();
    for path in &letters.names {
        let content = content(path);
        match content {
            // As in kcat, an empty file is no record.
            Ok(content) if content.is_empty() => {}
            Ok(content) => pump.push(&cutter.whole(content))?,
            Err(failure) => failed.push(failure),
        }
    }
    let is_all = failed.len() == letters.names.len();
    let mut failures = failed.into_iter();
    let first = failures.next();
    if !global.quiet {
        failures.for_each(|failure| failure.print());
    }
    match first {
        Some(first) if is_all => Err(first),
        Some(first) => {
            if !global.quiet {
                first.print();
            }
            Ok(())
        }
        None => Ok(()),
    }
}

fn content(path: &Path) -> Result<Bytes, Failure> {
    let limit = engine_model::limits::BATCH_BYTES_MAX;
    let mut content = Vec::new();
    let file = input::open(path)?;
    let most = u64::try_from(limit).unwrap_or(u64::MAX).saturating_add(1);
    file.take(most).read_to_end(&mut content).map_err(|error| {
        let what = format!("cannot read {}: {error}", path.display());
        Failure::new(Kind::Failed, what)
    })?;
    if content.len() > limit {
        let what = format!("{} is larger than {limit} bytes", path.display());
        return Err(Failure::new(Kind::Failed, what));
    }
    Ok(content.into())
}

/// How a piece of input becomes a record.
struct Cutter {
    delimiter: Vec<u8>,
    key_delimiter: Option<Vec<u8>>,
    fixed_key: Option<Bytes>,
    headers: Vec<(Bytes, Option<Bytes>)>,
    partition: Option<PartitionIndex>,
    is_null: bool,
}

impl Cutter {
    fn new(letters: &Letters) -> Result<Self, Failure> {
        let delimiter = letters.delimiter.as_deref().unwrap_or("\n");
        let key_delimiter = letters.key_delimiter.as_deref();
        let partition = letters.partition.filter(|partition| *partition >= 0);
        Ok(Self {
            delimiter: escape::delimiter('D', delimiter)?,
            key_delimiter: key_delimiter
                .map(|text| escape::delimiter('K', text))
                .transpose()?,
            fixed_key: letters.fixed_key.clone().map(Bytes::from),
            headers: letters
                .headers
                .iter()
                .map(header)
                .collect::<Result<_, Failure>>()?,
            partition: partition.map(PartitionIndex::new),
            is_null: letters.is_null,
        })
    }

    fn record(&self, piece: &Bytes) -> NewRecord {
        let (key, value) = match &self.key_delimiter {
            Some(delimiter) => match split(piece, delimiter) {
                Some((key, value)) => {
                    let or_null = |bytes: Bytes| {
                        Some(bytes).filter(|bytes| !self.is_null || !bytes.is_empty())
                    };
                    (or_null(key), or_null(value))
                }
                None => (None, Some(piece.clone())),
            },
            None => (None, Some(piece.clone())),
        };
        NewRecord {
            partition: self.partition,
            key: key.or_else(|| self.fixed_key.clone()),
            value,
            headers: self.headers.clone(),
            timestamp: Timestamp(time::now_ms()),
        }
    }

    fn whole(&self, content: Bytes) -> NewRecord {
        NewRecord {
            partition: self.partition,
            key: self.fixed_key.clone(),
            value: Some(content),
            headers: self.headers.clone(),
            timestamp: Timestamp(time::now_ms()),
        }
    }
}

/// `NAME=VALUE`, or `NAME` for a header without a value.
fn header(text: &String) -> Result<(Bytes, Option<Bytes>), Failure> {
    let bytes = |text: &str| Bytes::copy_from_slice(text.as_bytes());
    let (name, value) = match text.split_once('=') {
        Some((name, value)) => (name, Some(value)),
        None => (text.as_str(), None),
    };
    if name.is_empty() {
        let what = format!("-H: {text:?} is no header");
        return Err(Failure::new(Kind::Usage, what).hint("write -H NAME=VALUE or -H NAME"));
    }
    Ok((bytes(name), value.map(bytes)))
}
