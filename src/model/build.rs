//! How this program was built, in the forms of `--version`, the log and the build metric (SPEC 11.1, 13, 7.8).
//!
//! Go's names for keys and platforms are kept, since scripts and dashboards match them; what is not known is empty.

use std::fmt;

/// Build information. The reference fills it at link time; here it comes from the environment of the compiler.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Build {
    /// The program's version.
    pub version: &'static str,
    /// The commit it was built from (`PUSHGATEWAY_REVISION`).
    pub revision: &'static str,
    /// The branch of that commit (`PUSHGATEWAY_BRANCH`).
    pub branch: &'static str,
    /// Who built it (`PUSHGATEWAY_BUILD_USER`).
    pub user: &'static str,
    /// When it was built (`PUSHGATEWAY_BUILD_DATE`).
    pub date: &'static str,
    /// The compiler, under the key where the original has Go's version: `rustc 1.95.0`.
    pub go_version: &'static str,
    /// The operating system, as Go calls it.
    pub goos: &'static str,
    /// The architecture, as Go calls it.
    pub goarch: &'static str,
    /// Build tags, of which there are none.
    pub tags: &'static str,
}

impl Build {
    /// The build of this program.
    pub const fn current() -> Self {
        Self {
            version: env!("CARGO_PKG_VERSION"),
            revision: or_empty(option_env!("PUSHGATEWAY_REVISION")),
            branch: or_empty(option_env!("PUSHGATEWAY_BRANCH")),
            user: or_empty(option_env!("PUSHGATEWAY_BUILD_USER")),
            date: or_empty(option_env!("PUSHGATEWAY_BUILD_DATE")),
            go_version: env!("PUSHGATEWAY_RUSTC"),
            goos: GOOS,
            goarch: GOARCH,
            tags: "",
        }
    }

    /// The six lines of `--version`, without a line feed at the end.
    pub fn version_text(self) -> impl fmt::Display {
        fmt::from_fn(move |f| {
            let Self { version, revision, branch, user, date, go_version, goos, goarch, tags } = self;
            write!(f, "pushgateway, version {version} (branch: {branch}, revision: {revision})")?;
            let platform = fmt::from_fn(|f| write!(f, "{goos}/{goarch}"));
            let lines: [(&str, &dyn fmt::Display); 5] = [
                ("build user:", &user),
                ("build date:", &date),
                ("go version:", &go_version),
                ("platform:", &platform),
                ("tags:", &tags),
            ];
            lines.iter().try_for_each(|(key, value)| write!(f, "\n  {key:<18}{value}"))
        })
    }

    /// The value of `version` in the first log line.
    pub fn info(self) -> impl fmt::Display {
        let Self { version, revision, branch, .. } = self;
        fmt::from_fn(move |f| write!(f, "(version={version}, branch={branch}, revision={revision})"))
    }

    /// The value of `build_context` in the second log line.
    pub fn context(self) -> impl fmt::Display {
        let Self { go_version, goos, goarch, user, date, tags, .. } = self;
        fmt::from_fn(move |f| {
            write!(f, "(go={go_version}, platform={goos}/{goarch}, user={user}, date={date}, tags={tags})")
        })
    }
}

const fn or_empty(value: Option<&'static str>) -> &'static str {
    match value {
        Some(value) => value,
        None => "",
    }
}

const GOOS: &str = if cfg!(target_os = "macos") { "darwin" } else { std::env::consts::OS };

const GOARCH: &str = if cfg!(target_arch = "x86_64") {
    "amd64"
} else if cfg!(target_arch = "x86") {
    "386"
} else if cfg!(target_arch = "aarch64") {
    "arm64"
} else if cfg!(target_arch = "loongarch64") {
    "loong64"
} else if cfg!(all(target_arch = "powerpc64", target_endian = "little")) {
    "ppc64le"
} else if cfg!(target_arch = "powerpc64") {
    "ppc64"
} else {
    std::env::consts::ARCH
};

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shown_as_the_original_shows_it() {
        let build = Build {
            version: "1.2.3",
            revision: "abc",
            branch: "main",
            user: "me@here",
            date: "20260101-00:00:00",
            go_version: "rustc 1.95.0",
            goos: "linux",
            goarch: "amd64",
            tags: "",
        };
        let expected = "pushgateway, version 1.2.3 (branch: main, revision: abc)\n  build user:       me@here\n  \
            build date:       20260101-00:00:00\n  go version:       rustc 1.95.0\n  platform:         linux/amd64\n  \
            tags:             ";
        assert_eq!(build.version_text().to_string(), expected);
        assert_eq!(build.info().to_string(), "(version=1.2.3, branch=main, revision=abc)");
        let context = "(go=rustc 1.95.0, platform=linux/amd64, user=me@here, date=20260101-00:00:00, tags=)";
        assert_eq!(build.context().to_string(), context);
    }

    #[test]
    fn the_current_build_names_its_compiler() {
        assert!(Build::current().go_version.starts_with("rustc 1."), "{:?}", Build::current());
    }
}
