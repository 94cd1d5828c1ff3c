//! The reader as plainly as it can be written: the whole body first, every message as a list of fields, nothing
//! borrowed. The oracle of the tests and of the `protobuf_reader` fuzz target; never part of the product.

use super::Reader;
use crate::model::sample::{FamilyIx, Kind, Metric, WholeSink};

/// What a sink was told, as text that compares NaN as equal.
pub type Events = Vec<String>;

/// A sink that remembers.
#[derive(Debug, Default)]
pub struct Recorder(Events);

impl WholeSink for Recorder {
    fn whole_family(&mut self, family: FamilyIx, name: &str, kind: Kind, help: Option<&[u8]>) {
        self.0.push(format!("{} {name:?} {kind:?} {help:?}", family.0));
    }

    fn metric(&mut self, metric: Metric<'_>) {
        let labels: Vec<_> = metric.labels.iter().map(|label| (label.name, label.value)).collect();
        let series = metric.detail.map_or(0, |detail| detail.series);
        self.0.push(format!("{} {labels:?} {:?} {series} {:?}", metric.family.0, metric.value, metric.timestamp));
    }
}

/// What the reader tells its sink about a body in pieces of these lengths, and how it ends.
pub fn fast_read(reader: &mut Reader, body: &[u8], lens: impl Iterator<Item = usize>) -> (Events, Option<String>) {
    let mut sink = Recorder::default();
    reader.reset();
    let mut rest = body;
    let mut result = Ok(());
    for len in lens {
        let (piece, behind) = rest.split_at(len.min(rest.len()));
        rest = behind;
        result = result.and_then(|()| reader.feed(piece, &mut sink));
    }
    result = result.and_then(|()| reader.feed(rest, &mut sink)).and_then(|()| reader.finish());
    (sink.0, result.err().map(|error| error.to_string()))
}

/// Why reading ends; the words of the answer but for families that could not be shown.
type Failure = String;

fn malformed() -> Failure {
    "proto: cannot parse invalid wire-format data".to_owned()
}

#[derive(Clone, Debug)]
enum Value {
    Varint(u64),
    Double(f64),
    Bytes(Vec<u8>),
    Other,
}

/// What the reader must tell its sink about `body`, up to the first family that is wrong, and how it must end. The
/// reason why a family cannot be shown is only told as `family`.
pub fn read(body: &[u8]) -> (Events, Option<String>) {
    let mut events = Events::new();
    let mut at = 0;
    let mut families = 0;
    while at < body.len() {
        let len = match number(body, &mut at) {
            Ok(len) => len,
            Err(true) => return (events, Some("proto: variable length integer overflow".to_owned())),
            Err(false) => return (events, Some("unexpected EOF".to_owned())),
        };
        if len > (body.len() - at) as u64 {
            let too_long = len > crate::limits::MESSAGE_BYTES_MAX as u64 && at < body.len();
            return (events, Some(if too_long { "too long" } else { "unexpected EOF" }.to_owned()));
        }
        let message = &body[at..at + len as usize];
        at += len as usize;
        if let Err(failure) = family(message, families, &mut events) {
            return (events, Some(failure));
        }
        families += 1;
    }
    (events, None)
}

fn family(message: &[u8], ix: u32, events: &mut Events) -> Result<(), Failure> {
    let fields = fields(message).ok_or_else(malformed)?;
    let name = last_bytes(&fields, 1);
    let kind = match last_varint(&fields, 3).unwrap_or(0) as i32 {
        0 => Kind::Counter,
        1 => Kind::Gauge,
        2 => Kind::Summary,
        3 => Kind::Untyped,
        4 => Kind::Histogram,
        5 => Kind::GaugeHistogram,
        _ => return Err("family".to_owned()),
    };
    let name = name.and_then(|name| String::from_utf8(name).ok()).filter(|name| !name.is_empty());
    let name = name.ok_or("family")?;
    let help = last_bytes(&fields, 2);
    if help.is_some_and(|help| String::from_utf8(help).is_err()) {
        return Err("family".to_owned());
    }
    events.push(format!("{ix} {name:?} {kind:?} {:?}", last_bytes(&fields, 2).as_deref()));
    for metric in all_bytes(&fields, 4) {
        events.push(metric_event(&metric, ix, kind)?);
    }
    Ok(())
}

