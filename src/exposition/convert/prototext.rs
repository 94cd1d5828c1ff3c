//! Protobuf messages as text, in the layout of Go's `prototext`: an item per line, or all in one line (SPEC 7.7).
//!
//! Reads the message's bytes by its schema. Fields that the schema does not have are left out, and so is the rest of a
//! message from a damaged field on.

use super::schema::{FieldKind, FieldType, Schema, TYPES};
use crate::exposition::wire::{Field, Value, fields, varint};
use crate::model::number;

/// How items are laid out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Layout {
    /// Each in a line of its own, indented so many times.
    Lines(usize),
    /// All in one line, apart by a blank.
    OneLine,
}

impl Layout {
    /// Writes what stands between two items.
    fn separate(self, out: &mut Vec<u8>, is_first: bool) {
        match self {
            Layout::Lines(depth) => out.extend(std::iter::repeat_n(b' ', 2 * depth)),
            Layout::OneLine if is_first => {}
            Layout::OneLine => out.push(b' '),
        }
    }

    fn end_item(self, out: &mut Vec<u8>) {
        if self != Layout::OneLine {
            out.push(b'\n');
        }
    }

    /// That of the fields of a message that is an item.
    pub fn inner(self) -> Self {
        match self {
            Layout::Lines(depth) => Layout::Lines(depth + 1),
            Layout::OneLine => Layout::OneLine,
        }
    }
}

/// Writes the fields of a message. `is_first`: nothing stands in front of it on the line.
pub fn write_fields(out: &mut Vec<u8>, schema: &Schema, message: &[u8], layout: Layout, mut is_first: bool) {
    for known in schema {
        for field in fields(message).filter(|field| field.number == known.number) {
            write_field(out, known, field, layout, &mut is_first);
        }
    }
}

fn write_field(out: &mut Vec<u8>, known: &FieldType, field: Field<'_>, layout: Layout, is_first: &mut bool) {
    let mut write_number = |value: Value<'_>| {
        write_name(out, known.name, layout, is_first);
        write_number(out, known.kind, value);
        layout.end_item(out);
    };
    match (known.kind, field.value) {
        (FieldKind::Message(inner), Value::Bytes(message)) => {
            write_message(out, known.name, inner, message, layout, is_first);
        }
        (FieldKind::Text, Value::Bytes(text)) => {
            write_name(out, known.name, layout, is_first);
            write_string(out, text);
            layout.end_item(out);
        }
        (FieldKind::Double, Value::Bytes(packed)) => {
            let (numbers, _) = packed.as_chunks();
            numbers.iter().for_each(|bytes| write_number(Value::Fixed64(u64::from_le_bytes(*bytes))));
        }
        (FieldKind::Message(_) | FieldKind::Text, _) => {}
        (_, Value::Bytes(packed)) => {
            let mut rest = packed;
            while let Some((value, behind)) = varint(rest) {
                write_number(Value::Varint(value));
                rest = behind;
            }
        }
        (_, value) => write_number(value),
    }
}

fn write_name(out: &mut Vec<u8>, name: &str, layout: Layout, is_first: &mut bool) {
    layout.separate(out, std::mem::replace(is_first, false));
    out.extend_from_slice(name.as_bytes());
    out.extend_from_slice(if layout == Layout::OneLine { b":" } else { b": " });
}

/// Writes a field that is a message.
pub fn write_message(
    out: &mut Vec<u8>,
    name: &str,
    schema: &Schema,
    message: &[u8],
    layout: Layout,
    is_first: &mut bool,
) {
    let inner = open_message(out, name, layout, is_first);
    write_fields(out, schema, message, inner, true);
    close_message(out, layout);
}

/// Writes what comes before the fields of a field that is a message; their layout.
pub fn open_message(out: &mut Vec<u8>, name: &str, layout: Layout, is_first: &mut bool) -> Layout {
    write_name(out, name, layout, is_first);
    out.push(b'{');
    layout.end_item(out);
    layout.inner()
}

/// Writes what comes after them.
pub fn close_message(out: &mut Vec<u8>, layout: Layout) {
    if layout != Layout::OneLine {
        layout.separate(out, true);
    }
    out.push(b'}');
    layout.end_item(out);
}

