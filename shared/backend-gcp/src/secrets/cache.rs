//! What was read of secrets a moment ago.

use std::num::NonZeroUsize;
use std::sync::{Mutex, MutexGuard, PoisonError};

use chrono::{DateTime, TimeDelta, Utc};
use lru::LruCache;
use ports::Secret;

/// How long a value is used without asking again: as long as a rotation may take to show.
const KEPT: TimeDelta = TimeDelta::seconds(60);

/// How long it is believed that there is none.
const NONE_KEPT: TimeDelta = TimeDelta::seconds(5);

/// Most secrets kept.
const ENTRIES_MAX: NonZeroUsize = NonZeroUsize::new(256).unwrap();

/// One version of a secret. Version 0 is none.
#[derive(Clone)]
pub(super) struct Version {
    pub(super) number: u64,
    pub(super) value: Option<Secret>,
}

/// Bounded; the secrets used longest ago go first.
pub(super) struct Cache {
    entries: Mutex<LruCache<String, (Version, DateTime<Utc>)>>,
}

impl Cache {
    pub(super) fn new() -> Self {
        Self { entries: Mutex::new(LruCache::new(ENTRIES_MAX)) }
    }

    /// The version that is known at that time; none where one must ask.
    pub(super) fn get(&self, name: &str, now: DateTime<Utc>) -> Option<Version> {
        let mut entries = self.entries();
        let (version, until) = entries.get(name)?;
        (now < *until).then(|| version.clone())
    }

    /// Keeps what was read or written. An older version never replaces a newer one that still
    /// holds: a read that was on its way while somebody wrote, or the alias `latest`, may be
    /// behind.
    pub(super) fn keep(&self, name: &str, version: Version, now: DateTime<Utc>) {
        let mut entries = self.entries();
        let newer = entries
            .peek(name)
            .is_some_and(|(kept, until)| now < *until && kept.number > version.number);
        if !newer {
            let kept = if version.value.is_some() { KEPT } else { NONE_KEPT };
            entries.put(name.to_owned(), (version, now + kept));
        }
    }

    fn entries(&self) -> MutexGuard<'_, LruCache<String, (Version, DateTime<Utc>)>> {
        // Nothing panics while it is held.
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn second(second: i64) -> DateTime<Utc> {
        DateTime::UNIX_EPOCH + TimeDelta::seconds(second)
    }

    fn version(number: u64) -> Version {
        Version { number, value: (number > 0).then(|| Secret::new(format!("value {number}"))) }
    }

    /// What is known: a value, that there is none, or nothing.
    fn known(cache: &Cache, at: i64) -> String {
        let known = cache.get("hook", second(at)).map(|version| version.value);
        match known {
            None => "nothing".into(),
            Some(None) => "none".into(),
            Some(Some(secret)) => secret.expose().to_owned(),
        }
    }

    #[test]
    fn values_and_absence_are_kept_for_their_time() {
        let cache = Cache::new();
        assert_eq!(known(&cache, 0), "nothing");
        cache.keep("hook", version(0), second(0));
        assert_eq!(known(&cache, 4), "none");
        assert_eq!(known(&cache, 5), "nothing");
        cache.keep("hook", version(1), second(5));
        assert_eq!(known(&cache, 64), "value 1");
        assert_eq!(known(&cache, 65), "nothing");
    }

    #[test]
    fn a_newer_version_stays() {
        let cache = Cache::new();
        cache.keep("hook", version(2), second(0));
        cache.keep("hook", version(1), second(1));
        cache.keep("hook", version(0), second(2));
        assert_eq!(known(&cache, 3), "value 2");
        cache.keep("hook", version(3), second(3));
        assert_eq!(known(&cache, 4), "value 3");
        cache.keep("hook", version(1), second(100));
        assert_eq!(known(&cache, 101), "value 1", "its time was over");
    }

    #[test]
    fn it_is_bounded() {
        let cache = Cache::new();
        for number in 0..1_000 {
            cache.keep(&format!("name-{number}"), version(1), second(0));
        }
        assert_eq!(cache.entries().len(), ENTRIES_MAX.get());
        assert!(cache.get("name-999", second(1)).is_some());
    }
}
