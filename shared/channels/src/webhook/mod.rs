//! The generic webhook: signed JSON in the style of Standard Webhooks
//! (<https://www.standardwebhooks.com>), mapped by expressions.

pub mod inbound;
pub mod outbound;
pub mod signature;
