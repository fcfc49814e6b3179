//! A client in another language, driven by commands: `COMMANDS.md` says which.
//!
//! The programs lie in `python/`, `go/` and `java/`; `tests/setup` lays down what they need.

use crate::record::Record;
use serde_json::{Value, json};
use std::io::{BufRead, BufReader, Read, Write};
use std::path::Path;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

/// A command that is not answered by then fails the test.
const ANSWER_DURATION_MAX: Duration = Duration::from_mins(3);
const SETUP: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../.setup");
const PROGRAMS: &str = env!("CARGO_MANIFEST_DIR");

/// The clients that are driven as programs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// confluent-kafka for Python, over librdkafka.
    Confluent,
    /// kafka-python, in Python alone.
    KafkaPython,
    /// franz-go.
    FranzGo,
    /// Kafka's own Java client: producer, consumer and admin.
    Java,
}

impl Kind {
    /// The program; `options` are of the virtual machine it runs on, if any.
    fn command(self, options: &[&str]) -> Command {
        let python = |program: &str| {
            let mut command = Command::new(format!("{SETUP}/python/bin/python"));
            command.arg(format!("{PROGRAMS}/python/{program}"));
            // Nothing is written into the tree.
            command.env("PYTHONDONTWRITEBYTECODE", "1");
            command
        };
        match self {
            Self::Confluent => python("confluent.py"),
            Self::KafkaPython => python("kafka_python.py"),
            Self::FranzGo => Command::new(format!("{SETUP}/go/client")),
            Self::Java => {
                let mut command = Command::new("java");
                command
                    .args(["-Xmx1g", "-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC"])
                    .arg("-Dorg.slf4j.simpleLogger.defaultLogLevel=warn")
                    .args(options)
                    .arg("-cp")
                    .arg(format!("{SETUP}/java/classes:{SETUP}/java/jars/*"))
                    .arg("odradek.tests.Main");
                command
            }
        }
    }

    /// Whether its producer takes headers whose value is null.
    pub fn sends_null_header_values(self) -> bool {
        // kafka-python: "All headers items must be (str, bytes) tuples".
        self != Self::KafkaPython
    }

    /// Whether its producer takes records without key and value.
    pub fn sends_records_of_nothing(self) -> bool {
        // kafka-python: "Need at least one: key or value".
        self != Self::KafkaPython
    }

    /// Whether an idempotent producer goes on after a record was refused.
    pub fn goes_on_after_a_refusal(self) -> bool {
        // kafka-python fails whatever it is given next with the same error, also against Apache Kafka.
        self != Self::KafkaPython
    }

    /// Whether its admin client can ask for the offsets that only tiered storage tells apart.
    pub fn asks_for_tiers(self) -> bool {
        self != Self::Confluent
    }
}

/// What a client reported instead of an answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// Kafka's error code, where the client names one.
    pub code: Option<i64>,
    /// The client's words.
    pub message: String,
}

/// A running client; killed when dropped.
pub struct Program {
    kind: Kind,
    child: Child,
    commands: ChildStdin,
    answers: Receiver<String>,
    said: Arc<Mutex<String>>,
}

impl Program {
    /// Starts the client, to talk to the broker at `address`.
    pub fn start(kind: Kind, address: &str) -> Self {
        Self::start_with(kind, address, &[])
    }

    /// Starts Kafka's Java client on a virtual machine with further options.
    pub fn start_java(address: &str, options: &[&str]) -> Self {
        Self::start_with(Kind::Java, address, options)
    }

