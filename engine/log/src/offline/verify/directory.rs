//! The check of a whole directory.

use super::finding::{Finding, Problem, Severity};
use super::manifest::{Manifest, Slot, read_slot};
use super::segment::{Seen, SegmentCheck};
use super::single::verify_file;
use super::{Files, Unreadable, frames};
use crate::directory::{lane_file_name, manifest_file_name, segments_directory};
use crate::epochs::LeaderEpochs;
use crate::format::{
    CURRENT_BYTES_MAX, Current, FileId, FormatError, LaneImage, LogImage, ManifestPlace,
    SegmentImage,
};
use crate::offline::{FileKind, LogPicture, Picture, file_kind};
use crate::producers::Producers;
use crate::segment::file_name;
use crate::store::inline;
use engine_model::LogId;
use std::collections::{BTreeMap, BTreeSet};

/// What a check saw.
#[derive(Clone, Debug, Default)]
pub struct Verified {
    /// `CURRENT`, if it can be read.
    pub current: Option<Current>,
    /// The logs, as a start would find them.
    pub picture: Picture,
    /// Logs whose lane lost a durable frame: a start sets all of them apart.
    pub suspects: BTreeSet<LogId>,
    /// Files that were looked at.
    pub files: u64,
    /// Bytes of them.
    pub bytes: u64,
}

/// Checks a directory, or one file of it against the others; each finding goes to `find`.
///
/// `only` is the path of that file. Errors: the directory cannot be listed.
pub fn verify_directory(
    files: &mut impl Files,
    only: Option<&str>,
    mut find: impl FnMut(Finding),
) -> Result<Verified, Unreadable> {
    let sizes: BTreeMap<String, u64> = files.list()?.into_iter().collect();
    let mut check = Check {
        files,
        sizes,
        only,
        find: |finding: Finding| {
            if only.is_none_or(|only| only == finding.file) {
                find(finding);
            }
        },
        verified: Verified::default(),
        named: BTreeSet::new(),
        manifests: BTreeMap::new(),
        segments: BTreeMap::new(),
    };
    check.run();
    Ok(check.verified)
}

struct Check<'a, F, S> {
    files: &'a mut F,
    sizes: BTreeMap<String, u64>,
    only: Option<&'a str>,
    find: S,
    verified: Verified,
    /// Paths that something names.
    named: BTreeSet<String>,
    /// The manifest that names a log.
    manifests: BTreeMap<LogId, String>,
    /// Which log a segment belongs to.
    segments: BTreeMap<FileId, LogId>,
}

