//! `/api/v1/telemetry`: the gateway's own metrics and the size of its store as JSON, for those who watch the gateway
//! and do not want everything that was pushed for it. The original has nothing of the kind.

use super::super::json::{write_key, write_string};
use super::write_labels;
use crate::model::line::Line;
use crate::store::Store;
use crate::telemetry::{FAMILIES, Persistence, Telemetry};

use std::time::Duration;

/// The body of the answer. `now` is the time since the start on a monotonic clock, `kept` what there is to
/// say of a persistence file.
pub fn telemetry(store: &Store, telemetry: &mut Telemetry, kept: Option<&Persistence>, now: Duration) -> Vec<u8> {
    let mut out = b"{\"status\":\"success\",\"data\":{\"families\":".to_vec();
    let mut is_first = true;
    telemetry.render(now, kept, &mut |index, lines| {
        if lines.is_empty() {
            return;
        }
        let family = FAMILIES[index];
        write_key(&mut out, &mut is_first, family.name.as_bytes());
        out.extend_from_slice(b"{\"help\":");
        write_string(&mut out, family.help.as_bytes());
        out.extend_from_slice(b",\"samples\":[");
        write_samples(&mut out, lines);
        out.extend_from_slice(format!("],\"type\":\"{}\"}}", family.kind.upper_name()).as_bytes());
    });
    let size = store.size();
    let members = [
        ("bytes", size.bytes),
        ("compressed_bytes", size.compressed_bytes),
        ("compressed_pages", size.compressed_pages as u64),
        ("groups", store.group_count() as u64),
        ("pages", size.pages as u64),
    ];
    let members = members.map(|(name, value)| format!("\"{name}\":{value}")).join(",");
    out.extend_from_slice(format!("}},\"store\":{{{members}}}}}}}").as_bytes());
    out
}

fn write_samples(out: &mut Vec<u8>, lines: &[u8]) {
    for (at, line) in lines.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()).enumerate() {
        if at > 0 {
            out.push(b',');
        }
        let line = Line::parse(line);
        out.extend_from_slice(b"{\"labels\":");
        write_labels(out, line.labels);
        out.extend_from_slice(b",\"name\":");
        write_string(out, line.name.as_bytes());
        out.extend_from_slice(b",\"value\":");
        write_string(out, line.value.as_bytes());
        out.push(b'}');
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::build::Build;
    use crate::model::time::Timestamp;
    use crate::store::{Deflater, Snapshot};
    use crate::telemetry::{Handler, Method};
    use serde_json::{Value, json};

    #[test]
    fn own_metrics_and_sizes_are_told() {
        let mut store = super::super::groups::tests::store();
        let mut own = Telemetry::new(&Build::current(), Timestamp(0));
        own.count_request(Handler::Push, Method::Put, 200);
        own.observe_push(Method::Put, 100, 0.5, Duration::ZERO);
        let mut told =
            || -> Value { serde_json::from_slice(&telemetry(&store, &mut own, None, Duration::ZERO)).unwrap() };
        let before = told();
        let mut snapshot = Snapshot::default();
        store.snapshot(&mut snapshot);
        let mut deflater = Deflater::default();
        snapshot.pieces().iter().for_each(|page| _ = deflater.compress(page));
        let run: usize = snapshot.pieces().iter().filter_map(|page| page.run()).map(<[u8]>::len).sum();
        let after = told();

        let data = &before["data"];
        let requests = &data["families"]["pushgateway_http_requests_total"];
        let labels = json!({"code": "200", "handler": "push", "method": "put"});
        let sample = json!({"labels": labels, "name": "pushgateway_http_requests_total", "value": "1"});
        assert_eq!(requests["samples"], json!([sample]));
        assert_eq!(requests["type"], "COUNTER");
        let sum = json!({"labels": {"method": "put"}, "name": "pushgateway_http_push_size_bytes_sum", "value": "100"});
        let sizes = data["families"]["pushgateway_http_push_size_bytes"]["samples"].as_array().unwrap();
        assert!(sizes.contains(&sum), "{sizes:?}");
        let bytes = snapshot.bytes();
        let pages = snapshot.pieces().len();
        let size = |runs: usize, run: usize| json!({"bytes": bytes, "compressed_bytes": run, "compressed_pages": runs, "groups": 3, "pages": pages});
        assert_eq!(data["store"], size(0, 0));
        assert_eq!(after["data"]["store"], size(pages, run));
        store.wipe();
        let wiped: Value = serde_json::from_slice(&telemetry(&store, &mut own, None, Duration::ZERO)).unwrap();
        assert_eq!(wiped["data"]["store"]["groups"], 0);
    }
}