    fn start_with(kind: Kind, address: &str, options: &[&str]) -> Self {
        let mut command = kind.command(options);
        let shown = format!("{command:?}");
        assert!(
            command.get_program() == "java" || Path::new(command.get_program()).exists(),
            "{kind:?} is not set up: run tests/run"
        );
        let mut child = command
            .arg(address)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap_or_else(|e| panic!("{shown}: {e}; tests/run sets up what the tests need"));
        let commands = child.stdin.take().expect("a piped stdin");
        let stdout = BufReader::new(child.stdout.take().expect("a piped stdout"));
        let mut stderr = BufReader::new(child.stderr.take().expect("a piped stderr"));
        let (sender, answers) = channel();
        thread::spawn(move || {
            for line in stdout.lines() {
                let Ok(line) = line else { break };
                if sender.send(line).is_err() {
                    break;
                }
            }
        });
        let said = Arc::new(Mutex::new(String::new()));
        let kept = Arc::clone(&said);
        thread::spawn(move || {
            let mut bytes = [0; 4096];
            while let Ok(read @ 1..) = stderr.read(&mut bytes) {
                let text = String::from_utf8_lossy(&bytes[..read]);
                kept.lock().expect("what the client said").push_str(&text);
            }
        });
        Self {
            kind,
            child,
            commands,
            answers,
            said,
        }
    }

    /// Which client this is.
    pub fn kind(&self) -> Kind {
        self.kind
    }

    /// All it has said on standard error so far.
    pub fn said(&self) -> String {
        self.said.lock().expect("what the client said").clone()
    }

    /// Gives a command without waiting for its answer; `answer` takes answers in the same order.
    pub fn begin(&mut self, command: &Value) {
        let mut line = command.to_string();
        line.push('\n');
        self.commands
            .write_all(line.as_bytes())
            .unwrap_or_else(|e| panic!("{:?} takes no commands: {e}: {}", self.kind, self.said()));
    }

    /// The next answer.
    pub fn answer(&mut self) -> Result<Value, Refusal> {
        let line = self
            .answers
            .recv_timeout(ANSWER_DURATION_MAX)
            .unwrap_or_else(|e| panic!("{:?} does not answer: {e}: {}", self.kind, self.said()));
        let mut answer: Value = serde_json::from_str(&line).expect("an answer in JSON");
        match answer.get("message").and_then(Value::as_str) {
            Some(message) => Err(Refusal {
                code: answer["error"].as_i64(),
                message: message.to_owned(),
            }),
            None => Ok(answer["ok"].take()),
        }
    }

    /// Gives a command and takes its answer.
    pub fn try_ask(&mut self, command: &Value) -> Result<Value, Refusal> {
        self.begin(command);
        self.answer()
    }

    /// Gives a command that must succeed.
    pub fn ask(&mut self, command: &Value) -> Value {
        self.try_ask(command)
            .unwrap_or_else(|e| panic!("{:?} on {}: {e:?}", self.kind, shortened(command)))
    }

    /// Gives a command that Kafka must refuse; returns the error code.
    pub fn refused(&mut self, command: &Value) -> Option<i64> {
        match self.try_ask(command) {
            Err(refusal) => refusal.code,
            Ok(answer) => panic!(
                "{:?}: {} was not refused: {}",
                self.kind,
                shortened(command),
                shortened(&answer)
            ),
        }
    }

    /// Opens a producer.
    pub fn producer(&mut self, name: &str, settings: &Value) {
        self.ask(&json!({"do": "producer", "name": name, "settings": settings}));
    }

    /// Opens a consumer and gives it partition 0 of a topic, or whatever `partitions` says.
    pub fn consumer(&mut self, name: &str, settings: &Value) {
        self.ask(&json!({"do": "consumer", "name": name, "settings": settings}));
    }

    /// Gives a consumer one partition, from `at` on: an offset, `"beginning"` or `"end"`.
    pub fn assign(&mut self, consumer: &str, topic: &str, partition: i32, at: &Value) {
        let partitions = json!([{"topic": topic, "partition": partition, "at": at}]);
        self.ask(&json!({"do": "assign", "consumer": consumer, "partitions": partitions}));
    }

