//! `odradek storage repair`.
//!
//! Keeps: nothing is changed without `--accept-loss`; what was given up is told on stdout and kept in
//! a file beside the data.

use crate::cli::{Global, RepairArguments};
use crate::failure::{Failure, Kind};
use crate::log::topic_names;
use crate::output::{self, Row};
use engine_log::{AcceptLoss, OpenError, RepairReport, RepairedLog, StorageOptions, repair};
use engine_model::TopicId;
use engine_rt::{System, UringConfig};
use serde::Serialize;
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Arc, Mutex};

/// A run of offsets.
#[derive(Serialize)]
struct Lost {
    first_offset: i64,
    last_offset: i64,
}

#[derive(Serialize)]
struct LogRow {
    log: String,
    topic: Option<String>,
    topic_id: Option<String>,
    partition: Option<i32>,
    quarantined: bool,
    start_offset: i64,
    end_offset: i64,
    lost: Vec<Lost>,
    offsets_lost: i64,
    segments_rewritten: usize,
    repaired: bool,
}

impl Row for LogRow {
    const COLUMNS: &'static [&'static str] = &[
        "LOG",
        "TOPIC",
        "PARTITION",
        "WAS",
        "START",
        "END",
        "OFFSETS LOST",
        "LOST",
    ];

    fn cells(&self) -> Vec<String> {
        let topic = self.topic.as_ref().or(self.topic_id.as_ref());
        let runs: Vec<String> = self
            .lost
            .iter()
            .map(|run| format!("{}..={}", run.first_offset, run.last_offset))
            .collect();
        let lost = if self.topic_id.is_none() {
            "all of it: no sound entry tells its partition".to_owned()
        } else if runs.is_empty() && self.quarantined {
            // It may have had records that no frame is left of.
            format!("what was behind {}", self.end_offset)
        } else {
            runs.join(", ")
        };
        let was = if self.quarantined {
            "set apart"
        } else {
            "damaged"
        };
        vec![
            self.log.clone(),
            topic.cloned().unwrap_or_else(|| "?".to_owned()),
            self.partition.map_or("?".to_owned(), |p| p.to_string()),
            was.to_owned(),
            self.start_offset.to_string(),
            self.end_offset.to_string(),
            self.offsets_lost.to_string(),
            lost,
        ]
    }

    fn name(&self) -> String {
        self.log.clone()
    }
}

/// Runs it.
pub fn run(global: &Global, arguments: &RepairArguments) -> Result<(), Failure> {
    if !arguments.path.exists() {
        let what = format!("{} is not there", arguments.path.display());
        return Err(Failure::new(Kind::NotFound, what));
    }
    let names = topic_names(&arguments.path);
    let is_dry_run = !arguments.accept_loss || global.dry_run;
    let accept = AcceptLoss {
        logs: (!arguments.logs.is_empty()).then(|| arguments.logs.iter().copied().collect()),
        is_dry_run,
    };
    let report = carry_out(&arguments.path, accept)?;
    let rows: Vec<LogRow> = report
        .logs
        .iter()
        .map(|log| row(log, &names, !is_dry_run))
        .collect();
    output::print(global.format(), &rows)?;
    tell(global, &report, is_dry_run);
    if report.is_sound() {
        output::note(global.quiet, "nothing is damaged");
        return Ok(());
    }
    if is_dry_run {
        let what = "the directory is damaged; nothing was changed";
        return Err(Failure::new(Kind::Failed, what)
            .hint("--accept-loss gives up what is listed and serves the rest"));
    }
    keep(&arguments.path, &report, &rows)?;
    if report.left.is_empty() {
        return Ok(());
    }
    let what = format!("{} damaged logs were left as they are", report.left.len());
    Err(Failure::new(Kind::Failed, what))
}

/// What does not fit into rows.
fn tell(global: &Global, report: &RepairReport, is_dry_run: bool) {
    let say = |text: &str| crate::start::say(global.quiet, text);
    let (is, are) = if is_dry_run {
        ("would be", "would be")
    } else {
        ("was", "are")
    };
    if report.rebuilt_current {
        say(&format!(
            "CURRENT cannot be read; it {is} put together from the other files"
        ));
    }
    for lane in &report.lost_lanes {
        say(&format!(
            "both manifests of lane {lane} are gone: its logs cannot be told apart and {are} given up"
        ));
    }
}

