//! Tells the program which compiler built it, as cargo itself does not, and packs the assets of the web page.

use std::fmt::Write as _;
use std::io::Write as _;
use std::path::Path;
use std::process::Command;
use std::{env, fs};

use flate2::Compression;
use flate2::write::GzEncoder;

/// Where the page's files are written by hand.
const ASSETS: &str = "src/app/page/assets";

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-env-changed=RUSTC");
    let rustc = env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
    let output = Command::new(rustc).arg("--version").output().map(|output| output.stdout).unwrap_or_default();
    // `rustc 1.95.0 (59807616e 2026-04-14)`: the commit adds nothing to the version of a release.
    let text = String::from_utf8_lossy(&output);
    let words: Vec<&str> = text.split_whitespace().take(2).collect();
    println!("cargo::rustc-env=PUSHGATEWAY_RUSTC={}", words.join(" "));
    if env::var_os("CARGO_FEATURE_UI").is_some() {
        pack_assets();
    }
}

/// Compresses the files that the page links, and writes `assets.rs`: a hash over all of them, and each with its own.
/// The page itself is not among them: its links depend on flags.
fn pack_assets() {
    println!("cargo::rerun-if-changed={ASSETS}");
    let entries = fs::read_dir(ASSETS).expect("the assets are part of the sources");
    let mut paths: Vec<_> = entries.map(|entry| entry.expect("the folder can be read").path()).collect();
    paths.sort();
    paths.retain(|path| !path.ends_with("index.html"));
    let out = env::var("OUT_DIR").expect("cargo sets it");
    let (mut table, mut all) = (String::new(), Vec::new());
    for path in &paths {
        println!("cargo::rerun-if-changed={}", path.display());
        let name = path.file_name().and_then(|name| name.to_str()).expect("assets have plain names");
        let content = fs::read(path).expect("the assets can be read");
        let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
        encoder.write_all(&content).expect("writing to memory does not fail");
        let packed = encoder.finish().expect("writing to memory does not fail");
        let packed_path = Path::new(&out).join(format!("{name}.gz"));
        fs::write(&packed_path, packed).expect("the output folder can be written");
        let (hash, packed_path) = (hash(&content), packed_path.display().to_string());
        writeln!(
            table,
            "    File {{ name: {name:?}, tag: \"{hash:016x}\", packed: include_bytes!({packed_path:?}) }},"
        )
        .expect("writing to memory does not fail");
        all.extend_from_slice(name.as_bytes());
        all.extend_from_slice(&hash.to_le_bytes());
    }
    let text = format!("const VERSION: &str = \"{:016x}\";\nconst FILES: &[File] = &[\n{table}];\n", hash(&all));
    fs::write(Path::new(&out).join("assets.rs"), text).expect("the output folder can be written");
}

/// FNV-1a: it has to tell one build's files from another's, and nobody gains from a collision.
fn hash(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(0x100_0000_01b3))
}
