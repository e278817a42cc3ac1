//! Where the programs are: beside this one, as cargo puts them.

use std::path::PathBuf;

use anyhow::Context as _;

/// The path of a program of this workspace, such as `chatflow-gateway`.
///
/// # Errors
/// Where it was not built; the message says how to.
pub fn path(name: &str) -> anyhow::Result<PathBuf> {
    let own = std::env::current_exe().context("where this program is")?;
    // Tests lie one folder deeper than programs.
    let found = own.ancestors().skip(1).take(2).map(|folder| folder.join(name));
    found.into_iter().find(|path| path.is_file()).with_context(|| {
        format!("`{name}` is not built; run `scripts/test gcp` or `scripts/run --gcp-emulators`")
    })
}
