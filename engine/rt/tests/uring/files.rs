//! Files and directories on a real file system.

use std::os::unix::fs::PermissionsExt;

use bytes::Bytes;
use engine_rt::{AlignedBuf, BLOCK_BYTES, Dir, EntryKind, FileOptions};

use crate::on_one;

#[test]
fn what_is_made_is_private_and_durable_to_sync() {
    let scratch = tempfile::tempdir().unwrap();
    let path = scratch.path().join("deep/er");
    let made = path.clone();
    on_one(move || async move {
        let dir = Dir::create(&made).await.unwrap();
        dir.create_dir("sub").await.unwrap();
        dir.open_file("file", FileOptions::CREATE_NEW)
            .await
            .unwrap();
        dir.sync().await.unwrap();
        dir.open_dir("sub").await.unwrap().sync().await.unwrap();
        // Once more, over what is there.
        Dir::create(&made).await.unwrap();
    });
    let permissions =
        |path: &std::path::Path| path.metadata().unwrap().permissions().mode() & 0o777;
    for (name, expected) in [("", 0o700), ("sub", 0o700), ("file", 0o600)] {
        assert_eq!(permissions(&path.join(name)), expected, "{name:?}");
    }
    assert_eq!(permissions(path.parent().unwrap()), 0o700);
}

#[test]
fn names_are_listed_renamed_and_removed() {
    let scratch = tempfile::tempdir().unwrap();
    let path = scratch.path().to_owned();
    on_one(move || async move {
        let dir = Dir::open(&path).await.unwrap();
        for name in ["c", "a", "b"] {
            dir.open_file(name, FileOptions::CREATE_NEW).await.unwrap();
        }
        dir.create_dir("d").await.unwrap();
        std::os::unix::fs::symlink("a", path.join("link")).unwrap();
        let list = |entries: Vec<engine_rt::Entry>| {
            entries
                .into_iter()
                .map(|e| (e.name, e.kind))
                .collect::<Vec<_>>()
        };
        let expected = [
            ("a", EntryKind::File),
            ("b", EntryKind::File),
            ("c", EntryKind::File),
            ("d", EntryKind::Directory),
            ("link", EntryKind::Other),
        ];
        let expected = expected.map(|(name, kind)| (name.to_owned(), kind));
        assert_eq!(list(dir.list().await.unwrap()), expected);
        assert_eq!(list(dir.list().await.unwrap()), expected, "a second time");

        dir.rename("a", "b").await.unwrap();
        assert!(!dir.exists("a").await.unwrap());
        assert!(dir.exists("b").await.unwrap());
        assert!(dir.rename("a", "z").await.unwrap_err().is_not_found());
        dir.remove_file("b").await.unwrap();
        assert!(dir.remove_file("b").await.unwrap_err().is_not_found());
        dir.remove_dir("d").await.unwrap();
        assert!(dir.free_space().await.unwrap() > 0);
    });
}

#[test]
fn errors_name_operation_and_target() {
    let scratch = tempfile::tempdir().unwrap();
    let path = scratch.path().to_owned();
    on_one(move || async move {
        let dir = Dir::open(&path).await.unwrap();
        let error = dir.open_file("gone", FileOptions::READ).await.unwrap_err();
        assert_eq!((error.operation, error.errno), ("open", libc::ENOENT));
        assert_eq!(&*error.target, format!("{}/gone", path.display()));
        assert!(error.to_string().starts_with("cannot open "), "{error}");
        dir.open_file("there", FileOptions::CREATE_NEW)
            .await
            .unwrap();
        let error = dir
            .open_file("there", FileOptions::CREATE_NEW)
            .await
            .unwrap_err();
        assert!(error.is_already_exists());
        assert!(
            Dir::open(path.join("nowhere"))
                .await
                .unwrap_err()
                .is_not_found()
        );
    });
}

#[test]
fn names_with_more_than_one_component_and_links_are_refused() {
    let scratch = tempfile::tempdir().unwrap();
    let path = scratch.path().to_owned();
    on_one(move || async move {
        let dir = Dir::open(&path).await.unwrap();
        let long = "x".repeat(256);
        for name in [
            "",
            ".",
            "..",
            "a/b",
            "/etc/passwd",
            "../x",
            "a\0b",
            long.as_str(),
        ] {
            for result in [
                dir.open_file(name, FileOptions::READ).await.map(drop),
                dir.create_dir(name).await,
                dir.remove_file(name).await,
                dir.rename(name, "x").await,
            ] {
                assert_eq!(result.unwrap_err().errno, libc::EINVAL, "{name:?}");
            }
        }
        std::fs::write(path.join("target"), b"x").unwrap();
        std::fs::create_dir(path.join("folder")).unwrap();
        std::os::unix::fs::symlink("target", path.join("link")).unwrap();
        std::os::unix::fs::symlink("folder", path.join("folder-link")).unwrap();
        let error = dir.open_file("link", FileOptions::READ).await.unwrap_err();
        assert_eq!(error.errno, libc::ELOOP);
        assert!(dir.open_dir("folder-link").await.is_err());
    });
}

