//! The page of a build without the feature `ui`: it says so, and where the metrics are.

use super::Asset;

const PAGE: &str = "<!DOCTYPE html>
<html lang=\"en\">
<head>
<meta charset=\"utf-8\">
<meta name=\"robots\" content=\"noindex,nofollow\">
<title>Prometheus Pushgateway</title>
</head>
<body>
<h1>Pushgateway</h1>
<p>This Pushgateway was built without its web page. Groups are listed by <a href=\"api/v1/groups\">api/v1/groups</a>,
flags and build by <a href=\"api/v1/status\">api/v1/status</a>.</p>
</body>
</html>
";

/// The page; its links are relative.
pub(super) fn html(_: &str) -> Vec<u8> {
    PAGE.as_bytes().to_vec()
}

/// There are no assets.
pub(super) fn asset(_: &str) -> Option<Asset> {
    None
}
