//! Files that are no good: the gateway says so, names the file and the way out, and leaves every byte as it is.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::Command;
use std::thread;

use pushgateway::model::sample::{FamilyIx, Kind, Part, Sample, Sink};
use pushgateway::model::time::Timestamp;
use pushgateway::persist::record::Encoder;
use pushgateway::store::{GroupKey, Mode, Staged, Store};
use redb::{Database, TableDefinition};

use super::{end, send, send_everything};
use crate::kept::{self, Home, Shown, Start};
use crate::server::Server;

#[track_caller]
fn check_refused(path: &Path, what: &str) -> String {
    let before = fs::read(path).ok();
    let start = kept::try_start(path, &[]);
    kept::is_refused(path, &start).unwrap_or_else(|why| panic!("{what}: {why}"));
    assert!(fs::read(path).ok() == before, "{what}: the file has changed");
    let Start::Ended(_, log) = start else { unreachable!("it is refused") };
    log
}

#[test]
fn files_of_others_are_refused_and_left_alone() {
    let home = Home::new("others");
    let directory = home.directory().to_owned();
    let file = |name: &str, bytes: &[u8]| {
        let path = directory.join(name);
        fs::write(&path, bytes).expect("the directory can be written");
        path
    };
    check_refused(&file("empty", b""), "empty");
    check_refused(&file("text", b"# a text\n"), "text");
    check_refused(
        &file("garbage", &(0..100_000u32).flat_map(|at| at.wrapping_mul(at).to_le_bytes()).collect::<Vec<_>>()),
        "garbage",
    );
    check_refused(&file("zeros", &[0; 1 << 20]), "zeros");
    check_refused(&file("magic", b"redb\x1a\x0a\xa9\x0d\x0a"), "only the magic number");
    check_refused(&file("magic-zeros", &[&b"redb\x1a\x0a\xa9\x0d\x0a"[..], &[0; 1 << 16]].concat()), "zeros behind it");
    check_refused(&file("magic-ones", &[&b"redb\x1a\x0a\xa9\x0d\x0a"[..], &[255; 1 << 16]].concat()), "ones behind it");
    check_refused(&directory, "a directory");
    check_refused(&directory.join("no/such/directory"), "no such directory");
    check_refused(&file("is-a-file", b"x").join("below"), "below a file");
    let circle = directory.join("circle");
    symlink(&circle, &circle).expect("links can be made");
    check_refused(&circle, "a link to itself");
    check_refused(Path::new("/dev/null"), "a device");
    let pipe = directory.join("pipe");
    assert!(Command::new("mkfifo").arg(&pipe).status().expect("mkfifo can be run").success());
    let start = kept::try_start(&pipe, &[]);
    kept::is_refused(&pipe, &start).unwrap_or_else(|why| panic!("a pipe: {why}"));
    assert!(fs::read_dir(&directory).expect("it can be listed").all(|entry| {
        let name = entry.expect("it can be listed").file_name();
        !name.to_string_lossy().ends_with(".unfinished")
    }));
}

