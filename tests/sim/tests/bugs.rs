//! The bugs that are put in by hand still have a place to go: their patches fit the code as it is.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::fs;
use std::path::Path;

/// The file of a patch, and the lines that each of its hunks must find there.
fn hunks(patch: &str) -> (String, Vec<String>) {
    let file = patch.lines().find_map(|line| line.strip_prefix("--- a/")).unwrap().to_owned();
    let mut found: Vec<String> = Vec::new();
    for line in patch.lines().skip_while(|line| !line.starts_with("@@")) {
        if line.starts_with("@@") {
            found.push(String::new());
        } else if let (Some(hunk), Some(old)) =
            (found.last_mut(), line.strip_prefix([' ', '-']).or(line.is_empty().then_some("")))
        {
            hunk.push_str(old);
            hunk.push('\n');
        }
    }
    (file, found)
}

#[test]
fn every_patch_fits_the_code() {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut patches = 0;
    for entry in fs::read_dir(here.join("bugs")).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_none_or(|ending| ending != "patch") {
            continue;
        }
        patches += 1;
        let (file, hunks) = hunks(&fs::read_to_string(&path).unwrap());
        let code = fs::read_to_string(here.join("../..").join(&file)).unwrap();
        for hunk in hunks {
            let path = path.display();
            assert!(code.contains(&hunk), "{path}: {file} is another now; renew the patch\n{hunk}");
        }
    }
    assert!(patches >= 10, "the patches were not found: {patches}");
}
