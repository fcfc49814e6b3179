//! The crate graph against the floor table, and what the workspace may depend on.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "test code: a failure is the report"
)]

use cargo_metadata::{DependencyKind, Metadata, MetadataCommand, Package};
use std::collections::{BTreeMap, BTreeSet};

/// The floor of every crate: a crate imports only lower floors. Source: ARCHITECTURE.md.
const FLOORS: &[(u8, &[&str])] = &[
    (0, &["engine-model"]),
    (1, &["engine-codec", "engine-config", "engine-metrics"]),
    (2, &["net-protocol"]),
    (
        3,
        &[
            "net-security",
            "replication-coordinator",
            "replication-metadata",
            "replication-partition",
            "processor-core",
        ],
    ),
    (4, &["engine-rt"]),
    (5, &["engine-log", "engine-shard", "net-transport"]),
    (6, &["net-client"]),
    (7, &["replication-runtime"]),
    (8, &["net-broker", "processor-runtime"]),
    (9, &["net-admin"]),
    (10, &["tools-node", "bench", "tests-binary"]),
    (
        11,
        &[
            "tools-odradek",
            "tests-clients",
            "tests-faults",
            "tests-floors",
            "tests-hostile",
            "tests-sim",
        ],
    ),
];

/// Libraries that only one crate may name: how a thread runs is known to `engine-rt` alone.
const RESERVED: &[(&str, &[&str])] = &[
    ("glommio", &["engine-rt"]),
    ("io-uring", &["engine-rt"]),
    ("libc", &["engine-rt"]),
    ("crossbeam-queue", &["engine-rt"]),
];

/// Licences anyone may ship.
const LICENCES: &[&str] = &[
    "Apache-2.0",
    "MIT",
    "BSD-2-Clause",
    "BSD-3-Clause",
    "ISC",
    "0BSD",
    "BSL-1.0",
    "CC0-1.0",
    "Unicode-3.0",
    "Unlicense",
    "Zlib",
    "MIT-0",
];

/// Crates under another licence, each with the reason why that is fine.
const LICENCE_EXCEPTIONS: &[(&str, &str, &str)] = &[(
    "bitmaps",
    "MPL-2.0+",
    "pulled by glommio; unmodified, file-level copyleft",
)];

/// Crates that may stand in the tree in several versions, each with the reason.
const DUPLICATES: &[(&str, &str)] = &[
    (
        "fastrand",
        "glommio's futures-lite 1 asks for version 1; tempfile, in tests only, for 2",
    ),
    (
        "getrandom",
        "glommio's ahash 0.7 asks for 0.2; tempfile and proptest, in tests only, for 0.4",
    ),
    (
        "nix",
        "glommio asks for 0.27; fuser, in tests only, for 0.31",
    ),
    (
        "syn",
        "build time only: derive macros of serde, clap and thiserror are on 3, others on 2",
    ),
];

fn metadata() -> Metadata {
    MetadataCommand::new()
        .manifest_path(concat!(env!("CARGO_MANIFEST_DIR"), "/../../Cargo.toml"))
        .other_options(vec![
            "--locked".to_owned(),
            "--filter-platform".to_owned(),
            "x86_64-unknown-linux-gnu".to_owned(),
        ])
        .exec()
        .expect("cargo metadata")
}

fn floor_of(name: &str) -> Option<u8> {
    FLOORS
        .iter()
        .find(|(_, crates)| crates.contains(&name))
        .map(|(floor, _)| *floor)
}

fn foreign(metadata: &Metadata) -> Vec<&Package> {
    let members: BTreeSet<_> = metadata.workspace_members.iter().collect();
    let resolved: BTreeSet<_> = metadata
        .resolve
        .as_ref()
        .expect("a resolved graph")
        .nodes
        .iter()
        .map(|n| &n.id)
        .collect();
    metadata
        .packages
        .iter()
        .filter(|p| resolved.contains(&p.id) && !members.contains(&p.id))
        .collect()
}

#[test]
fn packages_are_named_by_their_path() {
    let metadata = metadata();
    for package in metadata.workspace_packages() {
        let folder = package
            .manifest_path
            .parent()
            .expect("a manifest lies in a folder");
        let path = folder
            .strip_prefix(&metadata.workspace_root)
            .expect("inside the workspace");
        assert_eq!(
            package.name.as_str(),
            path.as_str().replace('/', "-"),
            "{path}"
        );
    }
}

