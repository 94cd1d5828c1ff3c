//! Random bodies: lines of the grammar over few names, so that families meet, some of them several times but for their
//! values, and now and then a byte changed.

use crate::random::Random;

pub fn body(random: &mut Random) -> Vec<u8> {
    let mut body = String::new();
    for _ in 0..random.index(8) {
        let seed = random.bits();
        for _ in 0..1 + random.index(4) {
            line(&mut Random::new(seed), random, &mut body);
        }
    }
    let mut body = body.into_bytes();
    if random.one_in(3) {
        mutate(random, &mut body);
    }
    body
}

fn mutate(random: &mut Random, body: &mut Vec<u8>) {
    const BYTES: &[u8] = b"\n\n \t\"\"\\\\{},=#:a1.n\r\0\xff\xc3";
    if body.is_empty() {
        return;
    }
    let at = random.index(body.len());
    let byte = BYTES[random.index(BYTES.len())];
    match random.index(4) {
        0 => body.truncate(at),
        1 => body[at] = byte,
        2 => body.insert(at, byte),
        _ => drop(body.remove(at)),
    }
}

/// A line whose values are drawn apart.
fn line(random: &mut Random, values: &mut Random, body: &mut String) {
    *body += if random.one_in(8) { random.pick(&[" ", "\t", " \t "]) } else { "" };
    match random.index(10) {
        0 => *body += random.pick(&["", "#", "# x", "#HELP", "# EOF", "#  help a b"]),
        1 => help(random, body),
        2 | 3 => kind(random, body),
        4 => in_braces(random, values, body),
        _ => with_name_in_front(random, values, body),
    }
    *body += "\n";
}

fn metric_name(random: &mut Random, body: &mut String) {
    let name = random.pick(&["a", "b", "h", "h", "s", "s", "a:b", "long_name_of_a_metric", "é.x"]);
    let suffix = random.pick(&["", "", "_count", "_sum", "_bucket", "_total", "_sum_count"]);
    match random.index(12) {
        0 => *body += &format!("\"{name}{suffix}\""),
        1 if name != "é.x" => *body += &format!("{name}\"{suffix}\""),
        2 => *body += &format!("\"{name}\\\\{suffix}\""),
        _ if name == "é.x" => *body += "a",
        _ => *body += &format!("{name}{suffix}"),
    }
}

fn help(random: &mut Random, body: &mut String) {
    *body += random.pick(&["# HELP ", "#HELP\t", "#  HELP "]);
    metric_name(random, body);
    *body += random.pick(&["", " ", " x", "  x \\\\ y\\n", " \\\"é\r", "\tx", " \\q"]);
}

fn kind(random: &mut Random, body: &mut String) {
    *body += "# TYPE ";
    metric_name(random, body);
    *body += random.pick(&[
        " histogram",
        " histogram",
        " summary",
        " summary",
        " gaugehistogram",
        " GAUGE_histogram",
        " gauge",
        " Counter",
        " unty\\ped",
        " info",
        "",
    ]);
}

fn with_name_in_front(random: &mut Random, values: &mut Random, body: &mut String) {
    metric_name(random, body);
    *body += random.pick(&["", "", " ", "\t"]);
    if random.one_in(3) {
        *body += " ";
    } else {
        *body += "{";
        for _ in 0..label_count(random) {
            label(random, values, body);
            *body += random.pick(&[",", ",", " , "]);
        }
        *body += random.pick(&["}", "} ", " }", "}\t"]);
    }
    value(values, body);
}

fn in_braces(random: &mut Random, values: &mut Random, body: &mut String) {
    *body += "{";
    let count = label_count(random);
    let place = random.index(count + 1);
    for ix in 0..=count {
        if ix == place {
            metric_name(random, body);
        } else {
            label(random, values, body);
        }
        *body += random.pick(&[",", ",", ", "]);
    }
    *body += "}";
    value(values, body);
}

fn label_count(random: &mut Random) -> usize {
    if random.one_in(20) { 10 + random.index(30) } else { random.index(4) }
}

fn label(random: &mut Random, values: &mut Random, body: &mut String) {
    let name = random.pick(&["le", "quantile", "l", "l", "l", "\"l\"", "l\"x\"", "\"é\"", "\"\\n\"", "__name__"]);
    let name = if name == "l" { format!("l{}", random.index(1000)) } else { name.to_owned() };
    *body += &name;
    *body += random.pick(&["=", "=", " = "]);
    let value = match name.as_str() {
        "le" | "quantile" => values.pick(&["1", "0.5", "+Inf", "NaN", "-1e3", "\\\\"]),
        _ => values.pick(&["", "x", "/var/lib", "\\\\", "\\n\\\"", "é\t\r}", "日本", "a value that is a bit longer"]),
    };
    *body += &format!("\"{value}\"");
    *body += if random.one_in(10) { " " } else { "" };
}

fn value(random: &mut Random, body: &mut String) {
    *body += random.pick(&["1", "0", "123.25", "-1", "1e3", "NaN", "+Inf", ".5", "123456789012345678", "1e-400"]);
    *body += random.pick(&["", "", "", "", "", "", " 1", " -5", "\t17", " ", " x", " 1 "]);
}
