//! Takes out of Swagger UI what `/docs` needs, compressed as browsers take it. Left as they are the
//! files would be a sixth of the program, half of it for other ways to load them.

use std::borrow::Cow;
use std::fs::File;
use std::io::{self, Cursor};
use std::path::Path;

use flate2::Compression;
use flate2::write::GzEncoder;
use zip::ZipArchive;

const FILES: [&str; 3] =
    ["swagger-ui.css", "swagger-ui-bundle.js", "swagger-ui-standalone-preset.js"];

fn main() -> Result<(), Box<dyn std::error::Error>> {
    println!("cargo::rerun-if-changed=build.rs");
    #[expect(clippy::disallowed_methods, reason = "cargo tells build scripts by variables")]
    let out = std::env::var("OUT_DIR")?;
    let mut archive =
        ZipArchive::new(Cursor::new(utoipa_swagger_ui_vendored::SWAGGER_UI_VENDORED))?;
    for file in FILES {
        let ending = format!("/dist/{file}");
        let mut names = archive.file_names().filter_map(Result::ok).map(Cow::into_owned);
        let found = names.find(|name| name.ends_with(&ending));
        drop(names);
        let name = found.ok_or_else(|| format!("Swagger UI has no {file} any more"))?;
        let packed = File::create(Path::new(&out).join(format!("{file}.gz")))?;
        let mut packed = GzEncoder::new(packed, Compression::best());
        io::copy(&mut archive.by_name(&name)?, &mut packed)?;
        packed.finish()?;
    }
    Ok(())
}
