//! Files and directories: contents, sizes, errors.

use std::future::poll_fn;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::Poll;
use std::time::Duration;

use bytes::Bytes;
use engine_rt::{AlignedBuf, Dir, EntryKind, Error, FileOptions};

use crate::{Said, check, program};

fn said<T: std::fmt::Debug>(name: &str, result: Result<T, Error>) -> String {
    match result {
        Ok(value) => format!("{name}: {value:?}"),
        Err(error) => format!("{name}: errno {}", error.errno),
    }
}

#[test]
fn contents_and_sizes_are_the_same() {
    check(
        &[&[
            "size 0",
            "short read b\"\"",
            "gap b\"\\0\\0\\0abc\"",
            "vectored b\"xyz123\"",
            "end b\"23\"",
            "allocated 20000 0",
            "cut 4 b\"\\0\\0\\0\\0\"",
            "grown b\"\\0\\0\\0\\0\\0\\0\"",
            "big true",
        ]],
        |_| {
            vec![program(|path| async move {
                let mut out = Said::new();
                let dir = Dir::create(&path).await.unwrap();
                let file = dir.open_file("a", FileOptions::CREATE_NEW).await.unwrap();
                out.push(format!("size {}", file.size().await.unwrap()));
                out.push(format!(
                    "short read {:?}",
                    file.read_at(0, 10).await.unwrap()
                ));
                file.write_at(5000, Bytes::from_static(b"abc"))
                    .await
                    .unwrap();
                out.push(format!("gap {:?}", file.read_at(4997, 100).await.unwrap()));
                let list = ["", "xyz", "", "123"].map(Bytes::from).to_vec();
                file.write_vectored_at(5003, list).await.unwrap();
                out.push(format!(
                    "vectored {:?}",
                    file.read_at(5003, 6).await.unwrap()
                ));
                out.push(format!("end {:?}", file.read_at(5007, 6).await.unwrap()));
                file.sync_data().await.unwrap();
                file.allocate(10_000, 10_000).await.unwrap();
                let tail = file.read_at(19_999, 5).await.unwrap();
                out.push(format!(
                    "allocated {} {}",
                    file.size().await.unwrap(),
                    tail[0]
                ));
                file.truncate(4).await.unwrap();
                let all = file.read_at(0, 100).await.unwrap();
                out.push(format!("cut {} {all:?}", file.size().await.unwrap()));
                file.truncate(5006).await.unwrap();
                file.sync_all().await.unwrap();
                out.push(format!("grown {:?}", file.read_at(5000, 6).await.unwrap()));
                let big: Vec<u8> = (0..300_000_u32).flat_map(u32::to_le_bytes).collect();
                let big = Bytes::from(big);
                file.write_at(777, big.clone()).await.unwrap();
                out.push(format!(
                    "big {}",
                    file.read_at(777, 2_000_000).await.unwrap() == big
                ));
                out
            })]
        },
    );
}

#[test]
fn direct_files_read_any_range_and_write_blocks() {
    check(
        &[&[
            "12288",
            "errno 22",
            "errno 22",
            "true true true",
            "4096",
            "0",
        ]],
        |_| {
            vec![program(|path| async move {
                let dir = Dir::create(&path).await.unwrap();
                let file = dir
                    .open_file("a", FileOptions::CREATE_NEW.direct())
                    .await
                    .unwrap();
                let mut buffer = AlignedBuf::with_capacity(8192);
                for byte in 0..8192_u32 {
                    buffer.extend_from_slice(&[u8::try_from(byte % 251).unwrap()]);
                }
                let block = buffer.freeze();
                file.write_at(4096, block.clone()).await.unwrap();
                file.sync_data().await.unwrap();
                let mut out = vec![file.size().await.unwrap().to_string()];
                for (offset, data) in [(100, block.clone()), (0, block.slice(..100))] {
                    // Without direct I/O below (a file system that has none) there is no such rule.
                    let errno = if file.is_direct() {
                        file.write_at(offset, data).await.unwrap_err().errno
                    } else {
                        22
                    };
                    out.push(format!("errno {errno}"));
                }
                let whole = file.read_at(4096, 8192).await.unwrap();
                let inner = file.read_at(4099, 5000).await.unwrap();
                let past = file.read_at(12_000, 5000).await.unwrap();
                out.push(format!(
                    "{} {} {}",
                    whole == block,
                    inner == block.slice(3..5003),
                    past == block.slice(7904..)
                ));
                out.push(file.read_at(0, 4096).await.unwrap().len().to_string());
                out.push(file.read_at(12_288, 10).await.unwrap().len().to_string());
                out
            })]
        },
    );
}

