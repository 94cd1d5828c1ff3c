//! What the kernel says about this process (SPEC 7.8), from `/proc`. Where there is no such file, there is no value.
//!
//! Reads into a buffer on the stack; the functions that understand a file are pure.

use std::fs::File;
use std::io::Read;
use std::time::Duration;

use crate::limits::PROCESS_READINGS_TIME_MAX;
use crate::model::time::Timestamp;

/// How many readings there are.
pub(super) const READINGS: usize = 9;

/// Longest file that is read at a scrape, bytes. `netstat` is the longest, of about 6 KiB.
const FILE_BYTES_MAX: usize = 16 << 10;

/// One look at the process.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Readings {
    cpu_seconds: Option<f64>,
    max_fds: Option<f64>,
    receive_bytes: Option<f64>,
    transmit_bytes: Option<f64>,
    open_fds: Option<f64>,
    resident_bytes: Option<f64>,
    start_seconds: Option<f64>,
    virtual_bytes: Option<f64>,
    virtual_bytes_max: Option<f64>,
}

impl Readings {
    /// The readings in the order of their families' names.
    pub(super) fn in_name_order(self) -> [Option<f64>; READINGS] {
        [
            self.cpu_seconds,
            self.max_fds,
            self.receive_bytes,
            self.transmit_bytes,
            self.open_fds,
            self.resident_bytes,
            self.start_seconds,
            self.virtual_bytes,
            self.virtual_bytes_max,
        ]
    }
}

/// What does not change while the process lives, and the last look at what does.
pub(super) struct Process {
    page_bytes: f64,
    ticks_per_second: f64,
    start_seconds: f64,
    /// With its time, since the start.
    last: Option<(Duration, Readings)>,
}

impl Process {
    /// `started` stands in for the start time where the kernel does not tell it.
    pub(super) fn new(started: Timestamp) -> Self {
        let auxiliary = std::fs::read("/proc/self/auxv").unwrap_or_default();
        let ticks_per_second = auxiliary_value(&auxiliary, AT_CLKTCK).unwrap_or(100) as f64;
        let boot = std::fs::read_to_string("/proc/stat").ok().and_then(|text| boot_seconds(&text));
        let stat = std::fs::read_to_string("/proc/self/stat").ok().and_then(|text| Stat::parse(&text));
        let start = boot.zip(stat).map(|(boot, stat)| boot as f64 + stat.start_ticks as f64 / ticks_per_second);
        Self {
            page_bytes: auxiliary_value(&auxiliary, AT_PAGESZ).unwrap_or(4096) as f64,
            ticks_per_second,
            start_seconds: start.unwrap_or(started.seconds()),
            last: None,
        }
    }

    /// What the process looks like at `now`, since the start, or did a moment ago.
    pub(super) fn readings(&mut self, now: Duration) -> Readings {
        match self.last {
            Some((at, readings)) if now.saturating_sub(at) < PROCESS_READINGS_TIME_MAX => readings,
            _ => {
                let readings = self.look();
                self.last = Some((now, readings));
                readings
            }
        }
    }

    /// Has no reading, and never looks for one.
    #[cfg(test)]
    pub(super) fn simulate(&mut self) {
        self.last = Some((Duration::MAX, Readings::default()));
    }

    fn look(&self) -> Readings {
        let mut buffer = [0; FILE_BYTES_MAX];
        let mut readings =
            Readings { open_fds: open_fds(), start_seconds: Some(self.start_seconds), ..Readings::default() };
        if let Some(stat) = read("/proc/self/stat", &mut buffer).and_then(Stat::parse) {
            readings.cpu_seconds = Some(stat.cpu_ticks as f64 / self.ticks_per_second);
            readings.virtual_bytes = Some(stat.virtual_bytes as f64);
            readings.resident_bytes = Some(stat.resident_pages as f64 * self.page_bytes);
        }
        if let Some(text) = read("/proc/self/limits", &mut buffer) {
            readings.max_fds = limit(text, "Max open files");
            readings.virtual_bytes_max = limit(text, "Max address space");
        }
        if let Some(text) = read("/proc/self/net/netstat", &mut buffer) {
            readings.receive_bytes = network_count(text, "InOctets");
            readings.transmit_bytes = network_count(text, "OutOctets");
        }
        readings
    }
}

/// Reads what fits of a file.
fn read<'a>(path: &str, buffer: &'a mut [u8]) -> Option<&'a str> {
    let mut file = File::open(path).ok()?;
    let mut len = 0;
    while len < buffer.len() {
        match file.read(&mut buffer[len..]).ok()? {
            0 => break,
            more => len += more,
        }
    }
    str::from_utf8(&buffer[..len]).ok()
}

/// Since Linux 6.2 the length of the directory is the number of open files; before, its entries have to be counted.
fn open_fds() -> Option<f64> {
    let len = std::fs::metadata("/proc/self/fd").ok()?.len();
    if len > 0 {
        return Some(len as f64);
    }
    // One of them is the directory itself.
    let entries = std::fs::read_dir("/proc/self/fd").ok()?.count();
    Some(entries.saturating_sub(1) as f64)
}

/// What is used of `/proc/self/stat` (proc_pid_stat(5)).
#[derive(Clone, Copy, Debug, PartialEq)]
struct Stat {
    cpu_ticks: u64,
    start_ticks: u64,
    virtual_bytes: u64,
    resident_pages: u64,
}

impl Stat {
    fn parse(text: &str) -> Option<Self> {
        // The second field is a name in parentheses, which may itself hold parentheses and blanks.
        let (_, after_name) = text.rsplit_once(')')?;
        let field = |number| field(after_name, number);
        Some(Self {
            cpu_ticks: field(14)? + field(15)?,
            start_ticks: field(22)?,
            virtual_bytes: field(23)?,
            resident_pages: field(24)?,
        })
    }
}