    /// Moves a consumer within a partition it has.
    pub fn seek(&mut self, consumer: &str, topic: &str, partition: i32, at: &Value) {
        self.ask(&json!({"do": "seek", "consumer": consumer, "topic": topic, "partition": partition, "at": at}));
    }

    /// Sends records and waits until each is acknowledged; returns their offsets.
    pub fn produce(&mut self, producer: &str, topic: &str, records: &[Record]) -> Vec<i64> {
        self.try_produce(producer, topic, records)
            .into_iter()
            .map(|answer| answer.unwrap_or_else(|e| panic!("{:?}: {e:?}", self.kind)))
            .collect()
    }

    /// Sends records and waits until each is acknowledged or given up.
    pub fn try_produce(
        &mut self,
        producer: &str,
        topic: &str,
        records: &[Record],
    ) -> Vec<Result<i64, Refusal>> {
        let records: Vec<Value> = records.iter().map(Record::to_json).collect();
        let answers = self.ask(
            &json!({"do": "produce", "producer": producer, "topic": topic, "records": records}),
        );
        let answers = answers.as_array().expect("an answer for every record");
        assert_eq!(answers.len(), records.len());
        answers
            .iter()
            .map(|answer| match answer["message"].as_str() {
                Some(message) => Err(Refusal {
                    code: answer["error"].as_i64(),
                    message: message.to_owned(),
                }),
                // With acks=0 nobody knows.
                None => Ok(answer["offset"].as_i64().unwrap_or(-1)),
            })
            .collect()
    }

    /// Polls a consumer until it has handed over `count` records, which must come without an error.
    pub fn poll(&mut self, consumer: &str, count: usize) -> Vec<Record> {
        let (records, errors) = self.poll_for(consumer, count, Duration::from_mins(1));
        assert_eq!(
            records.len(),
            count,
            "{:?}: records polled; {errors:?}; {}",
            self.kind,
            self.said()
        );
        records
    }

    /// Polls a consumer until it has handed over `count` records or `wait` is over.
    pub fn poll_for(
        &mut self,
        consumer: &str,
        count: usize,
        wait: Duration,
    ) -> (Vec<Record>, Vec<Refusal>) {
        let wait = u64::try_from(wait.as_millis()).expect("a short wait");
        let polled =
            self.ask(&json!({"do": "poll", "consumer": consumer, "count": count, "wait_ms": wait}));
        let list = |name: &str| polled[name].as_array().expect("a list").clone();
        let errors = list("errors")
            .iter()
            .map(|error| Refusal {
                code: error["error"].as_i64(),
                message: error["message"].as_str().unwrap_or_default().to_owned(),
            })
            .collect();
        (
            list("records").iter().map(Record::from_json).collect(),
            errors,
        )
    }

    /// Creates a topic and waits until the client's own admin sees all of it.
    pub fn create_topic(&mut self, topic: &str, partitions: usize, settings: &Value) {
        self.ask(&json!({"do": "create_topic", "topic": topic, "partitions": partitions, "settings": settings}));
    }

    /// Deletes a topic.
    pub fn delete_topic(&mut self, topic: &str) {
        self.ask(&json!({"do": "delete_topic", "topic": topic}));
    }

    /// The offset at `at` of one partition: a name such as `"earliest"`, or a time.
    pub fn offset(&mut self, topic: &str, partition: i32, at: &Value) -> i64 {
        let found =
            self.ask(&json!({"do": "offsets", "topic": topic, "partition": partition, "at": at}));
        found["offset"].as_i64().expect("an offset")
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        if thread::panicking() {
            let said = self.said();
            let last: Vec<&str> = said.lines().rev().take(20).collect();
            eprintln!("---- {:?} said last:", self.kind);
            last.iter().rev().for_each(|line| eprintln!("{line}"));
        }
    }
}

/// A command or an answer, short enough for a message.
fn shortened(value: &Value) -> String {
    value.to_string().chars().take(300).collect()
}
