//! A data directory as recovery would see it: manifests, and the frames that follow them.

use super::source::{Source, unreadable};
use super::walk::{Found, Stands, batches_of, to_u64, walk_lane, walk_segment};
use crate::failure::{Failure, Kind};
use bytes::Bytes;
use engine_log::format::{
    Current, Entry, ExtentKind, FRAME_HEADER_BYTES, FileId, FormatError, FramePlace, FrameView,
    LaneImage, LogImage, MANIFEST_PIECE_BYTES, ManifestHead, ManifestPlace, ManifestReader,
    SegmentImage,
};
use engine_log::offline::{
    Chain, FrameAt, LaneBatch, LogPicture, Picture, Verdict, frame_at, whole_frame,
};
use engine_model::{LogId, TopicId};
use replication_metadata::MetadataRecord;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// The most bytes that the records of a batch may grow to.
pub const DECOMPRESSED_BYTES_MAX: usize = 256 << 20;

/// Something that is not what was written.
#[derive(Clone, Debug)]
pub struct Damage {
    pub path: PathBuf,
    pub position: u64,
    pub what: String,
}

/// A manifest as read.
pub struct Manifest {
    pub file: FileId,
    pub number: u64,
    pub head: ManifestHead,
    pub logs: Vec<LogImage>,
}

/// A lane.
pub struct Lane {
    pub image: LaneImage,
    pub manifest: Option<(FileId, u64, ManifestHead)>,
    pub chain: Chain,
    /// Where each frame that would be applied lies, by sequence.
    live: BTreeMap<u64, FramePlace>,
    pub frames: FrameCounts,
}

/// How many frames and bytes of them a lane has of each sort.
#[derive(Clone, Copy, Debug, Default)]
pub struct FrameCounts {
    pub live: u64,
    pub live_bytes: u64,
    pub old: u64,
    pub torn: u64,
    pub damaged: u64,
}

/// A whole directory.
pub struct Directory {
    pub path: PathBuf,
    pub current: Current,
    pub lanes: Vec<Lane>,
    pub picture: Picture,
    pub names: BTreeMap<TopicId, String>,
    pub damage: Vec<Damage>,
}

/// The lane file that the last frame was read from: the next one is often in what was read with it.
type OpenLane = Option<(FileId, Source)>;

/// Reads CURRENT.
pub fn read_current(path: &Path) -> Result<Current, Failure> {
    let mut source = Source::open(path)?;
    let bytes = source.at(0, engine_log::format::CURRENT_BYTES_MAX + 1)?;
    Current::decode(&bytes)
        .map_err(|error| Failure::new(Kind::Failed, format!("{}: {error}", path.display())))
}

/// Reads one slot. The outer error: the file cannot be read; the inner: it holds no manifest.
pub fn read_manifest(
    path: &Path,
    place: ManifestPlace,
) -> Result<Result<Manifest, (u64, FormatError)>, Failure> {
    let mut source = Source::open(path)?;
    let mut reader = ManifestReader::new(place);
    let mut logs = Vec::new();
    let mut position = 0_u64;
    while !reader.is_complete() {
        let bytes = source.at(position, MANIFEST_PIECE_BYTES)?;
        match reader.piece(&bytes, &mut logs) {
            Ok(taken) => position = position.saturating_add(to_u64(taken)),
            Err(error) => return Ok(Err((position, error))),
        }
    }
    Ok(match reader.finish() {
        Ok((number, head)) => Ok(Manifest {
            file: place.file,
            number,
            head,
            logs,
        }),
        Err(error) => Err((position, error)),
    })
}

