//! The hosts that a connection allows by name although they are not on the public internet.

use std::net::Ipv6Addr;

use url::Host;

/// Most entries of one list.
const ENTRIES_MAX: usize = 64;
/// A DNS name has at most 253 bytes; `[` IPv6 `]`, a colon and a port fit as well.
const ENTRY_BYTES_MAX: usize = 270;

/// Host names, addresses and `host:port` pairs that a request may reach even though they are
/// internal. Matching is exact (no wildcards, no ranges) and ignores case; names are compared in
/// the form that URLs use (IDNA), so `EXAMPLE.com` and `example.com` are the same host.
///
/// An entry without a port allows every port of that host.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct HostAllowList {
    entries: Vec<Entry>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Entry {
    host: Host<String>,
    port: Option<u16>,
}

/// Why a list of allowed hosts was not understood.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AllowListError {
    /// More entries than one connection can need.
    #[error("at most {ENTRIES_MAX} allowed hosts are possible; remove some")]
    TooMany,
    /// One entry is not a host.
    #[error(
        "`{entry}` is not an allowed host: write an exact host name or address, with `:port` \
         or without, such as `hr.internal`, `10.0.0.7:8080` or `[fd00::7]:8080` \
         (no scheme, path, wildcard or range)"
    )]
    Invalid {
        /// The entry as written, cut to its first 80 characters.
        entry: String,
    },
}

impl HostAllowList {
    /// Allows nothing: only public addresses are reachable.
    pub fn none() -> Self {
        Self::default()
    }

    /// Reads entries such as `hr.internal`, `localhost:8080`, `10.0.0.7`, `[::1]:8080` or `::1`.
    pub fn parse<I>(entries: I) -> Result<Self, AllowListError>
    where
        I: IntoIterator,
        I::Item: AsRef<str>,
    {
        let mut list = Self::default();
        for entry in entries {
            if list.entries.len() == ENTRIES_MAX {
                return Err(AllowListError::TooMany);
            }
            let entry = entry.as_ref();
            list.entries.push(Entry::parse(entry).ok_or_else(|| AllowListError::Invalid {
                entry: entry.chars().take(80).collect(),
            })?);
        }
        Ok(list)
    }

    /// Whether the list names this host, on this port or on every port.
    pub(super) fn names(&self, host: &Host<String>, port: u16) -> bool {
        let host = without_trailing_dot(host.clone());
        self.entries
            .iter()
            .any(|entry| entry.host == host && entry.port.is_none_or(|allowed| allowed == port))
    }
}

impl Entry {
    fn parse(entry: &str) -> Option<Self> {
        let entry = entry.trim();
        if entry.len() > ENTRY_BYTES_MAX || entry.contains('*') {
            return None;
        }
        if let Ok(address) = entry.parse::<Ipv6Addr>() {
            return Some(Self { host: Host::Ipv6(address), port: None });
        }
        // The closing bracket keeps the colons of an IPv6 address out of the split.
        let (host, port) = match entry.rsplit_once(':') {
            Some((host, port)) if !port.ends_with(']') => (host, Some(parse_port(port)?)),
            _ => (entry, None),
        };
        let host = without_trailing_dot(Host::parse(host).ok()?);
        let is_empty = matches!(&host, Host::Domain(name) if name.is_empty());
        (!is_empty).then_some(Self { host, port })
    }
}

fn parse_port(port: &str) -> Option<u16> {
    // `u16::from_str` would also take a plus sign.
    let digits = !port.is_empty() && port.bytes().all(|byte| byte.is_ascii_digit());
    digits.then(|| port.parse().ok()).flatten().filter(|port| *port != 0)
}

/// `hr.internal.` and `hr.internal` are the same host.
fn without_trailing_dot(host: Host<String>) -> Host<String> {
    match host {
        Host::Domain(name) => {
            Host::Domain(name.strip_suffix('.').map_or_else(|| name.clone(), str::to_owned))
        }
        address => address,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(entries: &[&str], host: &str, port: u16) -> bool {
        let list = HostAllowList::parse(entries).expect("entries parse");
        list.names(&Host::parse(host).expect("host parses"), port)
    }

    #[test]
    fn an_entry_names_exactly_one_host() {
        assert!(names(&["hr.internal"], "hr.internal", 80));
        assert!(names(&["hr.internal"], "HR.internal.", 8080));
        assert!(names(&["HR.Internal."], "hr.internal", 8080));
        assert!(names(&["bücher.example"], "xn--bcher-kva.example", 80));
        assert!(!names(&["hr.internal"], "a.hr.internal", 80));
        assert!(!names(&["hr.internal"], "internal", 80));
        assert!(!names(&[], "hr.internal", 80));
    }

    #[test]
    fn a_port_narrows_the_entry() {
        assert!(names(&["hr.internal:8080"], "hr.internal", 8080));
        assert!(!names(&["hr.internal:8080"], "hr.internal", 80));
        assert!(names(&["[fd00::7]:8080"], "[fd00::7]", 8080));
        assert!(!names(&["[fd00::7]:8080"], "[fd00::7]", 80));
    }

    #[test]
    fn addresses_are_compared_as_addresses() {
        assert!(names(&["127.0.0.1"], "0x7f.1", 80));
        assert!(names(&["0x7f.1:80"], "127.0.0.1", 80));
        assert!(names(&["::1"], "[0:0::1]", 80));
        assert!(names(&["[::1]"], "[::1]", 80));
        // Another address, though it reaches the same machine: it wants an entry of its own.
        assert!(!names(&["127.0.0.1"], "[::ffff:127.0.0.1]", 80));
        assert!(!names(&["127.0.0.1"], "localhost", 80));
    }

    #[test]
    fn what_is_not_a_host_is_refused() {
        for entry in [
            "",
            ".",
            ":80",
            "*",
            "*.internal",
            "10.0.0.0/8",
            "http://hr.internal",
            "hr.internal/x",
            "user@hr.internal",
            "hr.internal:",
            "hr.internal:0",
            "hr.internal:+80",
            "hr.internal:65536",
            "hr internal",
            "[::1",
            "999.1.1.1",
        ] {
            assert_eq!(
                HostAllowList::parse([entry]),
                Err(AllowListError::Invalid { entry: entry.to_owned() }),
                "{entry}"
            );
        }
        assert_eq!(HostAllowList::parse(vec!["a"; 65]), Err(AllowListError::TooMany));
    }

    proptest::proptest! {
        #[test]
        fn parsing_never_panics(entry in ".{0,80}") {
            let _ = HostAllowList::parse([entry]);
        }
    }
}
