//! The secrets that there are, with their versions.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map, Value, json};

use crate::discovery;
use crate::rest::{self, Refusal};

/// Google's limit of a payload, in bytes.
const PAYLOAD_BYTES_MAX: usize = 64 * 1024;
/// How many secrets and how many versions of one are kept.
const SECRETS_MAX: usize = 10_000;
const VERSIONS_MAX: usize = 1000;
/// Google's limit of labels.
const LABELS_MAX: usize = 64;
/// What `patch` may change.
const CHANGEABLE: [&str; 5] = ["labels", "annotations", "topics", "ttl", "versionAliases"];

/// A version's state, as Google names it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum State {
    Enabled,
    Disabled,
    Destroyed,
}

impl State {
    fn name(self) -> &'static str {
        match self {
            Self::Enabled => "ENABLED",
            Self::Disabled => "DISABLED",
            Self::Destroyed => "DESTROYED",
        }
    }
}

struct Version {
    state: State,
    payload: Vec<u8>,
    resource: Map<String, Value>,
}

struct Secret {
    resource: Map<String, Value>,
    /// Version `n` is at `n - 1`.
    versions: Vec<Version>,
}

/// Everything, behind one lock. Keys are full names: `projects/p/secrets/s`.
#[derive(Default)]
pub(super) struct Store {
    secrets: BTreeMap<String, Secret>,
    /// For `etag`: counts every change.
    revision: u64,
}

impl Store {
    fn etag(&mut self) -> Value {
        self.revision += 1;
        format!("\"{:x}\"", self.revision).into()
    }

    fn secret(&mut self, name: &str) -> Result<&mut Secret, Refusal> {
        self.secrets
            .get_mut(name)
            .ok_or_else(|| Refusal::not_found(format!("Secret [{name}] not found.")))
    }

    pub(super) fn create(
        &mut self,
        name: &str,
        mut asked: Map<String, Value>,
    ) -> Result<Value, Refusal> {
        if self.secrets.contains_key(name) {
            return Err(Refusal::exists(format!("Secret [{name}] already exists.")));
        }
        if self.secrets.len() >= SECRETS_MAX {
            return Err(Refusal::exhausted(format!("the stand-in keeps {SECRETS_MAX} secrets")));
        }
        let replication = asked.get("replication").and_then(Value::as_object);
        if replication.is_none_or(Map::is_empty) {
            return Err(Refusal::invalid(
                "Secret.replication is required, such as {automatic: {}}",
            ));
        }
        check_labels(asked.get("labels"))?;
        asked.insert("name".into(), name.into());
        asked.insert("createTime".into(), rest::timestamp(rest::now()).into());
        asked.insert("etag".into(), self.etag());
        let answer = Value::Object(asked.clone());
        self.secrets.insert(name.to_owned(), Secret { resource: asked, versions: Vec::new() });
        Ok(answer)
    }

    pub(super) fn get(&mut self, name: &str) -> Result<Value, Refusal> {
        Ok(Value::Object(self.secret(name)?.resource.clone()))
    }

    pub(super) fn patch(
        &mut self,
        name: &str,
        mask: &str,
        asked: &Map<String, Value>,
    ) -> Result<Value, Refusal> {
        let paths: Vec<&str> = mask.split(',').filter(|path| !path.is_empty()).collect();
        if paths.is_empty() {
            return Err(Refusal::invalid("updateMask is missing"));
        }
        if let Some(other) = paths.iter().find(|path| !CHANGEABLE.contains(path)) {
            return Err(Refusal::invalid(format!(
                "updateMask: {other} is not one of {}",
                CHANGEABLE.join(", ")
            )));
        }
        check_labels(asked.get("labels"))?;
        let etag = self.etag();
        let secret = self.secret(name)?;
        for path in paths {
            match asked.get(path) {
                Some(value) => secret.resource.insert(path.to_owned(), value.clone()),
                None => secret.resource.shift_remove(path),
            };
        }
        secret.resource.insert("etag".into(), etag);
        Ok(Value::Object(secret.resource.clone()))
    }

    pub(super) fn delete(&mut self, name: &str, etag: Option<&String>) -> Result<(), Refusal> {
        let secret = self.secret(name)?;
        check_etag(&secret.resource, etag.map(String::as_str))?;
        self.secrets.remove(name);
        Ok(())
    }