#[test]
fn crates_import_only_lower_floors() {
    let metadata = metadata();
    let members: BTreeSet<&str> = metadata
        .workspace_packages()
        .iter()
        .map(|p| p.name.as_str())
        .collect();
    let mut broken = Vec::new();
    let mut edges = 0;
    for package in metadata.workspace_packages() {
        let Some(floor) = floor_of(&package.name) else {
            broken.push(format!("{} stands on no floor", package.name));
            continue;
        };
        for dependency in &package.dependencies {
            // Tests may look upward; the top floor composes everything.
            if dependency.kind == DependencyKind::Development
                || !members.contains(dependency.name.as_str())
            {
                continue;
            }
            edges += 1;
            let below = floor_of(&dependency.name);
            if below.is_none_or(|below| below >= floor) {
                broken.push(format!(
                    "{} (floor {floor}) imports {} (floor {below:?})",
                    package.name, dependency.name
                ));
            }
        }
    }
    assert!(
        edges > 20,
        "only {edges} edges seen: the test looks at nothing"
    );
    assert!(broken.is_empty(), "{}", broken.join("\n"));
}

#[test]
fn only_the_runtime_names_the_machine() {
    let metadata = metadata();
    let mut seen = 0;
    for package in metadata.workspace_packages() {
        for dependency in &package.dependencies {
            let Some((_, allowed)) = RESERVED.iter().find(|(name, _)| *name == dependency.name)
            else {
                continue;
            };
            seen += 1;
            assert!(
                allowed.contains(&package.name.as_str()),
                "{} may not depend on {}",
                package.name,
                dependency.name
            );
        }
    }
    assert!(
        seen >= RESERVED.len(),
        "only {seen} reserved dependencies seen"
    );
}

#[test]
fn every_licence_is_one_we_may_ship() {
    let metadata = metadata();
    let mut used = BTreeSet::new();
    let mut broken = Vec::new();
    for package in foreign(&metadata) {
        let Some(text) = &package.license else {
            broken.push(format!(
                "{} {} names no licence",
                package.name, package.version
            ));
            continue;
        };
        let exception = LICENCE_EXCEPTIONS
            .iter()
            .find(|(name, _, _)| *name == package.name.as_str());
        if let Some((name, licence, _)) = exception {
            used.insert(*name);
            if licence != text {
                broken.push(format!("{name} is {text}, its exception is for {licence}"));
            }
            continue;
        }
        let expression = spdx::Expression::parse_mode(text, spdx::ParseMode::LAX)
            .unwrap_or_else(|e| panic!("{}: {text}: {e}", package.name));
        let allowed = expression.evaluate(|requirement| {
            requirement
                .license
                .id()
                .is_some_and(|id| LICENCES.contains(&id.name))
        });
        if !allowed {
            broken.push(format!("{} {}: {text}", package.name, package.version));
        }
    }
    for (name, _, _) in LICENCE_EXCEPTIONS {
        if !used.contains(name) {
            broken.push(format!(
                "the licence exception for {name} is no longer needed"
            ));
        }
    }
    assert!(broken.is_empty(), "{}", broken.join("\n"));
}

#[test]
fn every_source_is_the_public_registry() {
    let metadata = metadata();
    let packages = foreign(&metadata);
    assert!(packages.len() > 20, "only {} packages seen", packages.len());
    for package in packages {
        assert!(
            package
                .source
                .as_ref()
                .is_some_and(cargo_metadata::Source::is_crates_io),
            "{} comes from {:?}",
            package.name,
            package.source
        );
    }
}

#[test]
fn no_crate_comes_in_two_versions_without_a_reason() {
    let metadata = metadata();
    let mut versions: BTreeMap<&str, BTreeSet<String>> = BTreeMap::new();
    for package in foreign(&metadata) {
        versions
            .entry(package.name.as_str())
            .or_default()
            .insert(package.version.to_string());
    }
    let mut broken = Vec::new();
    for (name, versions) in &versions {
        let allowed = DUPLICATES.iter().any(|(allowed, _)| allowed == name);
        if versions.len() > 1 && !allowed {
            broken.push(format!("{name} comes in {versions:?}"));
        }
        if versions.len() == 1 && allowed {
            broken.push(format!("the allowance for {name} is no longer needed"));
        }
    }
    for (name, _) in DUPLICATES {
        if !versions.contains_key(name) {
            broken.push(format!("the allowance for {name} is no longer needed"));
        }
    }
    assert!(broken.is_empty(), "{}", broken.join("\n"));
}