impl<F: Files, S: FnMut(Finding)> Check<'_, F, S> {
    fn run(&mut self) {
        match read_current(self.files) {
            Ok(current) => {
                self.verified.current = Some(current.clone());
                for lane in &current.lanes {
                    self.lane(&current, lane);
                }
            }
            Err(problem) => {
                self.find("CURRENT", 0, problem, Severity::Damage);
                self.each_by_itself();
            }
        }
        self.named.insert("CURRENT".to_owned());
        let logs: Vec<LogPicture> = self.verified.picture.logs.values().cloned().collect();
        for log in &logs {
            self.log(log);
        }
        if self.verified.current.is_some() {
            self.unnamed();
        }
    }

    fn find(&mut self, file: &str, position: u64, problem: Problem, severity: Severity) {
        (self.find)(Finding::new(file, position, problem, severity));
    }

    /// Nothing says what belongs to what: what each file tells of itself can be checked.
    fn each_by_itself(&mut self) {
        let paths: Vec<(String, u64)> = self.sizes.clone().into_iter().collect();
        for (path, size) in paths {
            let is_asked = self.only.is_none_or(|only| only == path);
            if is_asked && path != "CURRENT" {
                self.count(size);
                if let Err(error) = verify_file(self.files, &path, &mut self.find) {
                    let problem = Problem::Unreadable { errno: error.errno };
                    self.find(&path, 0, problem, Severity::Damage);
                }
            }
        }
    }

    fn count(&mut self, bytes: u64) {
        self.verified.files = self.verified.files.saturating_add(1);
        self.verified.bytes = self.verified.bytes.saturating_add(bytes);
    }

    fn lane(&mut self, current: &Current, lane: &LaneImage) {
        for file in &lane.files {
            self.named.insert(lane_file_name(file.file));
            self.verified.files = self.verified.files.saturating_add(1);
        }
        let Some(manifest) = self.manifest(current, lane) else {
            let [slot, _] = lane.manifests;
            let problem = Problem::NoManifest { lane: lane.lane };
            self.find(&manifest_file_name(slot), 0, problem, Severity::Damage);
            return;
        };
        let mut ids: Vec<LogId> = Vec::with_capacity(manifest.logs.len());
        for image in manifest.logs {
            self.image(&manifest.path, &image);
            ids.push(image.id);
            self.manifests.insert(image.id, manifest.path.clone());
            self.verified.picture.add(image);
        }
        let sizes = &self.sizes;
        let replayed = frames::replay(
            self.files,
            &|path: &str| sizes.get(path).copied(),
            current,
            lane,
            &manifest.head,
            &mut self.verified.picture,
            &mut self.find,
        );
        self.verified.bytes = self.verified.bytes.saturating_add(replayed.bytes);
        if replayed.is_cut {
            ids.extend(replayed.created);
            ids.retain(|id| self.verified.picture.logs.contains_key(id));
            self.verified.suspects.extend(ids);
        }
    }

    /// The newest manifest of this run; what else the slots hold is told.
    fn manifest(&mut self, current: &Current, lane: &LaneImage) -> Option<Manifest> {
        let mut newest: Option<Manifest> = None;
        let mut problems = Vec::new();
        for slot in lane.manifests {
            let path = manifest_file_name(slot);
            let size = self.sizes.get(&path).copied();
            self.count(size.unwrap_or(0));
            let place = ManifestPlace {
                directory: current.directory,
                lane: lane.lane,
                file: slot,
            };
            match read_slot(self.files, &path, size, place) {
                Slot::Whole(manifest) if manifest.head.run == current.run => {
                    if newest.as_ref().is_none_or(|n| n.number < manifest.number) {
                        newest = Some(manifest);
                    }
                }
                Slot::Whole(manifest) => {
                    let error = FormatError::Field {
                        what: "manifest",
                        field: "run",
                        value: manifest.head.run,
                    };
                    problems.push((path.clone(), 0, Problem::Manifest(error)));
                }
                Slot::Empty => {}
                Slot::Missing => problems.push((path.clone(), 0, Problem::Missing)),
                Slot::Broken { position, problem } => {
                    problems.push((path.clone(), position, problem));
                }
            }
            self.named.insert(path);
        }
        for (path, position, problem) in problems {
            let severity = match &problem {
                // A slot is written over as a whole: a crash tears it, and the other one counts.
                Problem::Manifest(FormatError::Newer { .. }) => Severity::Damage,
                Problem::Manifest(_) if newest.is_some() && !current.clean => Severity::Note,
                _ if newest.is_some() => Severity::Spare,
                _ => Severity::Damage,
            };
            self.find(&path, position, problem, severity);
        }
        newest
    }

    /// Checks the state in a row of a manifest.
    fn image(&mut self, path: &str, image: &LogImage) {
        let epochs = LeaderEpochs::decode(inline(&image.epochs)).map(drop);
        let producers = Producers::decode(inline(&image.producers)).map(drop);
        for (state, decoded) in [("epochs", epochs), ("producers", producers)] {
            if let Err(error) = decoded {
                let problem = Problem::State { state, error };
                let mut finding = Finding::new(path, 0, problem, Severity::Damage);
                finding.log = Some(image.id);
                (self.find)(finding);
            }
        }
        for segment in &image.segments {
            self.named.insert(segment_path(segment.file));
        }
    }

    fn log(&mut self, log: &LogPicture) {
        let problem = if log.quarantined {
            Some(Problem::Quarantined)
        } else {
            log.misfit.map(Problem::Misfit)
        };
        for problem in problem.into_iter().chain(order(log)) {
            // A log without a row was made in the lane, after the manifest.
            let file = self
                .manifests
                .get(&log.id)
                .map_or("CURRENT", String::as_str);
            let mut finding = Finding::new(file, 0, problem, Severity::Damage);
            finding.log = Some(log.id);
            (self.find)(finding);
        }
        for segment in &log.segments {
            let path = segment_path(segment.file);
            self.named.insert(path.clone());
            if let Some(other) = self.segments.insert(segment.file, log.id)
                && other != log.id
            {
                let problem = Problem::Misfit("two logs name the same segment");
                let mut finding = Finding::new(&path, 0, problem, Severity::Damage);
                finding.log = Some(log.id);
                (self.find)(finding);
            }
            if self.only.is_none_or(|only| only == path) {
                self.segment(log, segment, &path);
            }
        }
    }

    fn segment(&mut self, log: &LogPicture, image: &SegmentImage, path: &str) {
        let find = &mut self.find;
        let mut tell = |mut finding: Finding| {
            // What lies before the start was deleted, and goes with its segment.
            let is_gone = image.end_offset <= log.log_start
                || finding
                    .offsets
                    .is_some_and(|(_, last)| last < log.log_start);
            if is_gone {
                finding.severity = Severity::Spare;
            }
            find(finding);
        };
        let Some(size) = self.sizes.get(path).copied() else {
            let mut finding = Finding::new(path, 0, Problem::Missing, Severity::Damage);
            finding.log = Some(log.id);
            finding.offsets = (image.base_offset < image.end_offset).then(|| {
                let last = image.end_offset.get().saturating_sub(1);
                (image.base_offset, engine_model::Offset::new(last))
            });
            return tell(finding);
        };
        let mut check = SegmentCheck::new(log.id, *image);
        let mut see = |seen: Seen<'_>| {
            if let Seen::Finding(finding) = seen {
                tell(finding);
            }
        };
        while let Some((position, bytes)) = check.wants() {
            self.files.progress(path, position);
            match self.files.read(path, position, bytes) {
                Ok(bytes) => check.take(&bytes, &mut see),
                Err(error) => check.unreadable(error.errno),
            }
        }
        check.finish(&mut see);
        self.count(size.min(image.bytes));
    }

    /// Tells the files that nothing names.
    fn unnamed(&mut self) {
        for path in self.sizes.keys() {
            let name = path.rsplit('/').next().unwrap_or(path);
            let problem = match file_kind(name) {
                FileKind::Empty => continue,
                FileKind::Foreign => Problem::Foreign,
                _ if self.named.contains(path) => continue,
                _ => Problem::Orphan,
            };
            (self.find)(Finding::new(path, 0, problem, Severity::Note));
        }
    }
}

