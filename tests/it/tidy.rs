//! The house rules that a compiler does not know: layers, headers, lengths, words.
//!
//! Each rule collects everything that breaks it and fails once. Items under `#[cfg(test)]` are no part of the layers
//! and the lengths.

mod scan;

use std::fs;
use std::path::{Path, PathBuf};

/// Everything that serves a request: what may be seen from above `app`.
const UP_TO_APP: &[&str] = &[
    "limits",
    "model",
    "log",
    "exposition",
    "store",
    "http",
    "net",
    "cli",
    "config",
    "auth",
    "telemetry",
    "persist",
    "app",
];

/// The layers from the bottom up: a module, and the modules that it may import besides itself.
const LAYERS: &[(&str, &[&str])] = &[
    ("limits", &[]),
    ("model", &["limits"]),
    ("log", &["limits", "model"]),
    ("random", &[]),
    ("exposition", &["limits", "model"]),
    ("store", &["limits", "model"]),
    ("http", &["limits", "model"]),
    ("net", &["limits", "log"]),
    ("cli", &["limits", "model"]),
    ("config", &["limits", "model", "cli"]),
    ("auth", &["limits", "config"]),
    ("telemetry", &["limits", "model"]),
    ("persist", &["limits", "model", "store"]),
    (
        "app",
        &["limits", "model", "log", "exposition", "store", "http", "cli", "config", "auth", "telemetry", "persist"],
    ),
    ("server", UP_TO_APP),
    ("fuzz", UP_TO_APP),
    ("main", &["cli", "config", "log", "server"]),
];

/// Longest function, and the length that nine in ten functions keep. Lines; may be lowered, not raised.
const FUNCTION_LINES_MAX: usize = 70;
const FUNCTION_LINES_P90: usize = 35;

/// Longest file without its tests, lines.
const FILE_LINES_MAX: usize = 700;

/// Words that mark unfinished work or point out of the project. Put together here, as this file is searched too.
const WORDS: &[&str] = &[concat!("TO", "DO"), concat!("FIX", "ME"), concat!("dbg", "!"), concat!("../", "shared")];

/// A file of the project: its path from the root and its content.
struct Source {
    path: String,
    text: String,
}

#[test]
fn imports_point_down() {
    let mut bad = Vec::new();
    for source in production_files() {
        let module = module_of(&source.path);
        let code = scan::production(&source.text);
        let root = if module == "main" { "pushgateway" } else { "crate" };
        for (at, import) in scan::imports(&code, root) {
            if !may_import(module, import) {
                bad.push(format!("{}:{}: {module} may not import {import}", source.path, scan::line_of(&code, at)));
            }
        }
        let reach = vec!["super"; depth_of(&source.path)].join("::");
        for (at, import) in scan::imports(&code, &reach).into_iter().filter(|(_, import)| is_module(import)) {
            let line = scan::line_of(&code, at);
            bad.push(format!("{}:{line}: {import} is to be imported as crate::{import}", source.path));
        }
    }
    report(&bad);
}

#[test]
fn the_layers_are_in_order() {
    for (rank, (module, below)) in LAYERS.iter().enumerate() {
        for name in *below {
            let at = LAYERS.iter().position(|(other, _)| other == name);
            assert!(at.is_some_and(|at| at < rank), "{module} may import {name}, which is not below it");
        }
    }
}

#[test]
fn files_say_what_they_own() {
    let files = ["src", "tests/it", "fuzz/fuzz_targets", "benches"].into_iter().flat_map(rust_files);
    let silent = files.filter(|source| !source.text.starts_with("//! "));
    report(&silent.map(|source| format!("{}: no //! header", source.path)).collect::<Vec<_>>());
}

#[test]
fn functions_and_files_are_short() {
    let mut bad = Vec::new();
    let mut lengths = Vec::new();
    for source in production_files() {
        let code = scan::production(&source.text);
        let lines = source.text.lines().count() - tested_lines(&source.text);
        if lines > FILE_LINES_MAX {
            bad.push(format!("{}: {lines} lines before its tests", source.path));
        }
        for function in scan::functions(&code) {
            lengths.push(function.lines);
            if function.lines > FUNCTION_LINES_MAX {
                bad.push(format!("{}:{}: {} has {} lines", source.path, function.line, function.name, function.lines));
            }
        }
    }
    lengths.sort_unstable();
    let p90 = lengths.get(lengths.len() * 9 / 10).copied().unwrap_or(0);
    if p90 > FUNCTION_LINES_P90 {
        bad.push(format!("one function in ten has {p90} lines or more"));
    }
    report(&bad);
}