impl Directory {
    /// Reads what the directory is made of.
    ///
    /// Errors: `CURRENT` cannot be read. Anything else that cannot be read is damage.
    pub fn load(path: &Path) -> Result<Self, Failure> {
        let file = path.join("CURRENT");
        if !file.exists() {
            let what = format!("{} is no data directory: it has no CURRENT", path.display());
            return Err(Failure::new(Kind::NotFound, what));
        }
        let current = read_current(&file).map_err(|failure| {
            failure.hint("the files of the directory can be dumped one by one")
        })?;
        let mut directory = Self {
            path: path.to_owned(),
            lanes: Vec::new(),
            picture: Picture::default(),
            names: BTreeMap::new(),
            damage: Vec::new(),
            current,
        };
        for image in directory.current.lanes.clone() {
            directory.load_lane(image)?;
        }
        directory.load_names()?;
        Ok(directory)
    }

    pub fn manifest_path(&self, file: FileId) -> PathBuf {
        self.path.join(format!("{file}.manifest"))
    }

    pub fn lane_path(&self, file: FileId) -> PathBuf {
        self.path.join(format!("{file}.lane"))
    }

    pub fn segment_path(&self, file: FileId) -> PathBuf {
        self.path.join("segments").join(format!("{file}.segment"))
    }

    fn damaged(&mut self, path: PathBuf, position: u64, what: impl std::fmt::Display) {
        let what = what.to_string();
        self.damage.push(Damage {
            path,
            position,
            what,
        });
    }

    /// The newest manifest of a lane that is whole and of this run.
    fn newest_manifest(&mut self, image: &LaneImage) -> Option<Manifest> {
        let mut newest: Option<Manifest> = None;
        let mut problems = Vec::new();
        for file in image.manifests {
            let path = self.manifest_path(file);
            if !path.exists() {
                continue;
            }
            let place = ManifestPlace {
                directory: self.current.directory,
                lane: image.lane,
                file,
            };
            match read_manifest(&path, place) {
                Ok(Ok(manifest)) if manifest.head.run == self.current.run => {
                    if newest.as_ref().is_none_or(|n| n.number < manifest.number) {
                        newest = Some(manifest);
                    }
                }
                // A slot of an older run, which nothing reads any more.
                Ok(Ok(_)) => {}
                Ok(Err((position, error))) => problems.push((path, position, error.to_string())),
                Err(failure) => problems.push((path, 0, failure.to_string())),
            }
        }
        if newest.is_none() {
            if problems.is_empty() {
                let [slot, _] = image.manifests;
                problems.push((
                    self.manifest_path(slot),
                    0,
                    "there is no manifest".to_owned(),
                ));
            }
            for (path, position, what) in problems {
                self.damaged(path, position, what);
            }
        }
        newest
    }

    fn load_lane(&mut self, image: LaneImage) -> Result<(), Failure> {
        let manifest = self.newest_manifest(&image);
        let sequence = manifest.as_ref().map_or(u64::MAX - 1, |m| m.head.sequence);
        let mut lane = Lane {
            manifest: manifest.as_ref().map(|m| (m.file, m.number, m.head)),
            chain: Chain::new(self.current.run, sequence),
            live: BTreeMap::new(),
            frames: FrameCounts::default(),
            image,
        };
        for log in manifest.map(|manifest| manifest.logs).unwrap_or_default() {
            self.picture.add(log);
        }
        let mut headers = Vec::new();
        for file in &lane.image.files {
            let path = self.lane_path(file.file);
            let mut source = match Source::open(&path) {
                Ok(source) => source,
                Err(failure) => {
                    self.damaged(path, 0, failure);
                    continue;
                }
            };
            walk_lane(&mut source, Some(&self.current), file.file, |header| {
                headers.push(*header);
                Ok(())
            })?;
        }
        for header in &headers {
            lane.chain.add(header);
        }
        self.replay(&mut lane);
        for header in &headers {
            match lane.chain.verdict(header) {
                Verdict::Live => {
                    lane.frames.live += 1;
                    lane.frames.live_bytes += to_u64(header.frame_bytes());
                }
                Verdict::Old => lane.frames.old += 1,
                Verdict::Torn => lane.frames.torn += 1,
                Verdict::Damaged => lane.frames.damaged += 1,
            }
        }
        self.lanes.push(lane);
        Ok(())
    }

