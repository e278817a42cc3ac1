//! Reading the body of a push within bounds.

use axum::body::Body;
use http_body_util::BodyExt;
use sha2::{Digest, Sha256};

/// Largest body of a push, in bytes.
pub const BODY_BYTES_MAX: usize = 10_000_000;
/// What is read of a larger one, so that the sender hears the answer; Pub/Sub sends less.
const DRAIN_BYTES_MAX: usize = 16 * 1024 * 1024;

/// What came.
pub(super) enum Read {
    /// All of it.
    Whole(Vec<u8>),
    /// More than is taken: how much, and what stands for its content.
    TooLarge {
        /// Bytes seen.
        bytes: usize,
        /// SHA-256 of what was seen.
        digest: Vec<u8>,
    },
    /// The sender went away.
    Broken,
}

/// Reads all of it, or learns that it is too large.
pub(super) async fn read(mut body: Body) -> Read {
    let mut whole: Vec<u8> = Vec::new();
    let mut large: Option<Sha256> = None;
    let mut seen = 0_usize;
    while let Some(frame) = body.frame().await {
        let Ok(frame) = frame else { return Read::Broken };
        let Some(data) = frame.data_ref() else { continue };
        seen = seen.saturating_add(data.len());
        if let Some(digest) = &mut large {
            digest.update(data);
        } else if seen > BODY_BYTES_MAX {
            let mut digest = Sha256::new();
            digest.update(&whole);
            digest.update(data);
            whole = Vec::new();
            large = Some(digest);
        } else {
            whole.extend_from_slice(data);
        }
        if seen > DRAIN_BYTES_MAX {
            break;
        }
    }
    match large {
        None => Read::Whole(whole),
        Some(digest) => Read::TooLarge { bytes: seen, digest: digest.finalize().to_vec() },
    }
}
