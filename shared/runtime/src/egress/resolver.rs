//! Name resolution that returns only addresses which may be connected to.
//!
//! The client connects to exactly what its resolver returns. Checking here, and nowhere before,
//! leaves no moment in which a name could change its answer.

use std::net::{SocketAddr, ToSocketAddrs};
use std::sync::Arc;

use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use tokio::sync::Semaphore;

use super::address::{AddressClass, classify, is_metadata_name};

/// Most addresses of one name that are tried; more is nobody's honest answer.
const ADDRESSES_MAX: usize = 32;

/// Which addresses a client may connect to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Reach {
    /// Public addresses only.
    Public,
    /// Internal ones as well: this client is asked only for hosts that the request allows by name.
    Named,
}

impl Reach {
    fn admits(self, name: &str, class: AddressClass) -> bool {
        match self {
            Self::Public => class == AddressClass::Public,
            Self::Named => !class.is_never_behind_a_name() || is_metadata_name(name),
        }
    }
}

/// Every address of a name is one that may not be connected to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the name resolves to {0}")]
pub(super) struct AddressRefused(pub(super) AddressClass);

/// The name has no address, or nobody could say.
#[derive(Debug, thiserror::Error)]
#[error("the name was not found")]
pub(super) struct NameNotFound;

/// The system's resolver, followed by the check.
#[derive(Debug, Clone)]
pub(super) struct CheckedResolver {
    pub(super) reach: Reach,
    /// Slots for lookups. A lookup occupies a thread that nothing can stop, so that slow name
    /// servers could use up all threads for blocking work.
    pub(super) lookups: Arc<Semaphore>,
}

impl Resolve for CheckedResolver {
    fn resolve(&self, name: Name) -> Resolving {
        let Self { reach, lookups } = self.clone();
        Box::pin(async move {
            let slot = lookups.acquire_owned().await?;
            let name = name.as_str().to_owned();
            let lookup = tokio::task::spawn_blocking(move || {
                // Held by the thread, not by the request, which may be gone by then.
                let _slot = slot;
                // Port 0 stands for the port of the URL.
                let found = (name.as_str(), 0).to_socket_addrs();
                let found: Vec<_> = found.into_iter().flatten().take(ADDRESSES_MAX).collect();
                (name, found)
            });
            let (name, found) = lookup.await?;
            if found.is_empty() {
                return Err(NameNotFound.into());
            }
            let admitted = admitted(reach, &name, &found)?;
            Ok(Box::new(admitted.into_iter()) as Addrs)
        })
    }
}

/// Keeps the addresses that may be connected to. Some may be dropped as long as one remains: names
/// with a public and an internal address exist.
fn admitted(
    reach: Reach,
    name: &str,
    found: &[SocketAddr],
) -> Result<Vec<SocketAddr>, AddressRefused> {
    let class_of = |address: &SocketAddr| classify(address.ip());
    let admitted: Vec<_> =
        found.iter().copied().filter(|address| reach.admits(name, class_of(address))).collect();
    if admitted.is_empty() {
        // The first address explains the refusal best: it is the one that would have been tried.
        let class = found.first().map_or(AddressClass::Reserved, class_of);
        return Err(AddressRefused(class));
    }
    Ok(admitted)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(addresses: &[&str]) -> Vec<SocketAddr> {
        let parse = |text: &&str| SocketAddr::new(text.parse().expect("an address"), 0);
        addresses.iter().map(parse).collect()
    }

    #[test]
    fn only_public_addresses_pass_the_strict_check() {
        assert_eq!(
            admitted(Reach::Public, "a.example", &at(&["10.0.0.1", "93.184.215.14", "::1"])),
            Ok(at(&["93.184.215.14"]))
        );
        assert_eq!(
            admitted(Reach::Public, "a.example", &at(&["10.0.0.1", "::1"])),
            Err(AddressRefused(AddressClass::Private))
        );
        assert_eq!(
            admitted(Reach::Public, "metadata.google.internal", &at(&["169.254.169.254"])),
            Err(AddressRefused(AddressClass::Metadata))
        );
    }

    #[test]
    fn a_named_host_may_be_internal_but_not_a_metadata_endpoint() {
        let internal = at(&["10.0.0.1", "127.0.0.1", "fd00::1", "100.64.0.1"]);
        assert_eq!(admitted(Reach::Named, "hr.internal", &internal), Ok(internal));
        for address in ["169.254.169.254", "fd00:ec2::254", "0.0.0.0", "224.0.0.1"] {
            assert_eq!(
                admitted(Reach::Named, "hr.internal", &at(&[address])),
                Err(AddressRefused(classify(address.parse().expect("an address")))),
            );
        }
        let metadata = at(&["169.254.169.254"]);
        assert_eq!(admitted(Reach::Named, "metadata.google.internal", &metadata), Ok(metadata));
    }
}
