//! Kafka's own console tools.

use crate::command::{Output, run_with_input};
use std::process::Command;

/// The console tools of Apache Kafka, run on the machine's Java.
#[derive(Debug)]
pub struct Java {
    class_path: String,
}

impl Java {
    /// Finds what `tests/setup` has laid down.
    pub fn new() -> Self {
        let jars = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/.setup/java/jars");
        assert!(
            std::path::Path::new(jars).is_dir(),
            "Kafka's Java clients are not set up: run tests/run"
        );
        Self {
            class_path: format!("{jars}/*"),
        }
    }

    /// Runs a main class with `input` on its standard input.
    pub fn run(&self, class: &str, arguments: &[&str], input: &[u8]) -> Output {
        run_with_input(
            Command::new("java")
                .args(["-Xmx256m", "-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC"])
                .arg("-Dorg.slf4j.simpleLogger.defaultLogLevel=warn")
                .args(["-cp", &self.class_path, class])
                .args(arguments),
            input,
        )
    }

    /// The console producer: one record a line of `input`, as KEY TAB VALUE.
    pub fn produce(&self, address: &str, topic: &str, properties: &[String], lines: &[String]) {
        let mut arguments = vec!["--bootstrap-server", address, "--topic", topic];
        arguments.extend(["--reader-property", "parse.key=true"]);
        for property in properties {
            arguments.extend(["--command-property", property]);
        }
        let mut input = lines.join("\n");
        input.push('\n');
        let output = self
            .run(
                "org.apache.kafka.tools.ConsoleProducer",
                &arguments,
                input.as_bytes(),
            )
            .expect_success();
        assert!(!output.stderr.contains("ERROR"), "{}", output.stderr);
    }

    /// The console consumer: exactly `count` records of one partition, as OFFSET TAB KEY TAB VALUE.
    pub fn consume(
        &self,
        address: &str,
        topic: &str,
        partition: usize,
        count: usize,
    ) -> Vec<String> {
        let (partition, count) = (partition.to_string(), count.to_string());
        let output = self
            .run(
                "org.apache.kafka.tools.consumer.ConsoleConsumer",
                &[
                    "--bootstrap-server",
                    address,
                    "--topic",
                    topic,
                    "--partition",
                    &partition,
                    "--offset",
                    "earliest",
                    "--max-messages",
                    &count,
                    "--timeout-ms",
                    "30000",
                    "--formatter-property",
                    "print.key=true",
                    "--formatter-property",
                    "print.offset=true",
                ],
                b"",
            )
            .expect_success();
        output.text().lines().map(str::to_owned).collect()
    }
}

impl Default for Java {
    fn default() -> Self {
        Self::new()
    }
}
