//! The file system of the other tests behaves as a file system, and fails when told to.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "test code: a failure is the report"
)]

use std::fs::{self, File, OpenOptions};
use std::io::{Read, Write};
use std::os::unix::fs::FileExt;
use tests_faults::{Fault, Files, Place, Verb, may_mount};

#[test]
fn files_are_written_read_renamed_cut_and_removed() {
    if !may_mount() {
        return;
    }
    let place = Place::new();
    let files = Files::default();
    let (path, _session) = place.mount_files("files", &files);
    fs::create_dir(path.join("folder")).unwrap();
    fs::write(path.join("folder/old"), vec![1; 5000]).unwrap();
    fs::write(path.join("new"), vec![2; 4096]).unwrap();
    fs::rename(path.join("new"), path.join("folder/old")).unwrap();
    let mut room = vec![9; (1 << 20) + 1];
    let count = File::open(path.join("folder/old"))
        .unwrap()
        .read(&mut room)
        .unwrap();
    assert_eq!(count, 4096);
    assert_eq!(fs::read(path.join("folder/old")).unwrap(), vec![2; 4096]);

    let file = OpenOptions::new()
        .read(true)
        .write(true)
        .open(path.join("folder/old"))
        .unwrap();
    file.write_all_at(&[3; 100], 10_000).unwrap();
    assert_eq!(file.metadata().unwrap().len(), 10_100);
    file.set_len(10_050).unwrap();
    assert_eq!(file.read_at(&mut room, 9_990).unwrap(), 60);
    assert_eq!(&room[..10], &[0; 10]);
    assert_eq!(&room[10..60], &[3; 50]);

    let names: Vec<_> = fs::read_dir(path.join("folder"))
        .unwrap()
        .map(|e| e.unwrap().file_name())
        .collect();
    assert_eq!(names, ["old"]);
    fs::remove_file(path.join("folder/old")).unwrap();
    assert_eq!(
        file.read_at(&mut room, 0).unwrap(),
        10_050,
        "open files live on"
    );
    drop(file);
    fs::remove_dir(path.join("folder")).unwrap();
    assert_eq!(fs::read_dir(&path).unwrap().count(), 0);
}

#[test]
fn faults_hit_what_they_name_as_often_as_they_say() {
    if !may_mount() {
        return;
    }
    let place = Place::new();
    let files = Files::default();
    let (path, _session) = place.mount_files("files", &files);
    let mut bad = File::create(path.join("bad")).unwrap();
    let mut good = File::create(path.join("good")).unwrap();
    files.switches().fail(Fault {
        verb: Verb::Write,
        path_holds: "bad".to_owned(),
        skips: 1,
        times: 2,
        errno: 5,
    });
    good.write_all(b"x").unwrap();
    bad.write_all(b"x").unwrap();
    for _ in 0..2 {
        assert_eq!(bad.write_all(b"x").unwrap_err().raw_os_error(), Some(5));
    }
    bad.write_all(b"y").unwrap();
    assert_eq!(fs::read(path.join("bad")).unwrap(), b"xy");
    files.switches().cut();
    assert_eq!(bad.sync_all().unwrap_err().raw_os_error(), Some(5));
    assert!(fs::read(path.join("good")).is_err());
    assert_eq!(files.switches().counts().faults, 2);
}