    /// Applies the frames behind the manifest, up to the first that is missing or not sound.
    fn replay(&mut self, lane: &mut Lane) {
        let following: Vec<(u64, FramePlace)> = lane.chain.following().collect();
        let mut expected = following.first().map(|(sequence, _)| *sequence);
        let mut problem = None;
        let mut open = None;
        for (sequence, place) in following {
            let frame = match self.frame(&mut open, &place) {
                Ok(frame) => frame,
                Err(what) => {
                    problem = Some((self.lane_path(place.file), place.position, what));
                    break;
                }
            };
            lane.live.insert(sequence, place);
            for (number, (_, entry)) in frame.entries().enumerate() {
                if let Ok(entry) = entry {
                    self.picture.apply(&entry, sequence, number);
                }
            }
            expected = Some(sequence.saturating_add(1));
        }
        let head = lane.manifest.map(|(_, _, head)| head.sequence);
        let end = expected.or(head.map(|sequence| sequence.saturating_add(1)));
        let Some(end) = end else { return };
        lane.chain.settle(end);
        if lane.chain.is_damaged() {
            let file = lane.image.files.first().map(|file| file.file);
            let path = self.lane_path(file.unwrap_or_default());
            let missing = (
                path,
                0,
                format!("frame {end}, which was durable, is not there"),
            );
            let (path, position, what) = problem.unwrap_or(missing);
            self.damaged(path, position, what);
        }
    }

    /// Reads a frame and checks all of it.
    fn frame(&self, open: &mut OpenLane, place: &FramePlace) -> Result<FrameView, String> {
        let read = || -> Result<Bytes, Failure> {
            let source = match open {
                Some((file, source)) if *file == place.file => source,
                other => {
                    let source = Source::open(&self.lane_path(place.file))?;
                    &mut other.insert((place.file, source)).1
                }
            };
            let head = source.at(place.position, FRAME_HEADER_BYTES)?;
            let needed = match frame_at(&head, None, place.file, place.position) {
                FrameAt::Header(header) => header.frame_bytes(),
                FrameAt::Nothing => return Ok(head),
            };
            source.at(place.position, needed)
        };
        let bytes = read().map_err(|failure| failure.to_string())?;
        whole_frame(&bytes, place).map_err(|error| error.to_string())
    }

    /// Learns the names of topics from the metadata log.
    fn load_names(&mut self) -> Result<(), Failure> {
        let logs = self.picture.logs.values();
        let metadata = logs
            .filter(|log| log.partition.topic_id == TopicId::CLUSTER_METADATA)
            .cloned()
            .collect::<Vec<_>>();
        let mut names = BTreeMap::new();
        names.insert(TopicId::CLUSTER_METADATA, "__cluster_metadata".to_owned());
        for log in metadata {
            self.batches(&log, |found| {
                if let Ok(found) = found {
                    let records = replication_metadata::decode_batch(&found.batch);
                    for (_, record) in records.unwrap_or_default() {
                        if let MetadataRecord::Topic { topic_id, name, .. } = record {
                            names.insert(topic_id, name.to_string());
                        }
                    }
                }
                Ok(())
            })?;
        }
        self.names = names;
        Ok(())
    }

