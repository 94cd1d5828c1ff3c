//! What the project is built from: licences that go with its own, stable releases out of the registry, and a reason for
//! each that it asks for itself.
//!
//! Advisories are not looked up: their list is in no package registry.

use std::collections::BTreeSet;
use std::path::Path;
use std::process::Command;

use serde_json::Value;

/// Licences that ask for no more than to be named. An expression has to offer one of them in each of its parts.
const LICENCES: [&str; 8] = ["Apache-2.0", "BSD-3-Clause", "ISC", "MIT", "NCSA", "Unicode-3.0", "Unlicense", "Zlib"];

/// All packages that the manifest in this folder leads to, those for tests and for other systems included.
fn packages(folder: &str) -> Vec<Value> {
    let manifest = Path::new(env!("CARGO_MANIFEST_DIR")).join(folder).join("Cargo.toml");
    let cargo = std::env::var("CARGO").unwrap_or_else(|_| "cargo".to_owned());
    let output = Command::new(cargo)
        .args(["metadata", "--format-version=1", "--locked", "--all-features", "--manifest-path"])
        .arg(&manifest)
        .output()
        .expect("cargo can be run");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let metadata: Value = serde_json::from_slice(&output.stdout).expect("cargo writes JSON");
    metadata["packages"].as_array().expect("there are packages").clone()
}

/// Whether an SPDX expression is satisfied by [`LICENCES`]. `/` is an old way to write OR; nothing is nested deeper here.
fn is_allowed(expression: &str) -> bool {
    let plain = expression.replace(['(', ')'], "").replace('/', " OR ");
    plain.split(" AND ").all(|part| part.split(" OR ").any(|licence| LICENCES.contains(&licence.trim())))
}

#[test]
fn licences_and_sources_are_as_they_may_be() {
    let mut bad = BTreeSet::new();
    for package in ["", "fuzz"].into_iter().flat_map(packages) {
        let text = |key: &str| package[key].as_str().unwrap_or_default();
        let (name, version, source) = (text("name"), text("version"), text("source"));
        if name.starts_with("pushgateway") {
            continue;
        }
        if !is_allowed(text("license")) {
            bad.insert(format!("{name} {version}: licence {:?}", text("license")));
        }
        if !source.starts_with("registry+") {
            bad.insert(format!("{name} {version}: not from the registry but {source:?}"));
        }
        if version.split('+').next().is_some_and(|version| version.contains('-')) {
            bad.insert(format!("{name} {version}: not a stable release"));
        }
    }
    assert!(bad.is_empty(), "{bad:#?}");
}

#[test]
fn every_dependency_has_its_reason() {
    let architecture = std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("ARCHITECTURE.md"));
    let architecture = architecture.expect("it can be read");
    let own = packages("").into_iter().find(|package| package["name"] == "pushgateway").expect("it is there");
    for dependency in own["dependencies"].as_array().expect("it has dependencies") {
        let name = dependency["name"].as_str().expect("it has a name");
        let is_told = name == "pushgateway" || architecture.contains(&format!("`{name}`"));
        assert!(is_told, "ARCHITECTURE.md says nothing of {name}");
    }
}

#[test]
fn expressions_are_understood() {
    for (expression, expected) in [
        ("MIT", true),
        ("MIT/Apache-2.0", true),
        ("GPL-3.0 OR MIT", true),
        ("(MIT OR Apache-2.0) AND Unicode-3.0", true),
        ("MIT AND GPL-3.0", false),
        ("GPL-3.0", false),
        ("", false),
    ] {
        assert_eq!(is_allowed(expression), expected, "{expression}");
    }
}
