//! Tells the program which compiler built it; cargo itself does not.

use std::process::Command;

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-env-changed=RUSTC");
    let rustc = std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
    let output = Command::new(rustc).arg("--version").output().map(|output| output.stdout).unwrap_or_default();
    // `rustc 1.95.0 (59807616e 2026-04-14)`: the commit adds nothing to the version of a release.
    let text = String::from_utf8_lossy(&output);
    let words: Vec<&str> = text.split_whitespace().take(2).collect();
    println!("cargo::rustc-env=PUSHGATEWAY_RUSTC={}", words.join(" "));
}