    /// Shows the batches of a log in order of their offsets: those of its segments, then those that
    /// only the lane holds; damage where there is some.
    pub fn batches(
        &self,
        log: &LogPicture,
        mut show: impl FnMut(Result<Found, Damage>) -> Result<(), Failure>,
    ) -> Result<(), Failure> {
        for segment in &log.segments {
            self.segment_batches(log.id, segment, &mut show)?;
        }
        // Lanes number their frames by themselves; a log's entries are all in one of them.
        let mut frame: Option<(FramePlace, FrameView)> = None;
        let mut open = None;
        for spot in &log.lane {
            let mut found = None;
            for lane in &self.lanes {
                let Some(place) = lane.live.get(&spot.sequence) else {
                    continue;
                };
                if frame.as_ref().is_none_or(|(cached, _)| cached != place) {
                    frame = self.frame(&mut open, place).ok().map(|view| (*place, view));
                }
                let view = frame.as_ref().map(|(_, view)| view);
                found = view.and_then(|view| batch_at(view, log.id, spot));
                if found.is_some() {
                    break;
                }
            }
            show(found.ok_or_else(|| Damage {
                path: self.path.clone(),
                position: 0,
                what: format!("the batch at offset {} is no more in its lane", spot.first),
            }))?;
        }
        Ok(())
    }

    fn segment_batches(
        &self,
        log: LogId,
        segment: &SegmentImage,
        show: &mut impl FnMut(Result<Found, Damage>) -> Result<(), Failure>,
    ) -> Result<(), Failure> {
        let path = self.segment_path(segment.file);
        let damage = |position: u64, what: String| Damage {
            path: path.clone(),
            position,
            what,
        };
        let mut source = match Source::open(&path) {
            Ok(source) => source,
            Err(failure) => return show(Err(damage(0, failure.to_string()))),
        };
        let size = source.size();
        if size < segment.bytes {
            let what = format!("the file has {size} of {} bytes", segment.bytes);
            show(Err(damage(size, what)))?;
        }
        let place = Some((log, segment.file));
        walk_segment(
            &mut source,
            place,
            Some(segment.bytes),
            |stands| match stands {
                Stands::Damage {
                    position,
                    bytes,
                    error,
                } => show(Err(damage(
                    position,
                    format!("{error}; {bytes} bytes passed over"),
                ))),
                Stands::Extent { position, view, .. }
                    if view.header.kind == ExtentKind::Records =>
                {
                    let start =
                        position.saturating_add(to_u64(engine_log::format::EXTENT_HEADER_BYTES));
                    let (found, problem) = batches_of(&view.payload, start);
                    for found in found {
                        // What lies behind was cut away.
                        if found.batch.header().base_offset < segment.end_offset {
                            show(Ok(found))?;
                        }
                    }
                    match problem {
                        Some((position, what)) => show(Err(damage(position, what))),
                        None => Ok(()),
                    }
                }
                Stands::Extent { .. } => Ok(()),
            },
        )
    }

    /// Segment files that no manifest or frame names, with their bytes.
    pub fn unnamed_segments(&self) -> Result<(u64, u64), Failure> {
        let path = self.path.join("segments");
        let named: std::collections::BTreeSet<FileId> = self
            .picture
            .logs
            .values()
            .flat_map(|log| log.segments.iter().map(|segment| segment.file))
            .collect();
        let (mut count, mut bytes) = (0, 0);
        let entries = match std::fs::read_dir(&path) {
            Ok(entries) => entries,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok((0, 0)),
            Err(error) => return Err(unreadable(&path, &error)),
        };
        for entry in entries {
            let entry = entry.map_err(|error| unreadable(&path, &error))?;
            let name = entry.file_name();
            let kind = engine_log::offline::file_kind(&name.to_string_lossy());
            if let engine_log::offline::FileKind::Segment(file) = kind
                && !named.contains(&file)
            {
                count += 1;
                bytes += entry.metadata().map_or(0, |metadata| metadata.len());
            }
        }
        Ok((count, bytes))
    }
}

fn batch_at(view: &FrameView, log: LogId, spot: &LaneBatch) -> Option<Found> {
    let (row, entry) = view.entries().nth(spot.entry)?;
    let Ok(Entry::Append { records, .. }) = entry else {
        return None;
    };
    if row.log != log {
        return None;
    }
    let (found, _) = batches_of(&records, view.header().place.position);
    found.into_iter().nth(spot.batch)
}
