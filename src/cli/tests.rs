//! The command line as a whole, case by case; where the original was run, its answer is the expected one.

use super::*;

fn files(name: &str) -> io::Result<String> {
    match name {
        "flags" => Ok("# a comment\n\n--log.level\nDEBUG\n--web.enable-lifecycle\n".to_owned()),
        "nested" => Ok("@flags\n--log.format=json".to_owned()),
        "loop" => Ok("@loop".to_owned()),
        "words" => Ok("--foo bar".to_owned()),
        "crlf" => Ok("--log.level=warn\r\n".to_owned()),
        "directory" => Err(io::Error::from_raw_os_error(21)),
        _ => Err(io::Error::from_raw_os_error(2)),
    }
}

fn run(words: &[&str]) -> Result<Command, UsageError> {
    parse("pushgateway", words.iter().map(|word| (*word).to_owned()).collect(), &mut files)
}

fn served(words: &[&str]) -> Flags {
    match run(words) {
        Ok(Command::Serve(flags)) => *flags,
        other => panic!("{words:?}: {other:?}"),
    }
}

#[track_caller]
fn refused(words: &[&str], message: &str) {
    assert_eq!(run(words), Err(UsageError(message.to_owned())), "{words:?}");
}

#[track_caller]
fn listed(words: &[&str], name: &str, expected: &str) {
    let listing = served(words).listing();
    let found = listing.iter().find(|(flag, _)| *flag == name).map(|(_, value)| value.as_str());
    assert_eq!(found, Some(expected), "{words:?}");
}

#[test]
fn defaults() {
    let expected = [
        ("log.format", "logfmt"),
        ("log.level", "info"),
        ("persistence.file", ""),
        ("persistence.interval", "5m0s"),
        ("persistence.sync", "always"),
        ("push.disable-consistency-check", "false"),
        ("push.enable-utf8-names", "false"),
        ("web.auth-exempt-probes", "false"),
        ("web.config.file", ""),
        ("web.enable-admin-api", "false"),
        ("web.enable-lifecycle", "false"),
        ("web.external-url", ""),
        ("web.listen-address", ":9091"),
        ("web.route-prefix", ""),
        ("web.systemd-socket", "false"),
        ("web.telemetry-path", "/metrics"),
    ];
    let expected: Vec<_> = expected.iter().map(|(name, value)| (*name, (*value).to_owned())).collect();
    let listing = served(&[]).listing();
    assert!(listing.is_sorted_by_key(|(name, _)| *name));
    let (limits, others): (Vec<_>, Vec<_>) = listing.into_iter().partition(|(name, _)| name.starts_with("limit."));
    assert_eq!(others, expected);
    assert_eq!(limits.len(), crate::limits::LIMITS_COUNT);
    assert_eq!(served(&["--"]), served(&[]));
    assert_eq!(served(&[]).unsupported(), Ok(()));
    assert_eq!(served(&[]).metrics_path(), "/metrics");
}

#[test]
fn every_flag_takes_its_value_in_both_forms() {
    let check = |name: &str, given: &str, expected: &str| {
        listed(&[&format!("--{name}={given}")], name, expected);
        listed(&[&format!("--{name}"), given], name, expected);
        listed(&[&format!("--{name}"), "--", given], name, expected);
    };
    check("log.format", "json", "json");
    check("persistence.sync", "interval", "interval");
    check("log.level", "WARN", "warn");
    check("persistence.file", "/tmp/x", "/tmp/x");
    check("persistence.interval", "1d", "24h0m0s");
    check("web.config.file", "web.yml", "web.yml");
    check("web.external-url", "http://h/ext", "http://h/ext");
    check("web.listen-address", "[::1]:1", "[::1]:1");
    check("web.route-prefix", "p/", "/p");
    check("web.telemetry-path", "/m/", "/m/");
    check("limit.groups", "5", "5");
    check("limit.head-time", "90s", "1m30s");
    check("persistence.file", "a=b", "a=b");
    check("persistence.file", "", "");
    listed(&["--persistence.file=--x"], "persistence.file", "--x");
    listed(&["--persistence.interval=-1s"], "persistence.interval", "-1s");
    listed(&["--web.external-url=http://h/ext"], "web.route-prefix", "/ext");
    listed(&["--web.external-url=http://h/ext", "--web.route-prefix=/"], "web.route-prefix", "");
    listed(&["--web.listen-address=:1", "--web.listen-address", ":2"], "web.listen-address", ":1,:2");
}

