//! The table of settings in the README is the one in the code.

const BEGIN: &str = "<!-- settings: written by bootstrap::config::markdown(), held by a test -->\n";
const END: &str = "<!-- end of settings -->";

#[test]
fn the_readme_lists_the_settings() {
    let file = concat!(env!("CARGO_MANIFEST_DIR"), "/../../README.md");
    let text = std::fs::read_to_string(file).unwrap();
    let (_, rest) = text.split_once(BEGIN).unwrap();
    let (written, _) = rest.split_once(END).unwrap();
    let table = bootstrap::config::markdown();
    assert!(written.trim() == table.trim(), "put this between the marks in README.md:\n\n{table}");
}
