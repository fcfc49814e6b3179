//! What every source file of the tree keeps: a module doc, and `unsafe` in one crate only.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "test code: a failure is the report"
)]

use std::fs;
use std::path::{Path, PathBuf};

const ROOT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../..");
const FOLDERS: &[&str] = &[
    "engine",
    "net",
    "replication",
    "processor",
    "bench",
    "tools",
    "tests",
];

fn sources() -> Vec<(String, String)> {
    let mut files = Vec::new();
    let mut folders: Vec<PathBuf> = FOLDERS.iter().map(|f| Path::new(ROOT).join(f)).collect();
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).unwrap_or_else(|e| panic!("{}: {e}", folder.display())) {
            let path = entry.expect("a folder entry").path();
            let name = path
                .file_name()
                .and_then(|n| n.to_str())
                .unwrap_or_default();
            if path.is_dir() && name != "target" && !name.starts_with('.') {
                folders.push(path);
            } else if path.extension().is_some_and(|e| e == "rs") {
                let text = fs::read_to_string(&path).expect("a source file in UTF-8");
                let path = path
                    .strip_prefix(ROOT)
                    .expect("below the root")
                    .display()
                    .to_string();
                files.push((path, text));
            }
        }
    }
    assert!(files.len() > 20, "only {} files seen", files.len());
    files
}

#[test]
fn every_file_opens_with_what_it_is() {
    let missing: Vec<String> = sources()
        .into_iter()
        .filter(|(_, text)| !text.starts_with("//!"))
        .map(|(path, _)| path)
        .collect();
    assert!(missing.is_empty(), "no module doc in {missing:#?}");
}

#[test]
fn unsafe_is_allowed_in_the_runtime_only() {
    let lint = concat!("unsafe", "_code");
    for (path, text) in sources() {
        assert!(
            path.starts_with("engine/rt/") || !text.contains(lint),
            "{path} names the lint {lint}: `unsafe` belongs to engine/rt"
        );
    }
}

#[test]
fn no_module_file_is_called_mod() {
    for (path, _) in sources() {
        assert!(
            !path.ends_with("/mod.rs"),
            "{path}: the parent is x.rs beside x/"
        );
    }
}
