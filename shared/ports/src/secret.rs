//! Secrets: values that never show in logs or answers.

use std::fmt;

use async_trait::async_trait;

use crate::error::PortResult;

/// A secret value; its `Debug` shows nothing.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// Wraps a value.
    pub fn new(value: impl Into<String>) -> Self {
        Self(value.into())
    }

    /// The value, for the one place that needs it.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}

/// Reads and writes secrets by name.
#[async_trait]
pub trait Secrets: Send + Sync {
    /// The secret of that name.
    async fn secret(&self, name: &str) -> PortResult<Option<Secret>>;

    /// Sets a secret.
    async fn put_secret(&self, name: &str, value: &Secret) -> PortResult<()>;

    /// The names, in order; never the values.
    async fn secret_names(&self) -> PortResult<Vec<String>>;
}