#[test]
fn booleans() {
    let names = flags::rules().filter(|rule| matches!(rule.takes, flags::Takes::Nothing)).map(|rule| rule.name);
    for name in names {
        listed(&[&format!("--{name}")], name, "true");
        listed(&[&format!("--no-{name}")], name, "false");
        refused(&[&format!("--{name}=true")], "unexpected true");
        refused(&[&format!("--no-{name}=")], "unexpected ");
        refused(&[&format!("--{name}"), "true"], "unexpected true");
        refused(&[&format!("--{name}"), &format!("--no-{name}")], &format!("flag '{name}' cannot be repeated"));
    }
}

#[test]
fn refused_words() {
    refused(&["--foo"], "unknown long flag '--foo'");
    refused(&["--foo=1"], "unknown long flag '--foo'");
    refused(&["--=x"], "unknown long flag '--'");
    refused(&["--web-listen-address=:1"], "unknown long flag '--web-listen-address'");
    refused(&["--no-log.level"], "unknown long flag '--no-log.level'");
    refused(&["-x"], "unknown short flag '-x'");
    refused(&["-hx"], "unknown short flag '-x'");
    refused(&["-h=1"], "unknown short flag '-='");
    refused(&["-"], "unknown short flag '-'");
    refused(&["-é"], "unknown short flag '-é'");
    refused(&["-web.listen-address=:1"], "unknown short flag '-w'");
    refused(&["foo"], "unexpected foo");
    refused(&[""], "unexpected ");
    refused(&["help"], "unexpected help");
    refused(&["--", "--log.level"], "unexpected --log.level");
    refused(&["--", "@flags"], "unexpected @flags");
    refused(&["--help", "foo"], "unexpected foo");
    refused(&["--help=1"], "unexpected 1");
    refused(&["-h", "--foo"], "unknown long flag '--foo'");
    refused(&["--foo", "--version"], "unknown long flag '--foo'");
}

#[test]
fn refused_values() {
    let missing = "expected argument for flag '--web.listen-address'";
    refused(&["--web.listen-address"], missing);
    refused(&["--web.listen-address", "--log.level"], missing);
    refused(&["--web.listen-address", "-x"], missing);
    refused(&["--web.listen-address", "--version"], missing);
    refused(&["--web.listen-address", "@missing"], missing);
    refused(&["--log.level=foo"], "unrecognized log level foo");
    refused(&["--log.format=JSON"], "unrecognized log format JSON");
    refused(&["--log.level=foo", "--log.format=bar"], "unrecognized log level foo");
    refused(&["--log.format=bar", "--log.level=foo"], "unrecognized log format bar");
    refused(&["--log.level=foo", "--log.level=foo"], "unrecognized log level foo");
    refused(&["--log.level=foo", "bar"], "unexpected bar");
    refused(&["--persistence.sync=never"], "enum value must be one of always,interval, got 'never'");
    refused(&["--persistence.interval=abc"], "time: invalid duration \"abc\"");
    refused(&["--persistence.interval=5"], "time: missing unit in duration \"5\"");
    refused(&["--persistence.interval=1Y"], "time: unknown unit \"Y\" in duration \"1Y\"");
    refused(&["--web.external-url=%"], "invalid URL: parse \"%\": invalid URL escape \"%\"");
    refused(&["--web.telemetry-path="], "telemetry path '' does not begin with '/'");
    refused(&["--web.telemetry-path=/status"], "telemetry path '/status' is another endpoint's");
    refused(&["--web.route-prefix=a b"], "route prefix '/a b' contains a blank");
    refused(&["--web.external-url=http://h/a%20b"], "route prefix '/a b' contains a blank");
}

fn is_time(flag: &str) -> bool {
    ["-time", "-pause"].iter().any(|ending| flag.ends_with(ending))
}

