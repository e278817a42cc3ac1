//! What is known of stored documents: the revision and the update time a guard needs.

use std::num::NonZeroUsize;
use std::sync::{Mutex, PoisonError};

use gcloud_sdk::prost_types::Timestamp;
use lru::LruCache;

/// Most documents remembered; one that is not costs a read before its next write.
const KEPT: usize = 20_000;

/// Documents that were read or written lately, by their full names.
pub(crate) struct Known(Mutex<LruCache<String, (u64, Timestamp)>>);

impl Default for Known {
    fn default() -> Self {
        let kept = NonZeroUsize::new(KEPT).unwrap_or(NonZeroUsize::MIN);
        Self(Mutex::new(LruCache::new(kept)))
    }
}

impl Known {
    /// The update time of a document, where it has this revision as far as is known.
    pub(crate) fn at_revision(&self, name: &str, revision: u64) -> Option<Timestamp> {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        known.get(name).filter(|(known, _)| *known == revision).map(|(_, time)| *time)
    }

    /// Notes what was read or written.
    pub(crate) fn note(&self, name: &str, revision: u64, time: Option<Timestamp>) {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match time {
            Some(time) => known.put(name.to_owned(), (revision, time)),
            None => known.pop(name),
        };
    }

    /// Somebody else has written it.
    pub(crate) fn forget(&self, name: &str) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).pop(name);
    }
}