/// The field of this number in what is behind the name, which is the second.
#[inline(never)]
fn field(after_name: &str, number: usize) -> Option<u64> {
    after_name.split_ascii_whitespace().nth(number - 3)?.parse().ok()
}

/// The soft limit of this name in `/proc/self/limits`. Without limit it is the largest number, as in the original.
fn limit(text: &str, name: &str) -> Option<f64> {
    let rest = text.lines().find_map(|line| line.strip_prefix(name))?;
    match rest.split_ascii_whitespace().next()? {
        "unlimited" => Some(u64::MAX as f64),
        soft => soft.parse::<u64>().ok().map(|soft| soft as f64),
    }
}

/// A count of the `IpExt` table in `/proc/self/net/netstat`: a line of names, then one of numbers.
fn network_count(text: &str, name: &str) -> Option<f64> {
    let mut lines = text.lines().filter_map(|line| line.strip_prefix("IpExt:"));
    let (names, numbers) = (lines.next()?, lines.next()?);
    let mut columns = names.split_ascii_whitespace().zip(numbers.split_ascii_whitespace());
    columns.find(|(column, _)| *column == name)?.1.parse::<u64>().ok().map(|count| count as f64)
}

/// The boot time in `/proc/stat`, seconds since the epoch.
fn boot_seconds(text: &str) -> Option<u64> {
    text.lines().find_map(|line| line.strip_prefix("btime "))?.trim().parse().ok()
}

/// Keys of the auxiliary vector (getauxval(3)): the size of a page, the ticks of a second.
const AT_PAGESZ: usize = 6;
const AT_CLKTCK: usize = 17;

/// A value of `/proc/self/auxv`: pairs of machine words, key and value.
fn auxiliary_value(bytes: &[u8], key: usize) -> Option<usize> {
    const WORD: usize = size_of::<usize>();
    let mut words = bytes.chunks_exact(WORD).map(|word| word.try_into().map(usize::from_ne_bytes).unwrap_or(0));
    while let (Some(found), Some(value)) = (words.next(), words.next()) {
        if found == key {
            return Some(value).filter(|value| *value > 0);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    const STAT: &str = "10481 (a) R (b) R 10465 10465 5690 0 -1 4194304 104 0 0 0 12 34 0 0 20 0 1 0 127637 3133440 \
        388 18446744073709551615 94221400055808 94221400075689 140733752845520 0 0 0 0 0 0 0 0 0 17 0 0 0 0 0 0\n";

    #[test]
    fn stat() {
        let expected = Stat { cpu_ticks: 46, start_ticks: 127_637, virtual_bytes: 3_133_440, resident_pages: 388 };
        assert_eq!(Stat::parse(STAT), Some(expected));
        for text in ["", "1 (x)", "1 (x) R", "1 x R 1 2 3", &STAT[..60], &STAT.replace("388", "x")] {
            assert_eq!(Stat::parse(text), None, "{text}");
        }
    }

    #[test]
    fn limits() {
        let text = "Limit                     Soft Limit           Hard Limit           Units     \n\
            Max open files            20000                30000                files     \n\
            Max address space         unlimited            unlimited            bytes     \n\
            Max nice priority         \n";
        assert_eq!(limit(text, "Max open files"), Some(20_000.0));
        assert_eq!(limit(text, "Max address space"), Some(18_446_744_073_709_551_615.0));
        assert_eq!(limit(text, "Max nice priority"), None);
        assert_eq!(limit(text, "Max of another kind"), None);
    }

    #[test]
    fn network_counts() {
        let text = "TcpExt: A InOctets\nTcpExt: 1 2\nIpExt: InNoRoutes InOctets OutOctets More\nIpExt: 0 12 34\n\
            MPTcpExt: A\nMPTcpExt: 1\n";
        assert_eq!(network_count(text, "InOctets"), Some(12.0));
        assert_eq!(network_count(text, "OutOctets"), Some(34.0));
        assert_eq!(network_count(text, "More"), None);
        assert_eq!(network_count("IpExt: InOctets\n", "InOctets"), None);
        assert_eq!(network_count("", "InOctets"), None);
    }

    #[test]
    fn boot_and_auxiliary_values() {
        assert_eq!(boot_seconds("cpu 1 2\nbtime 1795438077\nprocesses 3\n"), Some(1_795_438_077));
        assert_eq!(boot_seconds("cpu 1 2\n"), None);
        let words = [33_usize, 5, AT_PAGESZ, 16_384, AT_CLKTCK, 100, 0, 0];
        let bytes: Vec<u8> = words.iter().flat_map(|word| word.to_ne_bytes()).collect();
        assert_eq!(auxiliary_value(&bytes, AT_PAGESZ), Some(16_384));
        assert_eq!(auxiliary_value(&bytes, AT_CLKTCK), Some(100));
        assert_eq!(auxiliary_value(&bytes, 33), Some(5));
        assert_eq!(auxiliary_value(&bytes[..12], AT_PAGESZ), None);
        assert_eq!(auxiliary_value(&bytes, 5), None);
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn this_process() {
        let now = std::time::SystemTime::now();
        let values = Process::new(Timestamp(0)).readings(Duration::ZERO);
        assert!(values.in_name_order().iter().all(Option::is_some), "{values:?}");
        let age = Timestamp::from_system(now).seconds() - values.start_seconds.unwrap();
        assert!((-2.0..3600.0).contains(&age), "{age}");
        assert!(values.resident_bytes.unwrap() < values.virtual_bytes.unwrap(), "{values:?}");
        assert!((3.0..=values.max_fds.unwrap()).contains(&values.open_fds.unwrap()), "{values:?}");
    }
}
