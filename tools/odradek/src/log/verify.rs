//! `odradek log verify`.

use super::disk::Disk;
use super::source::unreadable;
use crate::cli::{Format, Global, VerifyArguments};
use crate::failure::{Failure, Kind};
use crate::output::{self, Row};
use engine_log::offline::verify::{
    Files, Finding, Severity, Unreadable, Verified, verify_directory, verify_file,
};
use engine_log::offline::{FileKind, file_kind};
use engine_model::TopicId;
use serde::Serialize;
use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};

/// The most findings that are told one by one.
const FINDINGS_MAX: usize = 100_000;

#[derive(Serialize)]
struct FindingRow {
    severity: &'static str,
    problem: &'static str,
    file: String,
    position: u64,
    bytes: u64,
    log: Option<String>,
    topic: Option<String>,
    partition: Option<i32>,
    first_offset: Option<i64>,
    last_offset: Option<i64>,
    what: String,
}

impl Row for FindingRow {
    const COLUMNS: &'static [&'static str] = &[
        "SEVERITY", "PROBLEM", "FILE", "POSITION", "BYTES", "LOG", "TOPIC", "OFFSETS", "WHAT",
    ];

    fn cells(&self) -> Vec<String> {
        let topic = match (&self.topic, self.partition) {
            (Some(topic), Some(partition)) => format!("{topic}-{partition}"),
            _ => String::new(),
        };
        let offsets = match (self.first_offset, self.last_offset) {
            (Some(first), Some(last)) => format!("{first}..={last}"),
            _ => String::new(),
        };
        vec![
            self.severity.to_owned(),
            self.problem.to_owned(),
            self.file.clone(),
            self.position.to_string(),
            self.bytes.to_string(),
            self.log.clone().unwrap_or_default(),
            topic,
            offsets,
            self.what.clone(),
        ]
    }

    fn name(&self) -> String {
        format!("{}@{}", self.file, self.position)
    }
}

/// What a check of a path found.
pub struct Checked {
    /// Damage first to last, notes among it.
    pub findings: Vec<Finding>,
    /// What the directory holds, if there is one.
    pub verified: Verified,
}

/// The directory that a path is in, and the path in it, if it is a file.
fn locate(path: &Path) -> Result<(PathBuf, Option<String>), Failure> {
    let metadata = std::fs::metadata(path).map_err(|error| unreadable(path, &error))?;
    if metadata.is_dir() {
        return Ok((path.to_owned(), None));
    }
    let name = path
        .file_name()
        .map(|name| name.to_string_lossy().into_owned())
        .unwrap_or_default();
    if file_kind(&name) == FileKind::Foreign {
        let what = format!("{} is no file of a data directory", path.display());
        return Err(Failure::new(Kind::Usage, what)
            .hint("CURRENT, *.lane, *.manifest, segments/*.segment, or the directory"));
    }
    let absolute = std::path::absolute(path).map_err(|error| unreadable(path, &error))?;
    let parent = absolute.parent().unwrap_or(Path::new("/"));
    let is_segment = matches!(file_kind(&name), FileKind::Segment(_));
    match parent.parent() {
        Some(root) if is_segment && parent.file_name().is_some_and(|n| n == "segments") => {
            Ok((root.to_owned(), Some(format!("segments/{name}"))))
        }
        _ => Ok((parent.to_owned(), Some(name))),
    }
}

/// Checks a directory or a file of one. What is found where a broker may be running counts when a
/// second look finds it too.
pub fn check(path: &Path, is_quiet: bool) -> Result<Checked, Failure> {
    let (root, only) = locate(path)?;
    let mut disk = Disk::new(&root, is_quiet);
    if only.is_none() && !disk.is_data_directory()? {
        let what = format!("{} is no data directory: it has no CURRENT", root.display());
        return Err(Failure::new(Kind::NotFound, what));
    }
    let mut checked = pass(&mut disk, &root, only.as_deref())?;
    let is_clean = checked.verified.current.as_ref().is_some_and(|c| c.clean);
    if !is_clean && checked.findings.iter().any(is_damage) {
        let again = pass(&mut disk, &root, only.as_deref())?;
        let key = |finding: &Finding| {
            let name = finding.problem.name();
            (finding.file.clone(), finding.position, name)
        };
        let seen: std::collections::BTreeSet<_> = again.findings.iter().map(key).collect();
        checked
            .findings
            .retain(|finding| !is_damage(finding) || seen.contains(&key(finding)));
    }
    disk.end_progress();
    Ok(checked)
}

fn is_damage(finding: &Finding) -> bool {
    finding.severity > Severity::Note
}

fn pass(disk: &mut impl Files, root: &Path, only: Option<&str>) -> Result<Checked, Failure> {
    let failed = |error: Unreadable| unreadable(root, &io::Error::from_raw_os_error(error.errno));
    let mut findings = Vec::new();
    let mut find = |finding: Finding| {
        if findings.len() < FINDINGS_MAX {
            findings.push(finding);
        }
    };
    let has_current = root.join("CURRENT").exists();
    let verified = if only.is_none() || has_current {
        verify_directory(disk, only, &mut find).map_err(failed)?
    } else {
        Verified::default()
    };
    if let Some(only) = only
        && (!has_current || findings.iter().any(|f| f.problem.name() == "orphan"))
    {
        let mut find = |finding: Finding| findings.push(finding);
        verify_file(disk, only, &mut find).map_err(failed)?;
    }
    Ok(Checked { findings, verified })
}

/// Runs it.
pub fn run(global: &Global, arguments: &VerifyArguments) -> Result<(), Failure> {
    let checked = check(&arguments.path, global.quiet)?;
    let count = checked.findings.iter().filter(|f| is_damage(f)).count();
    let (root, _) = locate(&arguments.path)?;
    let names = if count > 0 {
        super::topic_names(&root)
    } else {
        BTreeMap::new()
    };
    let rows: Vec<FindingRow> = checked
        .findings
        .iter()
        .filter(|finding| arguments.notes || is_damage(finding))
        .map(|finding| row(finding, &checked.verified, &names))
        .collect();
    if !rows.is_empty() || global.format() != Format::Table {
        output::print(global.format(), &rows)?;
    }
    let Verified { files, bytes, .. } = checked.verified;
    output::note(
        global.quiet,
        &format!("{files} files, {} MiB checked", bytes >> 20),
    );
    super::damaged(u64::try_from(count).unwrap_or(u64::MAX))
}

fn row(finding: &Finding, verified: &Verified, names: &BTreeMap<TopicId, String>) -> FindingRow {
    let log = finding.log.and_then(|id| verified.picture.logs.get(&id));
    let topic = |id: TopicId| names.get(&id).cloned().unwrap_or_else(|| id.to_string());
    FindingRow {
        severity: finding.severity.name(),
        problem: finding.problem.name(),
        file: finding.file.clone(),
        position: finding.position,
        bytes: finding.bytes,
        log: finding.log.map(|id| id.to_string()),
        topic: log.map(|log| topic(log.partition.topic_id)),
        partition: log.map(|log| log.partition.partition.get()),
        first_offset: finding.offsets.map(|(first, _)| first.get()),
        last_offset: finding.offsets.map(|(_, last)| last.get()),
        what: finding.problem.to_string(),
    }
}
