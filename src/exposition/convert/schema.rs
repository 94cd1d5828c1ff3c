//! The messages of `io.prometheus.client` (`metrics.proto`): the numbers of fields, and what text protobuf needs to know.

/// A message: its fields in the order in which Go's text format shows them.
pub type Schema = [FieldType];

/// One field.
#[derive(Debug)]
pub struct FieldType {
    pub number: u32,
    pub name: &'static str,
    pub kind: FieldKind,
}

/// How a field's value is read.
#[derive(Clone, Copy, Debug)]
pub enum FieldKind {
    Double,
    /// `uint32`, `uint64`.
    Unsigned,
    /// `int32`, `int64`.
    Signed,
    /// `sint32`, `sint64`.
    ZigZag,
    Text,
    /// `MetricType`.
    Type,
    Message(&'static Schema),
}

use FieldKind::{Double, Message, Signed, Text, Type, Unsigned, ZigZag};

const fn field(number: u32, name: &'static str, kind: FieldKind) -> FieldType {
    FieldType { number, name, kind }
}

/// The names of `MetricType`, by number.
pub const TYPES: [&str; 6] = ["COUNTER", "GAUGE", "SUMMARY", "UNTYPED", "HISTOGRAM", "GAUGE_HISTOGRAM"];

// The numbers that the writer uses.
pub const FAMILY_NAME: u32 = 1;
pub const FAMILY_HELP: u32 = 2;
pub const FAMILY_TYPE: u32 = 3;
pub const FAMILY_METRIC: u32 = 4;
pub const METRIC_LABEL: u32 = 1;
pub const LABEL_NAME: u32 = 1;
pub const LABEL_VALUE: u32 = 2;
pub const METRIC_GAUGE: u32 = 2;
pub const METRIC_COUNTER: u32 = 3;
pub const METRIC_SUMMARY: u32 = 4;
pub const METRIC_UNTYPED: u32 = 5;
pub const METRIC_HISTOGRAM: u32 = 7;
/// Of gauges, counters and untyped metrics.
pub const SIMPLE_VALUE: u32 = 1;
/// Of summaries and histograms.
pub const SAMPLE_COUNT: u32 = 1;
pub const SAMPLE_SUM: u32 = 2;
/// The quantiles of a summary, the buckets of a histogram.
pub const BOUNDS: u32 = 3;
pub const HISTOGRAM_COUNT_FLOAT: u32 = 4;
pub const QUANTILE_RANK: u32 = 1;
pub const QUANTILE_VALUE: u32 = 2;
pub const BUCKET_COUNT: u32 = 1;
pub const BUCKET_BOUND: u32 = 2;
pub const BUCKET_COUNT_FLOAT: u32 = 4;

pub const FAMILY: &Schema = &[
    field(FAMILY_NAME, "name", Text),
    field(FAMILY_HELP, "help", Text),
    field(FAMILY_TYPE, "type", Type),
    field(FAMILY_METRIC, "metric", Message(METRIC)),
    field(5, "unit", Text),
];

pub const METRIC: &Schema = &[
    field(METRIC_LABEL, "label", Message(LABEL)),
    field(METRIC_GAUGE, "gauge", Message(&[field(SIMPLE_VALUE, "value", Double)])),
    field(METRIC_COUNTER, "counter", Message(COUNTER)),
    field(METRIC_SUMMARY, "summary", Message(SUMMARY)),
    field(METRIC_UNTYPED, "untyped", Message(&[field(SIMPLE_VALUE, "value", Double)])),
    field(METRIC_HISTOGRAM, "histogram", Message(HISTOGRAM)),
    field(6, "timestamp_ms", Signed),
];

const LABEL: &Schema = &[field(LABEL_NAME, "name", Text), field(LABEL_VALUE, "value", Text)];

const COUNTER: &Schema = &[
    field(SIMPLE_VALUE, "value", Double),
    field(2, "exemplar", Message(EXEMPLAR)),
    field(3, "created_timestamp", Message(TIMESTAMP)),
];

/// The name and the fields of a message that is a field of another.
pub fn message_field(schema: &'static Schema, number: u32) -> Option<(&'static str, &'static Schema)> {
    let field = schema.iter().find(|field| field.number == number)?;
    match field.kind {
        Message(inner) => Some((field.name, inner)),
        _ => None,
    }
}

const SUMMARY: &Schema = &[
    field(SAMPLE_COUNT, "sample_count", Unsigned),
    field(SAMPLE_SUM, "sample_sum", Double),
    field(
        BOUNDS,
        "quantile",
        Message(&[field(QUANTILE_RANK, "quantile", Double), field(QUANTILE_VALUE, "value", Double)]),
    ),
    field(4, "created_timestamp", Message(TIMESTAMP)),
];

const HISTOGRAM: &Schema = &[
    field(SAMPLE_COUNT, "sample_count", Unsigned),
    field(HISTOGRAM_COUNT_FLOAT, "sample_count_float", Double),
    field(SAMPLE_SUM, "sample_sum", Double),
    field(BOUNDS, "bucket", Message(BUCKET)),
    field(15, "created_timestamp", Message(TIMESTAMP)),
    field(5, "schema", ZigZag),
    field(6, "zero_threshold", Double),
    field(7, "zero_count", Unsigned),
    field(8, "zero_count_float", Double),
    field(9, "negative_span", Message(SPAN)),
    field(10, "negative_delta", ZigZag),
    field(11, "negative_count", Double),
    field(12, "positive_span", Message(SPAN)),
    field(13, "positive_delta", ZigZag),
    field(14, "positive_count", Double),
    field(16, "exemplars", Message(EXEMPLAR)),
];

const BUCKET: &Schema = &[
    field(BUCKET_COUNT, "cumulative_count", Unsigned),
    field(BUCKET_COUNT_FLOAT, "cumulative_count_float", Double),
    field(BUCKET_BOUND, "upper_bound", Double),
    field(3, "exemplar", Message(EXEMPLAR)),
];

const SPAN: &Schema = &[field(1, "offset", ZigZag), field(2, "length", Unsigned)];

const EXEMPLAR: &Schema =
    &[field(1, "label", Message(LABEL)), field(2, "value", Double), field(3, "timestamp", Message(TIMESTAMP))];

const TIMESTAMP: &Schema = &[field(1, "seconds", Signed), field(2, "nanos", Signed)];