fn write_number(out: &mut Vec<u8>, kind: FieldKind, value: Value<'_>) {
    match (kind, value) {
        (FieldKind::Double, Value::Fixed64(bits)) => write_double(out, f64::from_bits(bits)),
        (FieldKind::Type, Value::Varint(number)) if number < TYPES.len() as u64 => {
            out.extend_from_slice(TYPES[number as usize].as_bytes());
        }
        (FieldKind::Signed, Value::Varint(value)) => write_integer(out, i128::from(value.cast_signed())),
        (FieldKind::ZigZag, Value::Varint(value)) => {
            write_integer(out, i128::from((value >> 1).cast_signed() ^ -(value & 1).cast_signed()));
        }
        (_, Value::Varint(value) | Value::Fixed64(value)) => write_integer(out, i128::from(value)),
        (_, Value::Fixed32(value)) => write_integer(out, i128::from(value)),
        (_, Value::Bytes(_)) => unreachable!("numbers only"),
    }
}

fn write_integer(out: &mut Vec<u8>, value: i128) {
    out.extend_from_slice(value.to_string().as_bytes());
}

fn write_double(out: &mut Vec<u8>, value: f64) {
    if value.is_nan() {
        out.extend_from_slice(b"nan");
    } else if value.is_infinite() {
        out.extend_from_slice(if value > 0.0 { b"inf" } else { b"-inf" });
    } else {
        if value == 0.0 && value.is_sign_negative() {
            out.push(b'-');
        }
        number::write(out, value);
    }
}

fn write_string(out: &mut Vec<u8>, text: &[u8]) {
    out.push(b'"');
    for chunk in text.utf8_chunks() {
        for c in chunk.valid().chars() {
            write_char(out, c);
        }
        for byte in chunk.invalid() {
            out.extend_from_slice(format!("\\x{byte:02x}").as_bytes());
        }
    }
    out.push(b'"');
}

fn write_char(out: &mut Vec<u8>, c: char) {
    let mut utf8 = [0; 4];
    match c {
        '"' | '\\' => out.extend_from_slice(&[b'\\', c as u8]),
        '\n' => out.extend_from_slice(b"\\n"),
        '\r' => out.extend_from_slice(b"\\r"),
        '\t' => out.extend_from_slice(b"\\t"),
        '\0'..' ' | '\x7f' => out.extend_from_slice(format!("\\x{:02x}", u32::from(c)).as_bytes()),
        '\u{80}'..='\u{9f}' => out.extend_from_slice(format!("\\u{:04x}", u32::from(c)).as_bytes()),
        c => out.extend_from_slice(c.encode_utf8(&mut utf8).as_bytes()),
    }
}

#[cfg(test)]
mod tests {
    use super::super::schema::{FAMILY, METRIC};
    use super::*;

    fn shown(schema: &Schema, message: &[u8], layout: Layout) -> String {
        let mut out = Vec::new();
        write_fields(&mut out, schema, message, layout, true);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn laid_out_as_go_does() {
        let family = b"\x0a\x01m\x12\x02hh\x18\x01\x22\x13\x0a\x06\x0a\x01a\x12\x01b\x12\x09\x09\0\0\0\0\0\0\xf8\x3f";
        let lines = "name: \"m\"\nhelp: \"hh\"\ntype: GAUGE\nmetric: {\n  label: {\n    name: \"a\"\n    \
            value: \"b\"\n  }\n  gauge: {\n    value: 1.5\n  }\n}\n";
        assert_eq!(shown(FAMILY, family, Layout::Lines(0)), lines);
        let one_line = "name:\"m\" help:\"hh\" type:GAUGE metric:{label:{name:\"a\" value:\"b\"} gauge:{value:1.5}}";
        assert_eq!(shown(FAMILY, family, Layout::OneLine), one_line);
    }

    #[test]
    fn native_histograms_are_shown_whole() {
        // Packed and single numbers, negative deltas, spans, a type of another number, an unknown field.
        let message =
            b"\x3a\x1d\x08\x08\x28\x03\x6a\x03\x04\x01\x02\x68\x02\x62\x04\x08\x01\x10\x02\x11\0\0\0\0\0\0\xf0\xff\
            \xf8\x07\x01";
        let expected = "histogram:{sample_count:8 sample_sum:-inf schema:-2 positive_span:{offset:-1 length:2} \
            positive_delta:2 positive_delta:-1 positive_delta:1 positive_delta:1}";
        assert_eq!(shown(METRIC, message, Layout::OneLine), expected);
        assert_eq!(shown(FAMILY, b"\x18\x09", Layout::OneLine), "type:9");
        assert_eq!(shown(FAMILY, b"\x12\x04\"\\\n\xff", Layout::OneLine), "help:\"\\\"\\\\\\n\\xff\"");
        assert_eq!(shown(FAMILY, b"\x12\x05ok", Layout::OneLine), "");
    }
}
