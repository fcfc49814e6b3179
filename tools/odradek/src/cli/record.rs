//! `record`: verbs, flags and help.

use clap::{Args, Subcommand, ValueEnum};
use engine_codec::Compression;
use net_client::Acks;
use std::ffi::OsString;
use std::path::PathBuf;

/// What to do with records.
#[derive(Debug, Subcommand)]
pub enum RecordVerb {
    /// Append records: one a line of the input
    #[command(
        after_help = "Examples:\n  echo hello | odradek record produce greetings\n  printf 'alice:1\\nbob:2\\n' | odradek record produce orders -K : -H source=shop -z lz4"
    )]
    Produce(ProduceArguments),
    /// Print records
    #[command(
        after_help = "Examples:\n  odradek record consume greetings --from earliest -e\n  odradek record consume orders --from earliest --count 2 --format '%p %o %k %v\\n'

Tokens of --format: %t topic, %p partition, %o offset, %k key, %v value, %h headers, %T
timestamp (milliseconds), %D timestamp (RFC 3339), %K and %V length of key and value (-1 for
null), %% a percent sign; \\n, \\t, \\r, \\0, \\\\ and \\xHH."
    )]
    Consume(ConsumeArguments),
    /// Produce, consume, list and query with kcat's letters and kcat's output
    #[command(
        after_help = "Examples:\n  printf 'alice:1\\nbob:2\\n' | odradek record cat -P -t orders -K :\n  odradek record cat -C -t orders -e -q -f '%t [%p] at offset %o: key %k: %s\\n'
\n\
Modes: -C consume, -P produce, -L list brokers and topics, -Q offsets by time; without one: consume
  at a terminal, else produce. -G (groups) is not here yet.
Everywhere: -b BROKERS, -t TOPIC, -p PARTITION (-1: all of them, or by key), -c COUNT, -m SECONDS,
  -q quiet, -v verbose, -F FILE of properties, -X NAME=VALUE (librdkafka's names), -X list.
Consume: -o beginning|end|OFFSET|-COUNT|s@MS|e@MS, -e exit at the end, -f FORMAT, -J (JSON),
  -D and -K delimiters, -Z null as NULL, -u unbuffered.
Produce: -D and -K delimiters, -k KEY, -H NAME=VALUE, -z CODEC, -l lines of a FILE, -T tee, -Z empty
  as null; FILE...: each a record.
List: -t TOPIC, -J. Query: -t TOPIC:PARTITION:MS (-1 end, -2 start), -J.
FORMAT: %s value, %S its length, %R the same as 32 bits, %k key, %K its length, %T timestamp,
  %h headers, %t topic, %p partition, %o offset, %% percent; \\n \\r \\t \\xHH."
    )]
    Cat(CatArguments),
}

/// `record cat`.
#[derive(Args, Debug)]
pub struct CatArguments {
    /// kcat's letters and their values
    #[arg(
        value_name = "LETTERS",
        trailing_var_arg = true,
        allow_hyphen_values = true
    )]
    pub letters: Vec<OsString>,
}

/// `record produce`.
#[derive(Args, Debug)]
pub struct ProduceArguments {
    /// The topic; created if the broker allows
    #[arg(value_name = "TOPIC")]
    pub topic: String,
    /// Read lines of this file and not of stdin
    #[arg(short, long, value_name = "FILE")]
    pub file: Option<PathBuf>,
    /// What stands between key and value of a line; without it a line is a value
    #[arg(short = 'K', long, value_name = "TEXT", value_parser = clap::builder::NonEmptyStringValueParser::new())]
    pub key_separator: Option<String>,
    /// The key of every record
    #[arg(short, long, value_name = "TEXT", conflicts_with = "key_separator")]
    pub key: Option<String>,
    /// A header of every record; may be given several times
    #[arg(short = 'H', long = "header", value_name = "NAME=VALUE")]
    pub headers: Vec<String>,
    /// The partition of every record [default: by key, else in turn]
    #[arg(short, long, value_name = "N", value_parser = clap::value_parser!(i32).range(0..))]
    pub partition: Option<i32>,
    /// How to compress
    #[arg(short = 'z', long, value_enum, value_name = "CODEC")]
    pub compression: Option<CompressionName>,
    /// Who must have a record before it counts
    #[arg(long, value_enum)]
    pub acks: Option<AcksName>,
    /// A key or value that is this text becomes null
    #[arg(long, value_name = "TEXT")]
    pub null_value: Option<String>,
}

/// Kafka's names of its codecs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum CompressionName {
    None,
    Gzip,
    Snappy,
    Lz4,
    Zstd,
}

impl From<CompressionName> for Compression {
    fn from(name: CompressionName) -> Self {
        match name {
            CompressionName::None => Self::None,
            CompressionName::Gzip => Self::Gzip,
            CompressionName::Snappy => Self::Snappy,
            CompressionName::Lz4 => Self::Lz4,
            CompressionName::Zstd => Self::Zstd,
        }
    }
}

/// Who must have a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum AcksName {
    /// Nobody
    #[value(name = "0")]
    None,
    /// The leader
    #[value(name = "1")]
    Leader,
    /// All replicas in sync
    #[value(name = "all", alias = "-1")]
    All,
}

impl From<AcksName> for Acks {
    fn from(name: AcksName) -> Self {
        match name {
            AcksName::None => Self::None,
            AcksName::Leader => Self::Leader,
            AcksName::All => Self::All,
        }
    }
}

/// `record consume`.
#[derive(Args, Debug)]
pub struct ConsumeArguments {
    /// The topic
    #[arg(value_name = "TOPIC")]
    pub topic: String,
    /// Where to begin: earliest, latest, an offset, -N (N before the end), a time (RFC 3339,
    /// milliseconds as @N, or an age as 15m) [default: latest; earliest with --exit-at-end]
    #[arg(long, value_name = "PLACE", allow_hyphen_values = true)]
    pub from: Option<String>,
    /// Stop after so many records
    #[arg(short = 'n', long, value_name = "N")]
    pub count: Option<u64>,
    /// Only this partition; may be given several times
    #[arg(short, long = "partition", value_name = "N", value_parser = clap::value_parser!(i32).range(0..))]
    pub partitions: Vec<i32>,
    /// How to print a record: `value`, `json` (one a line), or text with tokens [default: value]
    #[arg(short, long, value_name = "FORMAT")]
    pub format: Option<String>,
    /// Stop at what is the end now
    #[arg(short, long)]
    pub exit_at_end: bool,
}