/// Path of a segment file.
fn segment_path(file: FileId) -> String {
    format!("{}/{}", segments_directory(), file_name(file))
}

/// Reads `CURRENT`.
pub(super) fn read_current(files: &mut impl Files) -> Result<Current, Problem> {
    let bytes = files
        .read("CURRENT", 0, CURRENT_BYTES_MAX.saturating_add(1))
        .map_err(|error| Problem::Unreadable { errno: error.errno })?;
    Current::decode(&bytes).map_err(Problem::Current)
}

/// The first contradiction among the offsets of a log.
fn order(log: &LogPicture) -> Option<Problem> {
    let out = |what, previous, found| {
        Some(Problem::Order {
            what,
            previous,
            found,
        })
    };
    let mut end = engine_model::Offset::ZERO;
    for segment in &log.segments {
        if segment.base_offset < end {
            return out("offsets of segments", end, segment.base_offset);
        }
        end = segment.end_offset;
    }
    for batch in &log.lane {
        if batch.first < end {
            return out("offsets of the lane", end, batch.first);
        }
        end = batch.last.saturating_next();
    }
    if log.log_end < end {
        return out("end of the log", end, log.log_end);
    }
    if log.log_end < log.log_start {
        return out("end of the log", log.log_start, log.log_end);
    }
    None
}
