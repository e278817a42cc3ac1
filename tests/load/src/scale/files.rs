//! Where made files are kept, so that the second run starts at once.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Instant;

use anyhow::Context as _;
use serde::Serialize;

use super::make;

/// Changes with what is made: files of other programs are left alone.
const FORMAT: u32 = 1;

/// What a file holds.
#[derive(Debug, Clone)]
pub(super) struct Content {
    pub(super) tasks: usize,
    pub(super) messages: usize,
    /// Every task waits for a timer.
    pub(super) all_wait: bool,
}

impl Content {
    /// Answers of a task, after the message that started it: each message has its reply.
    pub(super) fn replies(&self, number: usize) -> usize {
        let until = |number: usize| number * self.messages / (2 * self.tasks.max(1));
        (until(number + 1) - until(number)).saturating_sub(1).max(1)
    }

    pub(super) fn name(&self) -> String {
        let kind = if self.all_wait { "timers" } else { "tasks" };
        format!("{kind}-{}-{}-v{FORMAT}", self.tasks, self.messages)
    }
}

/// A file that was made, or was there.
#[derive(Debug, Serialize)]
pub struct Made {
    /// Its name in the folder of files.
    pub name: String,
    /// Tasks in it.
    pub tasks: usize,
    /// Messages in it, about.
    pub messages: usize,
    /// Its size.
    pub bytes: u64,
    /// How long making it took; none where it was there.
    pub seconds: Option<f64>,
}

/// Makes a file where it is not there; gives its directory.
///
/// # Errors
/// Where the disk is full.
pub(super) async fn made(
    files: &Path,
    content: &Content,
    fresh: bool,
) -> anyhow::Result<(PathBuf, Made)> {
    let name = content.name();
    let place = files.join(&name);
    if fresh && place.exists() {
        fs::remove_dir_all(&place)?;
    }
    let mut seconds = None;
    if !place.exists() {
        eprintln!("making {name}…");
        let began = Instant::now();
        fs::create_dir_all(files).with_context(|| {
            format!("{} cannot be made; name another folder by --files", files.display())
        })?;
        let unfinished = tempfile::Builder::new().prefix(".making-").tempdir_in(files)?;
        make::make(unfinished.path(), content.clone()).await?;
        fs::rename(unfinished.keep(), &place)?;
        seconds = Some(began.elapsed().as_secs_f64());
    }
    let bytes = place.join(bootstrap::FILE).metadata()?.len();
    let made = Made { name, tasks: content.tasks, messages: content.messages, bytes, seconds };
    Ok((place, made))
}

/// A copy to work on: what is measured changes nothing that is measured later.
///
/// # Errors
/// Where the disk is full.
pub(super) fn copied(files: &Path, place: &Path) -> anyhow::Result<tempfile::TempDir> {
    let copy = tempfile::Builder::new().prefix(".copy-").tempdir_in(files)?;
    let file = bootstrap::FILE;
    fs::copy(place.join(file), copy.path().join(file)).context("a copy of the file")?;
    Ok(copy)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_are_spread_over_the_tasks() {
        for (tasks, messages) in [(1_000, 5_000), (1_000, 4_000), (300, 2_000)] {
            let content = Content { tasks, messages, all_wait: false };
            let all: usize = (0..tasks).map(|number| 2 * (content.replies(number) + 1)).sum();
            assert!(all.abs_diff(messages) <= 2, "{all} of {messages}");
        }
    }
}
