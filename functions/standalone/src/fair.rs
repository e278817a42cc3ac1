//! Permits that are given out fairly. Those who wait stand in lines, one for each connection. A
//! line may hold as many permits as are free, and not one more: alone it gets half of them, and
//! one that was empty finds some even where another line's are held by an address that hangs. Lines
//! that may have one are served in turn, so that a long one does not hold a short one up.

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
    by_name: HashMap<Arc<str>, Line>,
    /// Names of lines in which somebody waits, the one to be served next first.
    order: VecDeque<Arc<str>>,
}

#[derive(Debug, Default)]
struct Line {
    held: usize,
    waiting: VecDeque<oneshot::Sender<Permit>>,
}

/// A permit; dropping it gives it to the next one who waits.
#[derive(Debug)]
pub(crate) struct Permit {
    fair: Option<Arc<Fair>>,
    line: Arc<str>,
}

impl Fair {
    pub(crate) fn new(permits: usize) -> Arc<Self> {
        let lines = Lines { free: permits, by_name: HashMap::new(), order: VecDeque::new() };
        Arc::new(Self { lines: Mutex::new(lines) })
    }

    /// A permit, once this line may have one.
    pub(crate) async fn acquire(self: &Arc<Self>, line: &Arc<str>) -> Permit {
        let wait = {
            let mut lines = self.lines();
            if lines.take(line) {
                return self.permit(line.clone());
            }
            lines.join(line)
        };
        // Nobody drops the other end: it is kept until a permit is sent.
        wait.await.unwrap_or_else(|_| Permit { fair: None, line: line.clone() })
    }

    fn permit(self: &Arc<Self>, line: Arc<str>) -> Permit {
        Permit { fair: Some(self.clone()), line }
    }

    fn lines(&self) -> MutexGuard<'_, Lines> {
        self.lines.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Lines {
    /// Takes a permit for a line, where it may have one. Nobody of the line is overtaken: where
    /// somebody waits, it may not.
    fn take(&mut self, name: &Arc<str>) -> bool {
        let line = self.by_name.entry(name.clone()).or_default();
        let may = line.held < self.free && line.waiting.is_empty();
        if may {
            line.held += 1;
            self.free -= 1;
        }
        may
    }

    fn join(&mut self, name: &Arc<str>) -> oneshot::Receiver<Permit> {
        let (permit, wait) = oneshot::channel();
        let line = self.by_name.entry(name.clone()).or_default();
        if line.waiting.is_empty() {
            self.order.push_back(name.clone());
        }
        line.waiting.push_back(permit);
        wait
    }

    fn give_back(&mut self, name: &Arc<str>) {
        self.free += 1;
        if let Some(line) = self.by_name.get_mut(name) {
            line.held = line.held.saturating_sub(1);
            if line.held == 0 && line.waiting.is_empty() {
                self.by_name.remove(name);
            }
        }
    }

    /// Takes a permit for the next one of the next line that may have one.
    fn next(&mut self) -> Option<(Arc<str>, oneshot::Sender<Permit>)> {
        let may = |name: &Arc<str>| self.by_name.get(name).is_some_and(|it| it.held < self.free);
        let place = self.order.iter().position(may)?;
        let name = self.order.remove(place)?;
        let line = self.by_name.get_mut(&name)?;
        let next = line.waiting.pop_front()?;
        line.held += 1;
        self.free -= 1;
        if !line.waiting.is_empty() {
            self.order.push_back(name.clone());
        }
        Some((name, next))
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        let Some(fair) = self.fair.take() else { return };
        let mut lines = fair.lines();
        lines.give_back(&self.line);
        // One more that is free may be enough for more than one line.
        while let Some((line, next)) = lines.next() {
            drop(lines);
            // Who stopped waiting is passed over. The permit that comes back must not be dropped
            // as one: thousands may have stopped, and each would be a call within a call.
            let came_back = next.send(fair.permit(line)).err();
            lines = fair.lines();
            if let Some(mut permit) = came_back {
                permit.fair = None;
                lines.give_back(&permit.line);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Has somebody of each line wait, in this order, and gives the order in which they are served.
    async fn served(fair: &Arc<Fair>, held: Vec<Permit>, lines: &[&str]) -> Vec<String> {
        let (tell, mut told) = tokio::sync::mpsc::unbounded_channel();
        for (number, line) in lines.iter().enumerate() {
            let (tell, name) = (tell.clone(), Arc::<str>::from(*line));
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
        let order = served(&fair, vec![held], &["a", "a", "a", "a", "b", "b", "c"]).await;
        assert_eq!(order, ["a0", "b4", "c6", "a1", "b5", "a2", "a3"]);
        let lines = fair.lines();
        assert_eq!((lines.free, lines.by_name.len(), lines.order.len()), (1, 0, 0));
    }

    #[tokio::test]
    async fn a_line_that_hangs_leaves_permits_to_the_others() {
        let fair = Fair::new(8);
        let take = |line: &str| {
            let line: Arc<str> = line.into();
            let mut count = 0;
            while fair.lines().take(&line) {
                count += 1;
            }
            count
        };
        assert_eq!((take("hangs"), take("busy"), take("quiet")), (4, 2, 1));
        assert_eq!((take("hangs"), take("late"), fair.lines().free), (0, 1, 0));
    }

    #[tokio::test]
    async fn none_is_lost_by_those_who_stop_waiting() {
        let fair = Fair::new(2);
        let line: Arc<str> = "a".into();
        let held = fair.acquire(&line).await;
        let join = || fair.lines().join(&line);
        drop((0..50_000).map(|_| join()).collect::<Vec<_>>());
        let last = [join(), join()];
        drop(held);
        // One that was given and never taken comes back as well.
        drop(last);
        let permit = fair.acquire(&line).await;
        let counts = || {
            let lines = fair.lines();
            (lines.free, lines.by_name.len(), lines.order.len())
        };
        assert_eq!(counts(), (1, 1, 0));
        drop(permit);
        assert_eq!(counts(), (2, 0, 0));
    }
}
