//! The cryptography that `jsonwebtoken` checks signatures with: ring, as everywhere.

use jsonwebtoken::crypto::{CryptoProvider, JwtVerifier, KeyUtils};
use jsonwebtoken::errors::{Error, ErrorKind};
use jsonwebtoken::{Algorithm, DecodingKey, DecodingKeyKind, signature};
use ring::signature::{RSA_PKCS1_2048_8192_SHA256, RsaPublicKeyComponents};

/// Makes it the process's own. Nothing here signs, and nothing else here uses `jsonwebtoken`.
pub(super) fn install() {
    static PROVIDER: CryptoProvider = CryptoProvider {
        signer_factory: |_, _| Err(Error::from(ErrorKind::InvalidAlgorithm)),
        verifier_factory: |algorithm, key| match (algorithm, key.kind()) {
            (Algorithm::RS256, DecodingKeyKind::RsaModulusExponent { .. }) => {
                Ok(Box::new(Rs256(key.clone())))
            }
            _ => Err(Error::from(ErrorKind::InvalidAlgorithm)),
        },
        key_utils: KeyUtils::new_unimplemented(),
    };
    // It fails where it was installed before.
    let _ = PROVIDER.install_default();
}

struct Rs256(DecodingKey);

impl JwtVerifier for Rs256 {
    fn algorithm(&self) -> Algorithm {
        Algorithm::RS256
    }
}

impl signature::Verifier<Vec<u8>> for Rs256 {
    fn verify(&self, message: &[u8], signature: &Vec<u8>) -> Result<(), signature::Error> {
        let DecodingKeyKind::RsaModulusExponent { n, e } = self.0.kind() else {
            return Err(signature::Error::new());
        };
        RsaPublicKeyComponents { n, e }
            .verify(&RSA_PKCS1_2048_8192_SHA256, message, signature)
            .map_err(|_| signature::Error::new())
    }
}
