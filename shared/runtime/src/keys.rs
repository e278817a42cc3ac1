//! API keys: `cf_<id>_<secret>`, stored as a hash, compared in constant time.

use ports::ApiKey;
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

use crate::app::App;
use crate::ids;
use crate::outcome::HandleError;

/// Who makes a request, and what they may do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Caller {
    /// The key's id.
    pub key: String,
    /// What it is for, as people see it in histories.
    pub name: String,
    permissions: Vec<String>,
}

impl Caller {
    /// The one place that decides: whether the caller may do what is called `permission`, such
    /// as `tasks.read`.
    pub fn may(&self, permission: &str) -> bool {
        self.permissions.iter().any(|granted| {
            granted == "*"
                || granted == permission
                || granted
                    .strip_suffix(".*")
                    .is_some_and(|area| permission.split('.').next() == Some(area))
        })
    }
}

/// Makes a key; the text is shown once and never stored.
pub async fn create(
    app: &App,
    name: &str,
    permissions: Vec<String>,
) -> Result<(ApiKey, String), HandleError> {
    let id: String = ids::random().chars().take(12).collect();
    let text = format!("cf_{id}_{}{}", ids::random(), ids::random());
    let key = ApiKey {
        id,
        hash: hash(&text),
        name: name.to_owned(),
        permissions,
        created_at: app.now(),
        revoked_at: None,
    };
    app.store().put_key(&key).await?;
    Ok((key, text))
}

/// The caller of a key's text; none where it is no valid key.
pub async fn authenticate(app: &App, text: &str) -> Result<Option<Caller>, HandleError> {
    let Some(id) = text.strip_prefix("cf_").and_then(|rest| rest.split('_').next()) else {
        return Ok(None);
    };
    if text.len() > 200 || id.is_empty() {
        return Ok(None);
    }
    let Some(key) = app.store().key(id).await? else { return Ok(None) };
    let same: bool = key.hash.as_bytes().ct_eq(hash(text).as_bytes()).into();
    if !same || key.revoked_at.is_some() {
        return Ok(None);
    }
    Ok(Some(Caller { key: key.id, name: key.name, permissions: key.permissions }))
}

fn hash(text: &str) -> String {
    engine::ids::hex(&Sha256::digest(text.as_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn permissions_are_by_name_area_or_everything() {
        let caller = |granted: &[&str]| Caller {
            key: "k".into(),
            name: "n".into(),
            permissions: granted.iter().map(|&p| p.to_owned()).collect(),
        };
        assert!(caller(&["*"]).may("flows.publish"));
        assert!(caller(&["tasks.*"]).may("tasks.read"));
        assert!(!caller(&["tasks.*"]).may("flows.read"));
        assert!(caller(&["tasks.read"]).may("tasks.read"));
        assert!(!caller(&["tasks.read"]).may("tasks.write"));
        assert!(!caller(&[]).may("tasks.read"));
    }
}
