//! `/docs`: Swagger UI over the API's own description, without anything from elsewhere.

use axum::Router;
use axum::http::{HeaderName, header};
use axum::response::Redirect;
use axum::routing::get;

const PAGE: &str = r#"<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Chatflow API</title>
<link rel="stylesheet" href="swagger-ui.css">
</head>
<body>
<div id="swagger-ui"></div>
<script src="swagger-ui-bundle.js"></script>
<script src="swagger-ui-standalone-preset.js"></script>
<script src="swagger-initializer.js"></script>
</body>
</html>
"#;

const START: &str = r##"window.ui = SwaggerUIBundle({
  url: "/openapi.json",
  dom_id: "#swagger-ui",
  deepLinking: true,
  presets: [SwaggerUIBundle.presets.apis, SwaggerUIStandalonePreset],
  layout: "StandaloneLayout",
});
"##;

const STYLE: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/swagger-ui.css.gz"));
const BUNDLE: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/swagger-ui-bundle.js.gz"));
const PRESET: &[u8] =
    include_bytes!(concat!(env!("OUT_DIR"), "/swagger-ui-standalone-preset.js.gz"));

const SCRIPT_TYPE: &str = "text/javascript; charset=utf-8";

/// A file that only browsers load, and every one of them unpacks.
fn packed(
    kind: &'static str,
    bytes: &'static [u8],
) -> ([(HeaderName, &'static str); 2], &'static [u8]) {
    ([(header::CONTENT_TYPE, kind), (header::CONTENT_ENCODING, "gzip")], bytes)
}

fn plain(
    kind: &'static str,
    text: &'static str,
) -> ([(HeaderName, &'static str); 1], &'static str) {
    ([(header::CONTENT_TYPE, kind)], text)
}

/// The routes.
pub(crate) fn routes() -> Router {
    Router::new()
        .route("/docs", get(async || Redirect::to("/docs/")))
        .route("/docs/", get(async || plain("text/html; charset=utf-8", PAGE)))
        .route("/docs/swagger-initializer.js", get(async || plain(SCRIPT_TYPE, START)))
        .route("/docs/swagger-ui.css", get(async || packed("text/css; charset=utf-8", STYLE)))
        .route("/docs/swagger-ui-bundle.js", get(async || packed(SCRIPT_TYPE, BUNDLE)))
        .route("/docs/swagger-ui-standalone-preset.js", get(async || packed(SCRIPT_TYPE, PRESET)))
}