#[test]
fn sizes_change_as_told_and_holes_read_as_zeros() {
    let scratch = tempfile::tempdir().unwrap();
    let path = scratch.path().to_owned();
    on_one(move || async move {
        let dir = Dir::open(&path).await.unwrap();
        let file = dir.open_file("x", FileOptions::CREATE_NEW).await.unwrap();
        file.allocate(0, 10_000).await.unwrap();
        assert_eq!(file.size().await.unwrap(), 10_000);
        file.write_at(5, Bytes::from_static(b"abc")).await.unwrap();
        file.truncate(7).await.unwrap();
        assert_eq!(file.read_at(0, 100).await.unwrap(), b"\0\0\0\0\0ab"[..]);
        assert_eq!(file.read_at(7, 10).await.unwrap(), b""[..]);
        assert_eq!(file.read_at(1000, 10).await.unwrap(), b""[..]);
        assert_eq!(file.read_at(3, 0).await.unwrap(), b""[..]);
        file.truncate(20).await.unwrap();
        assert_eq!(file.size().await.unwrap(), 20);
        file.sync_all().await.unwrap();
    });
}

#[test]
fn direct_files_read_anything_and_write_whole_blocks_only() {
    let scratch = tempfile::Builder::new()
        .tempdir_in(env!("CARGO_TARGET_TMPDIR"))
        .unwrap();
    let path = scratch.path().to_owned();
    on_one(move || async move {
        let dir = Dir::open(&path).await.unwrap();
        let file = dir
            .open_file("x", FileOptions::CREATE_NEW.direct())
            .await
            .unwrap();
        let mut buffer = AlignedBuf::with_capacity(3 * BLOCK_BYTES);
        let pattern: Vec<u8> = (0..10_000_u32)
            .map(|n| u8::try_from(n % 251).unwrap())
            .collect();
        buffer.extend_from_slice(&pattern);
        buffer.pad_to_block();
        let blocks = buffer.freeze();
        file.write_at(0, blocks.clone()).await.unwrap();
        file.write_vectored_at(12_288, vec![blocks.slice(..4096), blocks.slice(8192..)])
            .await
            .unwrap();
        file.sync_data().await.unwrap();
        for (offset, length) in [(0, 10_000), (1, 1), (4095, 2), (5000, 5000), (9999, 1)] {
            let start = usize::try_from(offset).unwrap();
            let read = file.read_at(offset, length).await.unwrap();
            assert_eq!(read, pattern[start..start + length], "{length} at {offset}");
        }
        assert_eq!(
            file.read_at(16_384, 100).await.unwrap(),
            blocks.slice(8192..8292)
        );
        assert_eq!(
            file.read_at(20_000, 10_000).await.unwrap().len(),
            480,
            "up to the end"
        );
        assert_eq!(
            file.read_at(4096, 4096).await.unwrap().as_ptr().addr() % BLOCK_BYTES,
            0
        );
        if file.is_direct() {
            for (offset, chunk) in [
                (1, blocks.clone()),
                (0, blocks.slice(1..4097)),
                (0, blocks.slice(..100)),
            ] {
                let error = file.write_at(offset, chunk).await.unwrap_err();
                assert_eq!(error.errno, libc::EINVAL);
            }
        }
        // A file that ends inside a block reads up to its end.
        file.truncate(5000).await.unwrap();
        assert_eq!(file.read_at(4000, 4000).await.unwrap(), pattern[4000..5000]);
    });
}

#[test]
fn direct_files_fall_back_to_the_page_cache_where_there_is_no_direct_io() {
    on_one(|| async {
        let dir = Dir::open("/proc/self").await.unwrap();
        let file = dir
            .open_file("status", FileOptions::READ.direct())
            .await
            .unwrap();
        assert!(!file.is_direct());
        assert!(file.read_at(0, 5).await.unwrap().starts_with(b"Name:"));
    });
}

#[test]
fn many_chunks_are_written_in_order() {
    let scratch = tempfile::tempdir().unwrap();
    let path = scratch.path().to_owned();
    on_one(move || async move {
        let dir = Dir::open(&path).await.unwrap();
        let file = dir.open_file("x", FileOptions::CREATE_NEW).await.unwrap();
        // More than one entry of the ring may carry (1024), some of them empty.
        let chunks: Vec<Bytes> = (0..5000_usize)
            .map(|n| Bytes::from(vec![u8::try_from(n % 256).unwrap(); n % 7]))
            .collect();
        let flat: Vec<u8> = chunks.iter().flatten().copied().collect();
        file.write_vectored_at(11, chunks).await.unwrap();
        assert_eq!(file.read_at(11, flat.len() + 5).await.unwrap(), flat);
    });
}