#[test]
fn only_listen_addresses_repeat() {
    for rule in flags::rules().filter(|rule| !matches!(rule.takes, flags::Takes::Nothing)) {
        let valid = match rule.name {
            name if name.starts_with("limit.") => "1024s".trim_end_matches(if is_time(name) { "" } else { "s" }),
            "persistence.sync" => "always",
            "log.level" => "info",
            "log.format" => "json",
            "persistence.interval" => "1s",
            _ => "/x",
        };
        let word = format!("--{}={valid}", rule.name);
        if rule.name != "web.listen-address" {
            refused(&[&word, &word], &format!("flag '{}' cannot be repeated", rule.name));
        }
    }
}

#[test]
fn files_of_arguments() {
    listed(&["@flags"], "log.level", "debug");
    listed(&["@nested"], "log.level", "debug");
    listed(&["@nested"], "log.format", "json");
    listed(&["--log.format=json", "@flags", "--web.enable-admin-api"], "web.enable-lifecycle", "true");
    listed(&["@crlf"], "log.level", "warn");
    refused(&["@words"], "unknown long flag '--foo bar'");
    refused(&["@"], "expected @ file to expand arguments from");
    refused(&["@missing"], "failed to open arguments file \"missing\": open missing: no such file or directory");
    refused(&["@directory"], "failed to read arguments from \"directory\": read directory: is a directory");
    refused(&["@loop"], "more than 64 arguments files");
    refused(&["--foo", "@missing"], "unknown long flag '--foo'");
}

#[test]
fn flags_that_print() {
    for words in [&["--version"][..], &["--version", "foo"], &["--log.level=foo", "--no-version"], &["--version", "--"]]
    {
        assert_eq!(run(words), Ok(Command::Version), "{words:?}");
    }
    let Ok(Command::Help(usage)) = run(&["--help"]) else { panic!("no help") };
    for words in [&["-h"][..], &["-hh"], &["--help-long"], &["--log.level=foo", "-h"], &["--no-help"]] {
        assert_eq!(run(words), Ok(Command::Help(usage.clone())), "{words:?}");
    }
    let repeated = ["--log.level=info", "--log.level=info", "--help"];
    assert_eq!(run(&repeated), Ok(Command::Help(usage.clone())));
    for rule in flags::rules() {
        assert!(usage.contains(&format!("  --{}", rule.name)), "{} in {usage}", rule.name);
    }
    assert!(usage.contains("-h, --help") && usage.contains("--version"), "{usage}");
    for (word, part) in [
        ("--help-man", ".SH SYNOPSIS"),
        ("--completion-script-bash", "complete -F _pushgateway_bash_autocomplete pushgateway"),
        ("--completion-script-zsh", "#compdef pushgateway"),
        ("--completion-bash", "--web.listen-address\n"),
    ] {
        let Ok(Command::Help(text)) = run(&[word, "--web"]) else { panic!("{word}") };
        assert!(text.contains(part), "{text}");
    }
}

#[test]
fn features_that_are_not_there() {
    let check = |words: &[&str], flag: &str| {
        assert_eq!(served(words).unsupported(), Err(format!("not supported by this build: {flag}")));
    };
    check(&["--web.listen-address=vsock://:1"], "--web.listen-address=vsock://");
    let harmless = ["--persistence.file=x", "--persistence.interval=1s", "--web.config.file=x", "--web.systemd-socket"];
    assert_eq!(served(&harmless).unsupported(), Ok(()));
}

#[test]
fn links_follow_the_external_url() {
    let flags = served(&["--web.external-url=http://h/ext/", "--web.route-prefix=/in"]);
    assert_eq!((flags.external_prefix().as_str(), flags.metrics_path().as_str()), ("/ext", "/in/metrics"));
}

#[test]
fn changed_flags_are_those_of_other_values() {
    let check = |words: &[&str], expected: &[&str]| assert_eq!(served(words).changed(), expected, "{words:?}");
    check(&[], &[]);
    check(&["--log.level=info", "--no-web.enable-lifecycle", "--web.listen-address=:9091"], &[]);
    check(&["--log.level=warn", "--persistence.interval=300s"], &["log.level"]);
    check(&["--web.external-url=http://h/p"], &["web.external-url", "web.route-prefix"]);
}
