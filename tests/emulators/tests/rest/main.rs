//! The stand-ins with Google's own clients, and the runner as a process.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a test that cannot go on fails")]

mod receiver;
mod runner;
mod secrets;
mod tasks;

use std::sync::Once;

use google_cloud_auth::credentials::Credentials;
use google_cloud_gax::error::Error;
use google_cloud_gax::error::rpc::Code;

/// Nobody's credentials, for clients of the stand-ins.
fn anonymous() -> Credentials {
    static RING: Once = Once::new();
    RING.call_once(|| rustls::crypto::ring::default_provider().install_default().unwrap());
    google_cloud_auth::credentials::anonymous::Builder::new().build()
}

/// The code and the text of what a client was answered.
fn refusal<T: std::fmt::Debug>(answer: Result<T, Error>) -> (Code, String) {
    let error = answer.unwrap_err();
    let status = error.status().unwrap_or_else(|| panic!("not Google's format: {error:?}"));
    (status.code, status.message.clone())
}