#[test]
fn nothing_is_left_lying_about() {
    let mut bad = Vec::new();
    for source in written_files() {
        for (at, line) in source.text.split('\n').enumerate() {
            let place = format!("{}:{}", source.path, at + 1);
            bad.extend(WORDS.iter().filter(|word| line.contains(**word)).map(|word| format!("{place}: {word}")));
            if line.ends_with([' ', '\t', '\r']) {
                bad.push(format!("{place}: blanks or a carriage return at the end"));
            }
        }
    }
    for source in production_files() {
        let code = scan::production(&source.text);
        for (at, _) in code.match_indices(".unwrap()") {
            bad.push(format!("{}:{}: unwrap() outside tests", source.path, scan::line_of(&code, at)));
        }
    }
    report(&bad);
}

#[track_caller]
fn report(bad: &[String]) {
    assert!(bad.is_empty(), "{} found\n{}", bad.len(), bad.join("\n"));
}

fn is_module(name: &str) -> bool {
    LAYERS.iter().any(|(module, _)| *module == name)
}

fn may_import(module: &str, import: &str) -> bool {
    module == import || LAYERS.iter().any(|(name, below)| *name == module && below.contains(&import))
}

/// The top module of a file below `src`.
fn module_of(path: &str) -> &str {
    path.trim_start_matches("src/").split(['/', '.']).next().unwrap_or_default()
}

/// How many `super` lead from a file below `src` to the root of the crate.
fn depth_of(path: &str) -> usize {
    path.trim_end_matches("/mod.rs").matches('/').count()
}

/// How many lines the items under `#[cfg(test)]` take.
fn tested_lines(text: &str) -> usize {
    let code = scan::code(text);
    scan::test_items(&code).into_iter().map(|item| code[item].matches('\n').count() + 1).sum()
}

/// The files below `src` but for modules declared under `#[cfg(test)]` and the modules inside them.
fn production_files() -> Vec<Source> {
    let mut files = rust_files("src");
    let tests: Vec<String> = files.iter().flat_map(test_modules).collect();
    let is_inside = |path: &str, test: &String| path.starts_with(&test.replace(".rs", "/"));
    files.retain(|source| !tests.iter().any(|test| *test == source.path || is_inside(&source.path, test)));
    files
}

/// The files of the modules that a file declares under `#[cfg(test)]`.
fn test_modules(source: &Source) -> Vec<String> {
    let code = scan::code(&source.text);
    let folder = source.path.trim_end_matches(".rs").trim_end_matches("/lib");
    let items = scan::test_items(&code).into_iter().map(|item| &code[item]);
    let names = items.filter_map(|item| item.strip_suffix(';')?.rsplit_once("mod "));
    names.map(|(_, name)| format!("{folder}/{name}.rs")).collect()
}

/// The Rust files below a folder.
fn rust_files(folder: &str) -> Vec<Source> {
    let files = files_below(&root().join(folder));
    let rust = files.into_iter().filter(|path| path.extension().is_some_and(|extension| extension == "rs"));
    rust.map(|path| read(&path)).collect()
}

/// Everything that people write: sources, scripts and papers, but no data.
fn written_files() -> Vec<Source> {
    let mut paths: Vec<PathBuf> = ["Makefile", "Cargo.toml", "README.md", "ARCHITECTURE.md", "CHANGELOG.md"]
        .map(|name| root().join(name))
        .into_iter()
        .filter(|path| path.exists())
        .collect();
    for folder in
        ["src", "tests/it", "tests/clients", "tests/browser", "fuzz/fuzz_targets", "benches", "bench", "contrib", ".ci"]
    {
        paths.extend(files_below(&root().join(folder)));
    }
    paths.retain(|path| path.extension().is_none_or(|extension| extension != "png"));
    paths.iter().map(|path| read(path)).collect()
}

/// All files below a folder in the order of their names; none if there is no such folder.
fn files_below(folder: &Path) -> Vec<PathBuf> {
    let Ok(entries) = fs::read_dir(folder) else { return Vec::new() };
    let mut paths: Vec<PathBuf> = entries.map(|entry| entry.expect("the folder can be read").path()).collect();
    paths.retain(|path| !path.ends_with("__pycache__") && !path.ends_with("target"));
    paths.sort();
    paths.into_iter().flat_map(|path| if path.is_dir() { files_below(&path) } else { vec![path] }).collect()
}

fn read(path: &Path) -> Source {
    let text = fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    let path = path.strip_prefix(root()).expect("the file is below the root").display().to_string();
    Source { path, text }
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

#[test]
fn modules_and_depths_are_read_from_paths() {
    for (path, module, depth) in
        [("src/store.rs", "store", 1), ("src/store/page.rs", "store", 2), ("src/main.rs", "main", 1)]
    {
        assert_eq!((module_of(path), depth_of(path)), (module, depth), "{path}");
    }
    let source = Source { path: "src/http.rs".to_owned(), text: "mod a;\n#[cfg(test)]\nmod replay;\n".to_owned() };
    assert_eq!(test_modules(&source), ["src/http/replay.rs"]);
    assert!(may_import("store", "model") && may_import("store", "store"));
    assert!(!may_import("store", "exposition") && !may_import("model", "store") && !may_import("lib", "model"));
}
