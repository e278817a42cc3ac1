//! Publishing late and in another order across keys.

use std::collections::{HashMap, VecDeque};

use ports::{Envelope, PortResult, Topic};
use tokio::sync::Mutex;

use super::dice::Dice;
use super::{DELAY, DELAY_CALLS_MAX, Faulty, UNAVAILABLE, unavailable};

/// Envelopes that were taken and are not published yet, in their order, each with the number of
/// calls it still waits. One lock orders everything that is published through the decorator.
#[derive(Default)]
pub(super) struct Held(Mutex<VecDeque<(u32, Envelope)>>);

impl Faulty {
    /// Lets one call pass: what has waited long enough is published.
    pub(super) async fn tick(&self) {
        let mut held = self.held.0.lock().await;
        for (calls, _) in held.iter_mut() {
            *calls = calls.saturating_sub(1);
        }
        // From the front only, so that none overtakes another.
        while let Some((0, envelope)) = held.front() {
            if self.inner.bus.publish(std::slice::from_ref(envelope)).await.is_err() {
                break;
            }
            held.pop_front();
        }
    }

    /// Publishes all that is held back. A commit or a failure that publishes by itself must not
    /// overtake it.
    pub async fn flush(&self) -> PortResult<()> {
        let mut held = self.held.0.lock().await;
        while let Some((_, envelope)) = held.front() {
            self.inner.bus.publish(std::slice::from_ref(envelope)).await?;
            held.pop_front();
        }
        Ok(())
    }

    /// Whether anything is held back.
    pub(super) async fn is_holding(&self) -> bool {
        !self.held.0.lock().await.is_empty()
    }

    /// Publishes with faults; the answer may still be lost afterwards.
    pub(super) async fn publish_somehow(&self, envelopes: &[Envelope]) -> PortResult<()> {
        if self.happens(UNAVAILABLE) {
            return Err(unavailable());
        }
        self.tick().await;
        let envelopes = self.reordered(envelopes);
        let mut held = self.held.0.lock().await;
        if held.is_empty() && !self.may_be_held(&envelopes) {
            return self.inner.bus.publish(&envelopes).await;
        }
        // What cannot be published at all must be refused now, not when nobody listens.
        if envelopes.iter().any(|one| one.body.len() > ports::ENVELOPE_BYTES_MAX) {
            return self.inner.bus.publish(&envelopes).await;
        }
        let calls = u32::try_from(self.state().dice.below(u64::from(DELAY_CALLS_MAX)));
        let calls = calls.unwrap_or_default() + 1;
        held.extend(envelopes.into_iter().map(|envelope| (calls, envelope)));
        Ok(())
    }

    fn may_be_held(&self, envelopes: &[Envelope]) -> bool {
        !envelopes.is_empty() && self.happens(DELAY)
    }

    fn reordered(&self, envelopes: &[Envelope]) -> Vec<Envelope> {
        let mut state = self.state();
        let rate = state.rates.reorder;
        if state.dice.per_mille() >= rate {
            return envelopes.to_vec();
        }
        let reordered = reorder(&mut state.dice, envelopes);
        if reordered != envelopes {
            state.faults.reorders += 1;
        }
        reordered
    }
}

/// The envelopes in another order, in which those of one topic and key keep theirs.
fn reorder(dice: &mut Dice, envelopes: &[Envelope]) -> Vec<Envelope> {
    let mut keys: Vec<(Topic, &str)> = Vec::new();
    let mut by_key: HashMap<(Topic, &str), VecDeque<&Envelope>> = HashMap::new();
    for envelope in envelopes {
        let key = (envelope.topic, envelope.key.as_str());
        // One entry for every envelope: long keys are drawn as often as they have envelopes.
        keys.push(key);
        by_key.entry(key).or_default().push_back(envelope);
    }
    let mut reordered = Vec::with_capacity(envelopes.len());
    while !keys.is_empty() {
        let place = usize::try_from(dice.below(keys.len() as u64)).unwrap_or_default();
        let key = keys.swap_remove(place);
        reordered.extend(by_key.get_mut(&key).and_then(VecDeque::pop_front).cloned());
    }
    reordered
}