fn metric_event(message: &[u8], ix: u32, kind: Kind) -> Result<String, Failure> {
    let all = fields(message).ok_or_else(malformed)?;
    let mut labels = Vec::new();
    for label in all_bytes(&all, 1) {
        let label = fields(&label).ok_or_else(malformed)?;
        labels.push((last_bytes(&label, 1).unwrap_or_default(), last_bytes(&label, 2).unwrap_or_default()));
    }
    let wanted = match kind {
        Kind::Gauge => 2,
        Kind::Counter => 3,
        Kind::Summary => 4,
        Kind::Untyped => 5,
        Kind::Histogram | Kind::GaugeHistogram => 7,
    };
    for (field, name) in [(2, "flat"), (3, "counter"), (4, "summary"), (5, "flat"), (7, "histogram")] {
        for bytes in all_bytes(&all, field) {
            well_formed(name, &bytes)?;
        }
    }
    let values = all_bytes(&all, wanted);
    if values.is_empty() && kind == Kind::GaugeHistogram {
        return Err("family".to_owned());
    }
    let (value, series) = if values.is_empty() {
        ("Misfit".to_owned(), 0)
    } else {
        let value = fields(&values.concat()).ok_or_else(malformed)?;
        let is_histogram = matches!(kind, Kind::Histogram | Kind::GaugeHistogram);
        let series = if is_histogram { native_series(&value)? } else { 0 };
        (value_event(&value, kind)?, series)
    };
    let timestamp = last_varint(&all, 6).map(|milliseconds| milliseconds as i64);
    Ok(format!("{ix} {labels:?} {value} {series} {timestamp:?}"))
}

fn value_event(value: &[(u32, Value)], kind: Kind) -> Result<String, Failure> {
    let pair = |message: &[u8], bound: u32| {
        let fields = fields(message).expect("it was found well-formed");
        let float = last_double(&fields, 4).unwrap_or(0.0);
        let count = if float > 0.0 { float } else { last_varint(&fields, 1).unwrap_or(0) as f64 };
        let first = last_double(&fields, bound).unwrap_or(0.0);
        (first, if bound == 1 { last_double(&fields, 2).unwrap_or(0.0) } else { count })
    };
    let (count, sum) = (last_varint(value, 1).unwrap_or(0), last_double(value, 2).unwrap_or(0.0));
    match kind {
        Kind::Counter | Kind::Gauge | Kind::Untyped => {
            Ok(format!("Number({:?})", last_double(value, 1).unwrap_or(0.0)))
        }
        Kind::Summary => {
            let quantiles: Vec<_> = all_bytes(value, 3).iter().map(|quantile| pair(quantile, 1)).collect();
            Ok(format!("Summary {{ quantiles: {quantiles:?}, sum: {sum:?}, count: {count} }}"))
        }
        Kind::Histogram | Kind::GaugeHistogram => {
            let schema = last_varint(value, 5).map_or(0, |schema| super::wire::zigzag(schema & 0xffff_ffff));
            if !(-4..=8).contains(&schema) && schema != -53 {
                return Err("family".to_owned());
            }
            let buckets: Vec<_> = all_bytes(value, 3).iter().map(|bucket| pair(bucket, 2)).collect();
            let float = last_double(value, 4).unwrap_or(0.0);
            let count = if float > 0.0 { float } else { count as f64 };
            Ok(format!("Histogram {{ buckets: {buckets:?}, sum: {sum:?}, count: {count:?} }}"))
        }
    }
}

/// How many native buckets and spans a histogram has, if its spans claim as many buckets as there are.
fn native_series(histogram: &[(u32, Value)]) -> Result<u64, Failure> {
    let is_float = [4, 8].iter().any(|number| last_double(histogram, *number).is_some_and(|count| count > 0.0));
    let mut series = 0;
    let mut observations = i128::from(last_varint(histogram, 7).unwrap_or(0));
    for first in [9, 12] {
        let mut bucket = 0_i128;
        let (mut spans, mut claimed, mut index, mut is_possible) = (0, 0, 0_i64, true);
        for span in all_bytes(histogram, first) {
            let span = fields(&span).ok_or_else(malformed)?;
            let offset = super::wire::zigzag(last_varint(&span, 1).unwrap_or(0) & 0xffff_ffff);
            let len = last_varint(&span, 2).unwrap_or(0) & 0xffff_ffff;
            is_possible &= spans == 0 || offset >= 0;
            index += offset + len as i64;
            is_possible &= (i64::from(i32::MIN)..=i64::from(i32::MAX)).contains(&index);
            (spans, claimed) = (spans + 1, claimed + len);
        }
        let (mut deltas, mut counts, mut are_negative) = (0, 0, false);
        let mut add = |delta: u64| {
            bucket = (bucket + i128::from(super::wire::zigzag(delta))).clamp(i64::MIN.into(), i64::MAX.into());
            is_possible &= is_float || bucket >= 0;
            observations += bucket.max(0);
        };
        for (number, value) in histogram {
            match (number - first.min(*number), value) {
                (1, Value::Varint(delta)) => {
                    add(*delta);
                    deltas += 1;
                }
                (1, Value::Bytes(packed)) => {
                    let mut at = 0;
                    while at < packed.len() {
                        add(self::number(packed, &mut at).map_err(|_| malformed())?);
                        deltas += 1;
                    }
                }
                (2, Value::Double(count)) => {
                    are_negative |= *count < 0.0;
                    counts += 1;
                }
                (2, Value::Bytes(packed)) => {
                    let doubles =
                        packed.chunks(8).map(|bytes| f64::from_le_bytes(bytes.try_into().unwrap_or_default()));
                    are_negative |= doubles.into_iter().any(|count| count < 0.0);
                    counts += packed.len() as u64 / 8;
                }
                _ => {}
            }
        }
        is_possible &= !is_float || !are_negative;
        if !is_possible || claimed != if is_float { counts } else { deltas } {
            return Err("family".to_owned());
        }
        series += spans + deltas + counts;
    }
    let count = i128::from(last_varint(histogram, 1).unwrap_or(0));
    if !is_float && observations > count {
        return Err("family".to_owned());
    }
    Ok(series)
}

