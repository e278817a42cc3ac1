//! Servers by name: the file `profiles.toml`.
//!
//! ```toml
//! [office]
//! server = "https://chat.example.com"
//! key_file = "/home/mei/.config/chatflow/office.key"
//! ```

use std::collections::BTreeMap;
use std::path::PathBuf;

use anyhow::{Context, bail};
use serde::Deserialize;
use url::Url;

/// One server. What is not named here has the usual default.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Profile {
    /// Its address.
    pub server: Option<Url>,
    /// The file with the API key.
    pub key_file: Option<PathBuf>,
}

/// Where the file is: `$XDG_CONFIG_HOME/chatflow/profiles.toml`, or under `~/.config`.
fn path() -> anyhow::Result<PathBuf> {
    let variable = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty());
    let config = variable("XDG_CONFIG_HOME").map(PathBuf::from);
    let config = config.or_else(|| Some(PathBuf::from(variable("HOME")?).join(".config")));
    let config = config.context("set HOME, so that profiles.toml can be found")?;
    Ok(config.join("chatflow").join("profiles.toml"))
}

/// The profile of this name.
pub fn named(name: &str) -> anyhow::Result<Profile> {
    let path = path()?;
    let text = std::fs::read_to_string(&path).with_context(|| {
        format!("{} cannot be read; write [{name}] and server = \"…\" into it", path.display())
    })?;
    find(&text, name).with_context(|| format!("{}", path.display()))
}

fn find(text: &str, name: &str) -> anyhow::Result<Profile> {
    let mut profiles: BTreeMap<String, Profile> = toml::from_str(text)
        .map_err(|error| anyhow::anyhow!("{}", error.to_string().trim_end()))?;
    let Some(profile) = profiles.remove(name) else {
        let known: Vec<String> = profiles.keys().map(|name| format!("`{name}`")).collect();
        bail!("there is no profile `{name}`; there are {}", known.join(", "));
    };
    Ok(profile)
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "[office]\nserver = \"https://chat.example.com\"\n[home]\n";

    #[test]
    fn profiles_are_found_by_name() {
        let office = find(TEXT, "office").unwrap();
        assert_eq!(office.server.unwrap().as_str(), "https://chat.example.com/");
        assert_eq!(office.key_file, None);
        let missing = find(TEXT, "ofice").unwrap_err().to_string();
        assert_eq!(missing, "there is no profile `ofice`; there are `home`, `office`");
    }

    #[test]
    fn a_slip_in_the_file_is_told_with_its_line() {
        let error = find("[office]\nsrver = \"x\"\n", "office").unwrap_err().to_string();
        assert!(error.contains("line 2") && error.contains("srver"), "{error}");
    }
}
