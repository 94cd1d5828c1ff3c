"""Reads expositions with parsers that are not the gateway's: the text with that of prometheus_client, delimited protobuf
with Google's protobuf. What they make of both has to be the same.

Each exposition is a line on standard input, TEXT_BYTES PROTOBUF_BYTES, and those bytes behind it. The answer is a line of
JSON: how many samples each of them has, {"text": N, "protobuf": N}, or what is wrong, {"error": "..."}. Series of the
gateway itself, which have no job and change with every scrape, are counted only.
"""

import collections
import json
import math
import sys

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory
from prometheus_client.parser import text_string_to_metric_families

# io.prometheus.client of client_model, as proto3, of which all strings are checked for UTF-8.
MESSAGES = {
    "LabelPair": "name:1:string value:2:string",
    "Timestamp": "seconds:1:int64 nanos:2:int32",
    "Exemplar": "label:1:*LabelPair value:2:double timestamp:3:Timestamp",
    "Gauge": "value:1:double",
    "Counter": "value:1:double exemplar:2:Exemplar created:3:Timestamp",
    "Quantile": "quantile:1:double value:2:double",
    "Summary": "sample_count:1:uint64 sample_sum:2:double quantile:3:*Quantile created:4:Timestamp",
    "Untyped": "value:1:double",
    "Bucket": "cumulative_count:1:uint64 upper_bound:2:double exemplar:3:Exemplar cumulative_count_float:4:double",
    "BucketSpan": "offset:1:sint32 length:2:uint32",
    "Histogram": "sample_count:1:uint64 sample_sum:2:double bucket:3:*Bucket sample_count_float:4:double"
    " schema:5:sint32 zero_threshold:6:double zero_count:7:uint64 zero_count_float:8:double"
    " negative_span:9:*BucketSpan negative_delta:10:*sint64 negative_count:11:*double"
    " positive_span:12:*BucketSpan positive_delta:13:*sint64 positive_count:14:*double"
    " created:15:Timestamp exemplars:16:*Exemplar",
    "Metric": "label:1:*LabelPair gauge:2:Gauge counter:3:Counter summary:4:Summary untyped:5:Untyped"
    " timestamp_ms:6:int64 histogram:7:Histogram",
    "MetricFamily": "name:1:string help:2:string type:3:int32 metric:4:*Metric unit:5:string",
}
COUNTER, GAUGE, SUMMARY, UNTYPED, HISTOGRAM, GAUGE_HISTOGRAM = range(6)


def message_class(name):
    """The class of a message of `MESSAGES`."""
    file = descriptor_pb2.FileDescriptorProto(name="metrics.proto", package="read", syntax="proto3")
    for message, fields in MESSAGES.items():
        described = file.message_type.add(name=message)
        for field in fields.split():
            field_name, number, kind = field.split(":")
            added = described.field.add(name=field_name, number=int(number), label=3 if kind[0] == "*" else 1)
            kind = kind.removeprefix("*")
            if kind in MESSAGES:
                added.type, added.type_name = added.TYPE_MESSAGE, f".read.{kind}"
            else:
                added.type = getattr(added, f"TYPE_{kind.upper()}")
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return message_factory.GetMessageClass(pool.FindMessageTypeByName(f"read.{name}"))


MetricFamily = message_class("MetricFamily")


def number(value):
    """A value as it is compared: minus zero is zero (README, what differs)."""
    value = float(value)
    return "NaN" if math.isnan(value) else repr(value + 0.0)


def sample(name, labels, value):
    """A sample as it is compared: bounds are numbers, and their texts may differ."""

    def text(label, content):
        try:
            return number(content) if label in ("le", "quantile") else content
        except ValueError:
            return content

    return name, tuple(sorted((label, text(label, content)) for label, content in labels.items())), number(value)


def samples_of_text(body):
    """The samples of a text exposition, counters without the suffix that the parser may give them."""
    for family in text_string_to_metric_families(body.decode()):
        for one in family.samples:
            name = one.name.removesuffix("_total") if family.type == "counter" else one.name
            yield sample(name, one.labels, one.value)


def samples_of_protobuf(body):
    """The samples that text shows of an exposition in delimited protobuf."""
    at = 0
    while at < len(body):
        length, shift, more = 0, 0, True
        while more:
            length |= (body[at] & 0x7F) << shift
            more, shift, at = body[at] & 0x80, shift + 7, at + 1
        if at + length > len(body):
            raise ValueError("a family is cut off")
        family = MetricFamily.FromString(body[at : at + length])
        at += length
        for metric in family.metric:
            labels = {}
            for label in metric.label:
                if label.name in labels:
                    raise ValueError(f"a label twice: {label.name} in {family.name}")
                labels[label.name] = label.value
            yield from samples_of_metric(family, metric, labels)


def samples_of_metric(family, metric, labels):
    name = family.name
    if family.type == COUNTER:
        yield sample(name.removesuffix("_total"), labels, metric.counter.value)
    elif family.type == GAUGE:
        yield sample(name, labels, metric.gauge.value)
    elif family.type == UNTYPED:
        yield sample(name, labels, metric.untyped.value)
    elif family.type == SUMMARY:
        for quantile in metric.summary.quantile:
            yield sample(name, {**labels, "quantile": quantile.quantile}, quantile.value)
        yield sample(f"{name}_sum", labels, metric.summary.sample_sum)
        yield sample(f"{name}_count", labels, metric.summary.sample_count)
    elif family.type in (HISTOGRAM, GAUGE_HISTOGRAM):
        histogram = metric.histogram
        count = histogram.sample_count_float or histogram.sample_count
        for bucket in histogram.bucket:
            value = bucket.cumulative_count_float or bucket.cumulative_count
            yield sample(f"{name}_bucket", {**labels, "le": bucket.upper_bound}, value)
        if not any(bucket.upper_bound == math.inf for bucket in histogram.bucket):
            yield sample(f"{name}_bucket", {**labels, "le": math.inf}, count)
        yield sample(f"{name}_sum", labels, histogram.sample_sum)
        yield sample(f"{name}_count", labels, count)
    else:
        raise ValueError(f"{name} is of type {family.type}")


def read(text, protobuf):
    """The answer about an exposition."""
    try:
        from_text, from_protobuf = list(samples_of_text(text)), list(samples_of_protobuf(protobuf))
    except Exception as error:  # The parsers raise whatever comes to them.
        return {"error": f"{type(error).__name__}: {error}"}

    def pushed(samples):
        return collections.Counter(one for one in samples if any(label == "job" for label, _ in one[1]))

    only_text, only_protobuf = (pushed(from_text) - pushed(from_protobuf), pushed(from_protobuf) - pushed(from_text))
    if only_text or only_protobuf:
        return {"error": f"only in text: {list(only_text)[:3]}, only in protobuf: {list(only_protobuf)[:3]}"}
    return {"text": len(from_text), "protobuf": len(from_protobuf)}


for line in sys.stdin.buffer:
    lengths = [int(length) for length in line.split()]
    print(json.dumps(read(*(sys.stdin.buffer.read(length) for length in lengths))), flush=True)
