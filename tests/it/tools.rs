//! Finds and runs the programs of real peers. A missing one fails the test with the command that installs it.

use std::io::Write;
use std::path::PathBuf;
use std::process::{Command, Output, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};

/// Runs a program to its end, feeding `input` to it, and returns what it said.
pub fn run(command: &mut Command, input: &[u8], install: &str) -> Output {
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap_or_else(|error| missing(command, &error, install));
    let mut stdin = child.stdin.take().expect("stdin is piped");
    // The program may end without reading its input; its output tells why.
    let _ = stdin.write_all(input);
    drop(stdin);
    child.wait_with_output().expect("the output can be read")
}

/// Fails the test with the command that installs the program.
pub fn missing(command: &Command, error: &std::io::Error, install: &str) -> ! {
    panic!("cannot run {}: {error}\ninstall it with: {install}", command.get_program().display());
}

/// Stdout and stderr of a run, for messages.
pub fn said(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

/// An empty directory of the test's own below the target directory; removed when dropped.
pub struct Scratch(pub PathBuf);

impl Scratch {
    /// Makes the directory.
    pub fn new(name: &str) -> Scratch {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let unique = format!("{name}-{}-{}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed));
        let path = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(unique);
        std::fs::create_dir_all(&path).expect("the target directory can be written");
        Scratch(path)
    }

    /// Writes a file into it and returns its path.
    pub fn file(&self, name: &str, content: impl AsRef<[u8]>) -> PathBuf {
        let path = self.0.join(name);
        std::fs::write(&path, content).expect("the target directory can be written");
        path
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}
