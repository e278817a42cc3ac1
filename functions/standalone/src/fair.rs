//! Permits that are given out fairly: those who wait stand in lines, one for each connection, and
//! the lines are served in turn, so that a long one does not hold a short one up.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::oneshot;

/// So many permits, and the lines before them.
#[derive(Debug)]
pub(crate) struct Fair {
    lines: Mutex<Lines>,
}

#[derive(Debug)]
struct Lines {
    free: usize,
    by_name: HashMap<Arc<str>, VecDeque<oneshot::Sender<Permit>>>,
    /// Names of lines that are not empty, the one to be served next first.
    order: VecDeque<Arc<str>>,
}

/// A permit; dropping it gives it to the next one who waits.
#[derive(Debug)]
pub(crate) struct Permit(Option<Arc<Fair>>);

impl Fair {
    pub(crate) fn new(permits: usize) -> Arc<Self> {
        let lines = Lines { free: permits, by_name: HashMap::new(), order: VecDeque::new() };
        Arc::new(Self { lines: Mutex::new(lines) })
    }

    /// A permit, once it is this line's turn.
    pub(crate) async fn acquire(self: &Arc<Self>, line: &Arc<str>) -> Permit {
        let wait = {
            let mut lines = self.lines();
            if lines.free > 0 {
                lines.free -= 1;
                return Permit(Some(self.clone()));
            }
            lines.join(line)
        };
        // Nobody drops the other end: it is kept until a permit is sent.
        wait.await.unwrap_or(Permit(None))
    }

    fn lines(&self) -> MutexGuard<'_, Lines> {
        self.lines.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Lines {
    fn join(&mut self, line: &Arc<str>) -> oneshot::Receiver<Permit> {
        let (permit, wait) = oneshot::channel();
        let waiting = self.by_name.entry(line.clone()).or_default();
        if waiting.is_empty() {
            self.order.push_back(line.clone());
        }
        waiting.push_back(permit);
        wait
    }

    /// The next one, of the next line; where nobody waits the permit is free.
    fn next(&mut self) -> Option<oneshot::Sender<Permit>> {
        while let Some(line) = self.order.pop_front() {
            let Some(waiting) = self.by_name.get_mut(&line) else { continue };
            let next = waiting.pop_front();
            if waiting.is_empty() {
                self.by_name.remove(&line);
            } else {
                self.order.push_back(line);
            }
            if next.is_some() {
                return next;
            }
        }
        self.free += 1;
        None
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        let Some(fair) = self.0.take() else { return };
        loop {
            let Some(next) = fair.lines().next() else { return };
            // Who stopped waiting is passed over. The permit that comes back must not be dropped
            // as one: thousands may have stopped, and each would be a call within a call.
            match next.send(Permit(Some(fair.clone()))) {
                Ok(()) => return,
                Err(mut permit) => drop(permit.0.take()),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Has somebody of each line wait, in this order, and gives the order in which they are served.
    async fn served(fair: &Arc<Fair>, held: Permit, lines: &[&str]) -> Vec<String> {
        let (tell, mut told) = tokio::sync::mpsc::unbounded_channel();
        for (number, line) in lines.iter().enumerate() {
            let (fair, tell, name) = (fair.clone(), tell.clone(), Arc::<str>::from(*line));
            let waiting = fair.lines().join(&name);
            tokio::spawn(async move {
                let _permit = waiting.await.unwrap();
                tell.send(format!("{name}{number}")).unwrap();
            });
        }
        drop((held, tell));
        let mut order = Vec::new();
        while let Some(next) = told.recv().await {
            order.push(next);
        }
        order
    }

    #[tokio::test]
    async fn a_long_line_does_not_hold_a_short_one_up() {
        let fair = Fair::new(1);
        let held = fair.acquire(&"a".into()).await;
        let order = served(&fair, held, &["a", "a", "a", "a", "b", "b", "c"]).await;
        assert_eq!(order, ["a0", "b4", "c6", "a1", "b5", "a2", "a3"]);
        let lines = fair.lines();
        assert_eq!((lines.free, lines.by_name.len(), lines.order.len()), (1, 0, 0));
    }

    #[tokio::test]
    async fn no_more_than_the_permits_are_out_and_none_is_lost() {
        let fair = Fair::new(2);
        let line: Arc<str> = "a".into();
        let (one, two) = (fair.acquire(&line).await, fair.acquire(&line).await);
        // Thousands stop waiting; two who go on get the two permits.
        let join = || fair.lines().join(&line);
        drop((0..50_000).map(|_| join()).collect::<Vec<_>>());
        let last = [join(), join()];
        drop((one, two));
        for wait in last {
            // One that was given and never taken comes back as well.
            drop(wait);
        }
        let _both = (fair.acquire(&line).await, fair.acquire(&line).await);
        assert_eq!(fair.lines().free, 0);
    }
}