#[test]
fn databases_of_others_and_of_later_versions_are_refused() {
    const GROUPS: TableDefinition<'_, &[u8], &[u8]> = TableDefinition::new("groups");
    const FACTS: TableDefinition<'_, &str, u64> = TableDefinition::new("facts");
    let home = Home::new("databases");
    let make = |name: &str, fill: &dyn Fn(&redb::WriteTransaction)| {
        let path = home.directory().join(name);
        let database = Database::create(&path).expect("a database can be made");
        let transaction = database.begin_write().expect("it can be written");
        fill(&transaction);
        transaction.commit().expect("it can be written");
        path
    };
    let fact = |transaction: &redb::WriteTransaction, name: &str, value: u64| {
        let mut facts = transaction.open_table(FACTS).expect("the table can be made");
        facts.insert(name, value).expect("it can be written");
    };
    let newer = make("newer", &|transaction| {
        fact(transaction, "format", 2);
        transaction.open_table(GROUPS).expect("the table can be made");
    });
    let log = check_refused(&newer, "a later format");
    assert!(log.contains("newer") && log.contains('2'), "{log}");
    check_refused(&make("far", &|transaction| fact(transaction, "format", u64::MAX)), "a far later format");
    check_refused(&make("zero", &|transaction| fact(transaction, "format", 0)), "format 0");
    check_refused(&make("none", &|transaction| fact(transaction, "other", 1)), "no format");
    let foreign = make("foreign", &|transaction| {
        const TABLE: TableDefinition<'_, u64, &str> = TableDefinition::new("foreign");
        transaction.open_table(TABLE).expect("the table can be made").insert(1, "x").expect("it can be written");
    });
    check_refused(&foreign, "another program's");
    let mistyped = make("mistyped", &|transaction| {
        const TABLE: TableDefinition<'_, &str, &str> = TableDefinition::new("facts");
        transaction.open_table(TABLE).expect("the table can be made").insert("format", "1").expect("it can be written");
    });
    check_refused(&mistyped, "facts of another type");
    let groupless = make("groupless", &|transaction| fact(transaction, "format", 1));
    check_refused(&groupless, "no groups");
    for (name, key, record) in [
        ("record-newer", &b"\x01\x00\x00\x00a"[..], &b"\x02later"[..]),
        ("record-empty", b"", b""),
        ("record-bad", b"\xff\xff\xff\xff", b"\x01\x00\x00\x00\x00\x00"),
    ] {
        let path = make(name, &|transaction| {
            fact(transaction, "format", 1);
            let mut groups = transaction.open_table(GROUPS).expect("the table can be made");
            groups.insert(key, record).expect("it can be written");
        });
        check_refused(&path, name);
    }
    // An empty database is nobody's; whatever becomes of it, it does not pass for one that holds something.
    let empty = make("empty", &|_| {});
    match kept::try_start(&empty, &[]) {
        Start::Ready(text) => assert_eq!(text, ""),
        start => kept::is_refused(&empty, &start).expect("it is refused or taken"),
    }
}

/// Earlier versions took help texts that are not UTF-8, with which no scraper reads the exposition: only they are left out.
#[test]
fn help_texts_that_are_not_utf8_are_left_out_and_named() {
    const GROUPS: TableDefinition<'_, (&[u8], u32), &[u8]> = TableDefinition::new("groups");
    const FACTS: TableDefinition<'_, &str, u64> = TableDefinition::new("facts");
    let (mut store, mut staged) = (Store::new(), Staged::default());
    let labels = [("job", "a/b")];
    staged.begin(labels.into_iter());
    for (at, (name, help)) in [("e", &b"x\xff"[..]), ("f", "é".as_bytes())].into_iter().enumerate() {
        let family = FamilyIx(at as u32);
        staged.family(family, name);
        staged.kind(family, Kind::Gauge);
        staged.help(family, help);
        staged.sample(Sample::new(family, Part::Whole, &[], 1.0));
    }
    staged.seal();
    store.push(&mut staged, Mode::Replace, Timestamp(1)).expect("nothing is wrong with it");
    let (mut encoder, mut record) = (Encoder::default(), Vec::new());
    let group = store.group(&GroupKey::new(labels)).expect("it was just pushed");
    encoder.begin(&group, &mut record);
    while !encoder.advance(&store, &mut record, &mut usize::MAX.clone()) {}

    let home = Home::new("help");
    let database = Database::create(&home.path).expect("a database can be made");
    let transaction = database.begin_write().expect("it can be written");
    transaction.open_table(FACTS).expect("the table can be made").insert("format", 1).expect("it can be written");
    let key = (group.key().as_bytes(), 0);
    let mut groups = transaction.open_table(GROUPS).expect("the table can be made");
    let parts = 1_u32.to_le_bytes();
    groups.insert(key, [&parts, record.as_slice()].concat().as_slice()).expect("it can be written");
    drop(groups);
    transaction.commit().expect("it can be written");
    drop(database);

    let server = home.start(&[]);
    let scrape = server.scrape();
    assert!(!scrape.contains("# HELP e"), "{scrape}");
    assert!(
        scrape.contains("# TYPE e gauge\ne{instance=\"\",job=\"a/b\"} 1\n# HELP f é\n# TYPE f gauge\n"),
        "{scrape}"
    );
    let told = "msg=\"help text left out, as it is not UTF-8\" group=job@base64/YS9i family=e";
    assert_eq!(server.log().matches(told).count(), 1, "{}", server.log());
}

