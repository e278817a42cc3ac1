//! E-mail addresses: what mail systems accept in practice, not all that RFC 5322 allows.

use serde_json::Value;
use unicode_normalization::UnicodeNormalization;

use super::Rejection;

const ADDRESS_BYTES_MAX: usize = 254;
const LOCAL_BYTES_MAX: usize = 64;
const LABEL_BYTES_MAX: usize = 63;

pub(super) fn parse(text: &str) -> Result<Value, Rejection> {
    let folded: String = text.nfkc().collect();
    // 是, 為 and は end "my address is" where no space does.
    let mut candidates = folded
        .split(|c: char| c.is_whitespace() || "<>()[]「」『』\",;:、是為为は".contains(c))
        .map(|token| token.trim_matches('\''))
        .filter(|token| token.contains('@'));
    let candidate = candidates.next().ok_or(Rejection::NotAnEmail)?;
    if candidates.next().is_some() {
        return Err(Rejection::NotAnEmail);
    }
    address(candidate).map(Value::String).ok_or(Rejection::NotAnEmail)
}

fn address(text: &str) -> Option<String> {
    let text = text.trim_end_matches(['.', '。', '!', '?', '~', '！', '？']);
    let (local, domain) = text.split_once('@')?;
    // Chinese keyboards type 。 for a dot.
    let domain = domain.replace('。', ".").to_ascii_lowercase();
    let address = format!("{local}@{domain}");
    (is_local(local) && is_domain(&domain) && address.len() <= ADDRESS_BYTES_MAX).then_some(address)
}

fn is_local(local: &str) -> bool {
    let is_atom = |atom: &str| {
        !atom.is_empty()
            && atom.bytes().all(|b| b.is_ascii_alphanumeric() || b"!#$%&'*+-/=?^_`{|}".contains(&b))
    };
    local.len() <= LOCAL_BYTES_MAX && local.split('.').all(is_atom)
}

fn is_domain(domain: &str) -> bool {
    let is_label = |label: &str| {
        (1..=LABEL_BYTES_MAX).contains(&label.len())
            && !label.starts_with('-')
            && !label.ends_with('-')
            && label.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
    };
    let is_top = |label: &str| label.len() >= 2 && label.bytes().any(|b| b.is_ascii_alphabetic());
    domain.split('.').all(is_label) && domain.rsplit_once('.').is_some_and(|(_, top)| is_top(top))
}
