//! The lane of rows on their way to the warehouse: what waits lands together, one batch after the
//! other. A commit's rows land a moment after its replies, and the more they are the less each
//! costs; their order does not matter, for rows carry their sequence.
//!
//! A batch that does not land is taken apart: its envelopes go on one by one, with attempts and
//! waits of their own, and the lane goes on.

use std::collections::VecDeque;
use std::panic::AssertUnwindSafe;

use futures::FutureExt;
use ports::Delivery;

use super::DeliveryLoop;

/// Most envelopes of a batch.
const TOGETHER: usize = 256;
/// Bytes after which a batch takes no further envelope.
const BYTES: usize = 1024 * 1024;

#[derive(Default)]
pub(super) struct Lane {
    waiting: VecDeque<Delivery>,
    is_busy: bool,
    /// Taken out of a batch that did not land.
    alone: Vec<Delivery>,
}

impl Lane {
    /// Takes an envelope; true where nobody works on the lane yet.
    fn join(&mut self, delivery: Delivery) -> bool {
        self.waiting.push_back(delivery);
        !std::mem::replace(&mut self.is_busy, true)
    }

    /// The envelopes that must go on one by one.
    pub(super) fn take_alone(&mut self) -> Vec<Delivery> {
        std::mem::take(&mut self.alone)
    }

    /// The next batch; where there is none the lane is left.
    fn batch(&mut self) -> Vec<Delivery> {
        let mut batch = Vec::new();
        let mut bytes = 0;
        while batch.len() < TOGETHER && bytes < BYTES {
            let Some(delivery) = self.waiting.pop_front() else { break };
            bytes += delivery.envelope.body.len();
            batch.push(delivery);
        }
        self.is_busy = !batch.is_empty();
        batch
    }
}

impl DeliveryLoop {
    /// Puts an envelope into the lane; true where nobody works on it yet.
    pub(super) fn join_lane(&self, delivery: Delivery) -> bool {
        self.change(|queues| {
            queues.hold(&delivery.envelope);
            queues.lane.join(delivery)
        })
    }

    /// Envelopes have landed, or go on alone.
    pub(super) fn leave_lane(&self, deliveries: &[Delivery]) {
        self.change(|queues| deliveries.iter().for_each(|one| queues.let_go(&one.envelope)));
    }

    /// Lands batch after batch until nothing waits, or the server stops.
    pub(super) async fn land(&self) {
        loop {
            let batch = self.queues().lane.batch();
            if batch.is_empty() || *self.stop.borrow() {
                return;
            }
            let envelopes: Vec<_> = batch.iter().map(|delivery| &delivery.envelope).collect();
            let landing = landing::handle_together(&self.app, &envelopes);
            let landed = AssertUnwindSafe(landing).catch_unwind().await;
            if let Ok(Ok(())) = landed {
                for delivery in &batch {
                    let _ = self.acks.send((delivery.position, None)).await;
                }
                self.leave_lane(&batch);
                continue;
            }
            // What is wrong with which of them shows when they are handled one by one.
            tracing::info!(envelopes = batch.len(), "rows did not land together");
            self.queues().lane.alone.extend(batch);
            self.freed.notify_one();
        }
    }
}