fn well_formed(message: &str, bytes: &[u8]) -> Result<(), Failure> {
    for (number, value) in fields(bytes).ok_or_else(malformed)? {
        let Value::Bytes(bytes) = value else { continue };
        match (message, number) {
            ("counter", 2) | ("bucket", 3) | ("histogram", 16) => well_formed("exemplar", &bytes)?,
            ("histogram", 3) => well_formed("bucket", &bytes)?,
            ("counter", 3) | ("summary", 3 | 4) | ("exemplar", 1 | 3) | ("histogram", 9 | 12 | 15) => {
                well_formed("flat", &bytes)?;
            }
            ("histogram", 10 | 13) => {
                let mut at = 0;
                while at < bytes.len() {
                    self::number(&bytes, &mut at).map_err(|_| malformed())?;
                }
            }
            ("histogram", 11 | 14) if !bytes.len().is_multiple_of(8) => return Err(malformed()),
            _ => {}
        }
    }
    Ok(())
}

fn fields(message: &[u8]) -> Option<Vec<(u32, Value)>> {
    let mut at = 0;
    let mut fields = Vec::new();
    let mut open: Vec<u32> = Vec::new();
    while at < message.len() {
        let tag = number(message, &mut at).ok()?;
        let field = u32::try_from(tag >> 3).ok().filter(|field| (1..1 << 29).contains(field))?;
        let value = match tag & 7 {
            0 => Value::Varint(number(message, &mut at).ok()?),
            1 => Value::Double(f64::from_le_bytes(take(message, &mut at, 8)?.try_into().ok()?)),
            2 => {
                let len = number(message, &mut at).ok()?;
                Value::Bytes(take(message, &mut at, len)?)
            }
            3 => {
                open.push(field);
                if open.len() > crate::limits::MESSAGE_DEPTH_MAX {
                    return None;
                }
                continue;
            }
            4 if open.pop() == Some(field) => continue,
            5 => {
                take(message, &mut at, 4)?;
                Value::Other
            }
            _ => return None,
        };
        if open.is_empty() {
            fields.push((field, value));
        }
    }
    open.is_empty().then_some(fields)
}

fn take(message: &[u8], at: &mut usize, len: u64) -> Option<Vec<u8>> {
    let len = usize::try_from(len).ok().filter(|len| *len <= message.len() - *at)?;
    *at += len;
    Some(message[*at - len..*at].to_vec())
}

/// An integer; else whether it is too large rather than cut off.
fn number(bytes: &[u8], at: &mut usize) -> Result<u64, bool> {
    let mut value = 0_u128;
    for digit in 0..10 {
        let byte = *bytes.get(*at).ok_or(false)?;
        *at += 1;
        value |= u128::from(byte & 0x7f) << (7 * digit);
        if byte < 0x80 {
            return u64::try_from(value).map_err(|_| true);
        }
    }
    Err(true)
}

fn all_bytes(fields: &[(u32, Value)], number: u32) -> Vec<Vec<u8>> {
    let found = fields.iter().filter(|field| field.0 == number);
    found.filter_map(|field| if let Value::Bytes(bytes) = &field.1 { Some(bytes.clone()) } else { None }).collect()
}

fn last_bytes(fields: &[(u32, Value)], number: u32) -> Option<Vec<u8>> {
    all_bytes(fields, number).pop()
}

fn last_varint(fields: &[(u32, Value)], number: u32) -> Option<u64> {
    let found = fields.iter().rev().filter(|field| field.0 == number);
    found.filter_map(|field| if let Value::Varint(value) = field.1 { Some(value) } else { None }).next()
}

fn last_double(fields: &[(u32, Value)], number: u32) -> Option<f64> {
    let found = fields.iter().rev().filter(|field| field.0 == number);
    found.filter_map(|field| if let Value::Double(value) = field.1 { Some(value) } else { None }).next()
}