/// A later version that was killed leaves a file that has to be repaired before it can be read. Nobody else does that.
#[test]
fn a_killed_later_version_leaves_a_file_that_is_refused_and_left_alone() {
    const FACTS: TableDefinition<'_, &str, u64> = TableDefinition::new("facts");
    let home = Home::new("killed");
    let database = Database::create(&home.path).expect("a database can be made");
    let transaction = database.begin_write().expect("it can be written");
    transaction.open_table(FACTS).expect("the table can be made").insert("format", 2).expect("it can be written");
    transaction.commit().expect("it can be written");
    let copy = home.directory().join("copy");
    fs::copy(&home.path, &copy).expect("the file can be copied");
    drop(database);
    check_refused(&copy, "a later format, not closed");
}

/// Files that one may not read or write. Who runs the tests as root may do everything, so root's privilege is dropped.
#[test]
fn files_that_may_not_be_opened_are_refused() {
    use std::os::unix::fs::PermissionsExt;
    let home = Home::new("modes");
    let mut server = home.start(&[]);
    send_everything(&server);
    let before = Shown::of(&server).text;
    end(&mut server, "TERM");
    let start = |path: &Path| {
        let mut command = Command::new("setpriv");
        command.args(["--bounding-set=-dac_override,-dac_read_search", "--inh-caps=-dac_override,-dac_read_search"]);
        let gateway = kept::command_on(path, &[]);
        if kept::is_root() {
            command.arg(gateway.get_program()).args(gateway.get_args());
        } else {
            command = gateway;
        }
        kept::try_start_command(&mut command)
    };
    let set_mode = |path: &Path, mode| {
        fs::set_permissions(path, fs::Permissions::from_mode(mode)).expect("the mode can be set");
    };
    for mode in [0o000, 0o200, 0o400] {
        set_mode(&home.path, mode);
        kept::is_refused(&home.path, &start(&home.path)).unwrap_or_else(|why| panic!("{mode:o}: {why}"));
    }
    set_mode(&home.path, 0o600);
    let closed = home.directory().join("closed");
    fs::create_dir(&closed).expect("a directory can be made");
    set_mode(&closed, 0o500);
    let inside = closed.join("kept.db");
    kept::is_refused(&inside, &start(&inside)).expect("no file can be made there");
    set_mode(&closed, 0o700);
    assert_eq!(fs::read_dir(&closed).expect("it can be listed").count(), 0);
    match start(&home.path) {
        Start::Ready(text) => assert_eq!(text, before),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_file_in_use_is_refused_and_its_user_not_disturbed() {
    let home = Home::new("in-use");
    let mut first = home.start(&[]);
    send_everything(&first);
    let before = Shown::of(&first);
    for _ in 0..3 {
        let log = check_refused(&home.path, "a file in use");
        assert!(log.contains("another process"), "{log}");
    }
    Shown::of(&first).assert_same(&before, "beside a second one");
    assert_eq!(send(&first, "PUT", "job/later", "a 1\n"), Some(200));
    let before = Shown::of(&first);
    end(&mut first, "KILL");
    Shown::of(&home.start(&[])).assert_same(&before, "behind a second one");
}

/// Several gateways start at once on a file that is not there: one wins, the others are refused.
#[test]
fn one_of_several_that_start_at_once_has_the_file() {
    for round in 0..12 {
        let home = Home::new("at-once");
        let starts: Vec<_> = (0..3)
            .map(|_| {
                let path = home.path.clone();
                thread::spawn(move || Server::try_launch(&mut kept::command_on(&path, &[])))
            })
            .collect();
        let mut servers: Vec<_> =
            starts.into_iter().filter_map(|start| start.join().expect("it does not panic").ok()).collect();
        // What one of them has acknowledged is there when all are gone.
        let mut accepted = Vec::new();
        let end = std::time::Instant::now() + std::time::Duration::from_secs(10);
        let mut ready = vec![None; servers.len()];
        while ready.contains(&None) {
            assert!(std::time::Instant::now() < end, "round {round}: neither ready nor at an end");
            for (at, server) in servers.iter_mut().enumerate() {
                if server.has_ended() {
                    ready[at] = Some(false);
                } else if ready[at].is_none() && send(server, "PUT", &format!("job/{at}"), "a 1\n") == Some(200) {
                    (ready[at], accepted) = (Some(true), [accepted, vec![at]].concat());
                }
            }
        }
        drop(servers);
        let text = Shown::of(&home.start(&[])).text;
        for at in &accepted {
            assert!(
                text.contains(&format!("a{{instance=\"\",job=\"{at}\"}} 1\n")),
                "round {round}: {at} of {accepted:?} is lost: {text}"
            );
        }
        assert_eq!(accepted.len(), 1, "round {round}: {accepted:?} had the file at once");
    }
}

/// A new file is made under another name first. That name may be somebody's.
#[test]
fn a_new_file_takes_the_place_of_nobody() {
    for suffix in ["new", "tmp", "unfinished"] {
        let home = Home::new("place");
        let beside = home.directory().join(format!("kept.db.{suffix}"));
        let mut other = kept::launch_on(&beside, &[]);
        other.wait_until_ready("", "");
        assert_eq!(send(&other, "PUT", "job/other", "a 1\n"), Some(200));
        let start = kept::try_start(&home.path, &[]);
        if let Start::Ended(..) = &start {
            kept::is_refused(&home.path, &start).expect("it starts, or it is refused");
        }
        assert_eq!(send(&other, "PUT", "job/other", "a 2\n"), Some(200));
        let before = Shown::of(&other);
        end(&mut other, "KILL");
        let mut again = kept::launch_on(&beside, &[]);
        again.wait_until_ready("", "");
        Shown::of(&again).assert_same(&before, &format!("a new file beside one with .{suffix}"));
        end(&mut again, "KILL");
    }
}

/// What a start that was cut short has left is no obstacle.
#[test]
fn a_file_that_was_left_unfinished_is_made_anew() {
    let home = Home::new("unfinished");
    let beside = home.directory().join("kept.db.unfinished");
    for bytes in [&b""[..], b"redb\x1a\x0a\xa9\x0d\x0a", &[0; 50_000]] {
        fs::write(&beside, bytes).expect("the directory can be written");
        let mut server = home.start(&[]);
        assert_eq!(send(&server, "PUT", "job/a", "a 1\n"), Some(200));
        assert!(!beside.exists());
        let before = Shown::of(&server);
        end(&mut server, "KILL");
        Shown::of(&home.start(&[])).assert_same(&before, "beside what was left");
        fs::remove_file(&home.path).expect("the file is there");
    }
}

/// What a link points to may not be there yet: the link is not what is replaced.
#[test]
fn a_link_stays_a_link() {
    let home = Home::new("link");
    let volume = home.directory().join("volume");
    symlink(volume.join("data.db"), &home.path).expect("links can be made");
    check_refused(&home.path, "a link to nowhere");
    assert!(home.path.is_symlink());
    fs::create_dir(&volume).expect("a directory can be made");
    let mut server = home.start(&[]);
    send_everything(&server);
    let before = Shown::of(&server);
    end(&mut server, "KILL");
    assert!(home.path.is_symlink(), "the link was replaced");
    assert!(volume.join("data.db").is_file());
    Shown::of(&home.start(&[])).assert_same(&before, "through a link");
}