#[test]
fn names_and_errors_are_the_same() {
    check(
        &[&[
            "open missing: errno 2",
            "open root missing: errno 2",
            "create: ()",
            "create again: errno 17",
            "new again: errno 17",
            "directory as file: errno 21",
            "file as directory: errno 20",
            "remove full: errno 39",
            "remove dir as file: errno 21",
            "remove file as dir: errno 20",
            "slash: errno 22",
            "dots: errno 22",
            "rename missing: errno 2",
            "rename: ()",
            "exists: false true",
            "content: b\"old\"",
            "unlinked reads: b\"old\"",
            "lock: errno 11",
            "lock again: true",
            "write to a file for reading: errno 9",
            "list: a=File lock=File sub=Directory",
        ]],
        |_| {
            vec![program(|path| async move {
                let mut out = Said::new();
                let dir = Dir::create(&path).await.unwrap();
                // A second time is no error.
                let dir_again = Dir::create(&path).await.unwrap();
                dir.sync().await.unwrap();
                drop(dir_again);
                out.push(said(
                    "open missing",
                    dir.open_file("x", FileOptions::READ).await,
                ));
                out.push(said("open root missing", Dir::open(path.join("x/y")).await));
                out.push(said("create", dir.create_dir("sub").await));
                out.push(said("create again", dir.create_dir("sub").await));
                let sub = dir.open_dir("sub").await.unwrap();
                let new = FileOptions::CREATE_NEW;
                let file = sub.open_file("f", new).await.unwrap();
                out.push(said("new again", sub.open_file("f", new).await));
                out.push(said(
                    "directory as file",
                    dir.open_file("sub", FileOptions::READ_WRITE).await,
                ));
                out.push(said("file as directory", sub.open_dir("f").await));
                out.push(said("remove full", dir.remove_dir("sub").await));
                out.push(said("remove dir as file", dir.remove_file("sub").await));
                out.push(said("remove file as dir", sub.remove_dir("f").await));
                out.push(said("slash", sub.open_file("a/b", new).await));
                out.push(said("dots", sub.open_dir("..").await));
                out.push(said("rename missing", sub.rename("g", "h").await));
                file.write_at(0, Bytes::from_static(b"old")).await.unwrap();
                let other = sub.open_file("g", new).await.unwrap();
                other.write_at(0, Bytes::from_static(b"new")).await.unwrap();
                out.push(said("rename", sub.rename("f", "g").await));
                let exists = (
                    sub.exists("f").await.unwrap(),
                    sub.exists("g").await.unwrap(),
                );
                out.push(format!("exists: {} {}", exists.0, exists.1));
                let found = sub.open_file("g", FileOptions::READ).await.unwrap();
                out.push(said("content", found.read_at(0, 9).await));
                sub.remove_file("g").await.unwrap();
                out.push(said("unlinked reads", file.read_at(0, 9).await));
                let lock = dir.lock("lock").await.unwrap();
                out.push(said("lock", dir.lock("lock").await));
                drop(lock);
                // Giving up is an operation of its own, so the next may come before it.
                let mut again = dir.lock("lock").await;
                while again.is_err() {
                    engine_rt::sleep(Duration::from_millis(1)).await;
                    again = dir.lock("lock").await;
                }
                out.push(format!("lock again: {}", again.is_ok()));
                let a = dir.open_file("a", new).await.unwrap();
                drop(a);
                let a = dir.open_file("a", FileOptions::READ).await.unwrap();
                let written = a.write_at(0, Bytes::from_static(b"x")).await;
                out.push(said("write to a file for reading", written));
                let entries = dir.list().await.unwrap();
                let entries: Vec<String> = entries
                    .into_iter()
                    .map(|entry| {
                        assert_ne!(entry.kind, EntryKind::Other);
                        format!("{}={:?}", entry.name, entry.kind)
                    })
                    .collect();
                out.push(format!("list: {}", entries.join(" ")));
                assert!(dir.free_space().await.unwrap() > 0);
                out
            })]
        },
    );
}

/// Block-aligned bytes that say when they are gone.
struct Watched {
    bytes: Bytes,
    gone: Arc<AtomicBool>,
}

impl AsRef<[u8]> for Watched {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

impl Drop for Watched {
    fn drop(&mut self) {
        self.gone.store(true, Ordering::SeqCst);
    }
}

#[test]
fn a_dropped_write_goes_on_with_its_buffer_and_then_lets_it_go() {
    check(&[&["dropped 20, written 20"]], |_| {
        vec![program(|path| async move {
            let dir = Dir::create(&path).await.unwrap();
            let (mut dropped, mut written) = (0, 0);
            for round in 0..20_u8 {
                let name = round.to_string();
                let file = dir
                    .open_file(&name, FileOptions::CREATE_NEW.direct())
                    .await
                    .unwrap();
                let mut buffer = AlignedBuf::with_capacity(4096);
                buffer.extend_from_slice(&[round + 1; 4096]);
                let gone = Arc::new(AtomicBool::new(false));
                let bytes = buffer.freeze();
                let data = Bytes::from_owner(Watched {
                    bytes,
                    gone: Arc::clone(&gone),
                });
                let mut write = Box::pin(file.write_at(0, data));
                // One poll submits it, and then nobody waits for it any more.
                let polled = poll_fn(|cx| Poll::Ready(write.as_mut().poll(cx).is_pending())).await;
                assert!(polled && !gone.load(Ordering::SeqCst));
                drop(write);
                // The last handle: the descriptor must outlive it as well.
                drop(file);
                while !gone.load(Ordering::SeqCst) {
                    engine_rt::sleep(Duration::from_micros(50)).await;
                }
                dropped += 1;
                let file = dir.open_file(&name, FileOptions::READ).await.unwrap();
                let found = file.read_at(0, 5000).await.unwrap();
                // A short write that nobody continues is possible only above one block.
                written += u32::from(found == [round + 1; 4096][..]);
            }
            vec![format!("dropped {dropped}, written {written}")]
        })]
    });
}
