//! Ids that come from nothing but chance: for requests that bring none of their own.

use engine::EventId;

/// A fresh random id of 128 bits in hexadecimal.
pub fn random() -> String {
    let mut bytes = [0u8; 16];
    // The operating system's generator failing leaves nothing to fall back on; an id made of
    // zeros would collide and be refused as a duplicate, never overwrite anything.
    if let Err(error) = getrandom::fill(&mut bytes) {
        tracing::error!(%error, "the system's random generator failed");
    }
    engine::ids::hex(&bytes)
}

/// The id of an event that nothing names.
pub fn fresh_event(source: &str) -> EventId {
    EventId::of(source, &random())
}