    /// The secrets of a project in order of their names.
    pub(super) fn below<'a>(
        &'a self,
        project: &str,
    ) -> impl Iterator<Item = (&'a String, &'a Map<String, Value>)> + use<'a> {
        let begin = format!("{project}/secrets/");
        self.secrets
            .range(begin.clone()..)
            .take_while(move |(name, _)| name.starts_with(&begin))
            .map(|(name, secret)| (name, &secret.resource))
    }

    pub(super) fn add_version(&mut self, name: &str, payload: &Value) -> Result<Value, Refusal> {
        let data = payload["data"].as_str().and_then(discovery::bytes).unwrap_or_default();
        if data.is_empty() {
            return Err(Refusal::invalid("The payload must not be empty"));
        }
        if data.len() > PAYLOAD_BYTES_MAX {
            return Err(Refusal::invalid(format!(
                "The payload is {} bytes; at most {PAYLOAD_BYTES_MAX}",
                data.len()
            )));
        }
        let checksum = &payload["dataCrc32c"];
        let claimed = checksum.as_i64().or_else(|| checksum.as_str()?.parse().ok());
        if claimed.is_some_and(|claimed| claimed != i64::from(crc32c(&data))) {
            return Err(Refusal::invalid("The payload does not match its dataCrc32c"));
        }
        let etag = self.etag();
        let secret = self.secret(name)?;
        if secret.versions.len() >= VERSIONS_MAX {
            return Err(Refusal::exhausted(format!("the stand-in keeps {VERSIONS_MAX} versions")));
        }
        let number = secret.versions.len() + 1;
        let mut resource = Map::new();
        resource.insert("name".into(), format!("{name}/versions/{number}").into());
        resource.insert("createTime".into(), rest::timestamp(rest::now()).into());
        resource.insert("state".into(), State::Enabled.name().into());
        resource.insert("etag".into(), etag);
        resource.insert("replicationStatus".into(), json!({ "automatic": {} }));
        resource.insert("clientSpecifiedPayloadChecksum".into(), claimed.is_some().into());
        let answer = Value::Object(resource.clone());
        secret.versions.push(Version { state: State::Enabled, payload: data, resource });
        Ok(answer)
    }

    fn version(&mut self, name: &str, id: &str) -> Result<&mut Version, Refusal> {
        let secret = self.secret(name)?;
        let alias = &secret.resource.get("versionAliases").map(|aliases| aliases[id].clone());
        let number = match (id, alias) {
            ("latest", _) => Some(secret.versions.len()),
            (_, Some(Value::String(number))) => number.parse().ok(),
            _ => id.parse().ok(),
        };
        number.and_then(|number: usize| secret.versions.get_mut(number.checked_sub(1)?)).ok_or_else(
            || {
                Refusal::not_found(format!(
                    "Secret [{name}] not found or has no versions: version {id}."
                ))
            },
        )
    }

    pub(super) fn get_version(&mut self, name: &str, id: &str) -> Result<Value, Refusal> {
        Ok(Value::Object(self.version(name, id)?.resource.clone()))
    }

    /// A secret's versions, newest first, with names that sort in that order.
    pub(super) fn versions(&mut self, name: &str) -> Result<Vec<(String, Value)>, Refusal> {
        let secret = self.secret(name)?;
        let newest_first = secret.versions.iter().enumerate().rev();
        Ok(newest_first
            .map(|(at, version)| {
                (format!("{:06}", VERSIONS_MAX - at), Value::Object(version.resource.clone()))
            })
            .collect())
    }

    pub(super) fn access(&mut self, name: &str, id: &str) -> Result<Value, Refusal> {
        let version = self.version(name, id)?;
        if version.state != State::Enabled {
            return Err(Refusal::precondition(format!(
                "Secret Version [{name}/versions/{id}] is in {} state.",
                version.state.name()
            )));
        }
        Ok(json!({
            "name": version.resource["name"],
            "payload": {
                "data": STANDARD.encode(&version.payload),
                "dataCrc32c": crc32c(&version.payload).to_string(),
            }
        }))
    }

    pub(super) fn set_state(
        &mut self,
        name: &str,
        id: &str,
        state: State,
        etag: Option<&str>,
    ) -> Result<Value, Refusal> {
        let new_etag = self.etag();
        let version = self.version(name, id)?;
        check_etag(&version.resource, etag)?;
        if version.state == State::Destroyed {
            return Err(Refusal::precondition("The version is in DESTROYED state."));
        }
        version.state = state;
        version.resource.insert("state".into(), state.name().into());
        version.resource.insert("etag".into(), new_etag);
        if state == State::Destroyed {
            version.payload = Vec::new();
            version.resource.insert("destroyTime".into(), rest::timestamp(rest::now()).into());
        }
        Ok(Value::Object(version.resource.clone()))
    }
}

fn check_etag(resource: &Map<String, Value>, etag: Option<&str>) -> Result<(), Refusal> {
    match etag.filter(|etag| !etag.is_empty()) {
        Some(etag) if resource["etag"] != etag => {
            Err(Refusal::precondition("The etag is not the one that the resource has now."))
        }
        _ => Ok(()),
    }
}

/// Labels as Google takes them: lower case, digits, `_` and `-`; a key begins with a letter.
fn check_labels(labels: Option<&Value>) -> Result<(), Refusal> {
    let Some(Value::Object(labels)) = labels else { return Ok(()) };
    if labels.len() > LABELS_MAX {
        return Err(Refusal::invalid(format!("labels: at most {LABELS_MAX}")));
    }
    let fits = |text: &str| {
        let is_ok = |c: char| (c.is_alphanumeric() && !c.is_uppercase()) || c == '_' || c == '-';
        text.chars().all(is_ok) && text.chars().count() <= 63
    };
    for (key, value) in labels {
        let begins = key.chars().next().is_some_and(char::is_alphabetic);
        if !begins || !fits(key) || !fits(value.as_str().unwrap_or_default()) {
            return Err(Refusal::invalid(format!(
                "labels: {key} or its value is not at most 63 lower-case letters, digits, _, -"
            )));
        }
    }
    Ok(())
}

/// The checksum of payloads: CRC-32C (Castagnoli), bit by bit.
fn crc32c(data: &[u8]) -> u32 {
    let mut crc = u32::MAX;
    for byte in data {
        crc ^= u32::from(*byte);
        for _ in 0..8 {
            crc = (crc >> 1) ^ if crc & 1 == 1 { 0x82F6_3B78 } else { 0 };
        }
    }
    !crc
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn checksum_is_castagnolis() {
        assert_eq!(crc32c(b"123456789"), 0xE306_9283); // the check value of CRC-32C
        assert_eq!(crc32c(b""), 0);
    }

    #[test]
    fn labels_are_held_to_googles_rules() {
        assert!(check_labels(Some(&json!({ "app": "chatflow", "a_1-b": "" }))).is_ok());
        for bad in [json!({ "App": "x" }), json!({ "1a": "x" }), json!({ "a": "X y" })] {
            assert!(check_labels(Some(&bad)).is_err(), "{bad}");
        }
    }
}