fn row(log: &RepairedLog, names: &BTreeMap<TopicId, String>, repaired: bool) -> LogRow {
    let lost: Vec<Lost> = log
        .lost
        .iter()
        .map(|(first, last)| Lost {
            first_offset: first.get(),
            last_offset: last.get(),
        })
        .collect();
    let count = |run: &Lost| {
        let distance = run.last_offset.saturating_sub(run.first_offset);
        distance.saturating_add(1)
    };
    let topic_id = log.partition.map(|partition| partition.topic_id);
    LogRow {
        log: log.id.to_string(),
        topic: topic_id.and_then(|id| names.get(&id).cloned()),
        topic_id: topic_id.map(|id| id.to_string()),
        partition: log.partition.map(|partition| partition.partition.get()),
        quarantined: log.was_quarantined,
        start_offset: log.log_start.get(),
        end_offset: log.log_end.get(),
        offsets_lost: lost.iter().map(count).sum(),
        lost,
        segments_rewritten: log.segments,
        repaired,
    }
}

/// Runs the repair on a shard of its own: files are the runtime's.
fn carry_out(path: &Path, accept: AcceptLoss) -> Result<RepairReport, Failure> {
    let config = UringConfig {
        cpus: vec![None],
        ..UringConfig::default()
    };
    let system = System::uring(config).map_err(|error| {
        let what = format!("{} (found: {})", error.what, error.found);
        Failure::new(Kind::Failed, what).hint(&error.fix)
    })?;
    let slot: Arc<Mutex<Option<Result<RepairReport, OpenError>>>> = Arc::default();
    let (into, path) = (Arc::clone(&slot), path.to_owned());
    let run = system.run(vec![Box::new(move || {
        Box::pin(async move {
            let result = repair(&path, &StorageOptions::default(), &accept).await;
            if let Ok(mut slot) = into.lock() {
                *slot = Some(result);
            }
        })
    })]);
    run.map_err(|error| Failure::new(Kind::Failed, error))?;
    let result = slot.lock().ok().and_then(|mut slot| slot.take());
    match result {
        Some(result) => result.map_err(|error| failure(&error)),
        None => Err(Failure::new(
            Kind::Failed,
            "the repair was cut off; repeat it",
        )),
    }
}

fn failure(error: &OpenError) -> Failure {
    match error {
        OpenError::InUse { .. } => Failure::new(Kind::Failed, error).hint("stop the broker first"),
        OpenError::Foreign { path, .. } => {
            Failure::new(Kind::NotFound, format!("{path} is no data directory"))
        }
        OpenError::Newer { .. } => {
            Failure::new(Kind::Failed, error).hint("use the release that wrote it, or a newer one")
        }
        _ => Failure::new(Kind::Failed, error).hint("nothing was given up"),
    }
}

#[derive(Serialize)]
struct Kept<'a> {
    run: u64,
    rebuilt_current: bool,
    lost_lanes: &'a [u16],
    left: Vec<String>,
    items: &'a [LogRow],
}

/// Keeps what was given up beside the data.
fn keep(path: &Path, report: &RepairReport, rows: &[LogRow]) -> Result<(), Failure> {
    let file = path.join(format!("repair-{}.json", report.run));
    let kept = Kept {
        run: report.run,
        rebuilt_current: report.rebuilt_current,
        lost_lanes: &report.lost_lanes,
        left: report.left.iter().map(ToString::to_string).collect(),
        items: rows,
    };
    let failed = |error: &dyn std::fmt::Display| {
        let what = format!(
            "it is repaired, but cannot write {}: {error}",
            file.display()
        );
        Failure::new(Kind::Failed, what)
    };
    let text = serde_json::to_string_pretty(&kept).map_err(|error| failed(&error))?;
    std::fs::write(&file, text + "\n").map_err(|error| failed(&error))
}
