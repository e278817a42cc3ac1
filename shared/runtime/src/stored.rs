//! What stored envelopes carry and stored tasks wait for, for those who check a store.

use engine::{MessageId, Status, Task, TaskId, TimerName, Wait};
use ports::{Awaited, Contents, Envelope, Stored, Topic};
use serde::de::DeserializeOwned;

use crate::ids;
use crate::jobs::{Accepted, CallJob, DeadLetter, LandJob, SendJob, TimerJob, open};

/// Reads what this runtime stored.
#[derive(Debug, Clone, Copy, Default)]
pub struct Written;

fn read<T: DeserializeOwned>(envelope: &Envelope) -> Result<T, String> {
    open(envelope).map_err(|error| error.to_string())
}

impl Stored for Written {
    fn contents(&self, envelope: &Envelope) -> Result<Contents, String> {
        let mut contents = Contents::default();
        match envelope.topic {
            Topic::Events => {
                read::<Accepted>(envelope)?;
            }
            Topic::Outbound => contents.message = Some(read::<SendJob>(envelope)?.message),
            Topic::Calls => contents.task = Some(read::<CallJob>(envelope)?.task),
            Topic::Landing => {
                let rows = read::<LandJob>(envelope)?.rows.into_iter();
                contents.rows = rows.map(|row| (row.table, row.row)).collect();
            }
            Topic::Timers => match read::<TimerJob>(envelope)? {
                TimerJob::Task { task, .. } => contents.task = Some(task),
                TimerJob::Schedule { .. } => {}
            },
            Topic::Failures => return self.contents(&read::<DeadLetter>(envelope)?.envelope),
        }
        Ok(contents)
    }

    fn awaited(&self, task: &Task, expiry: Option<u64>) -> Vec<Awaited> {
        let Status::Waiting { entered, timers, on, .. } = &task.status else { return Vec::new() };
        let timer = |name: TimerName, entered: u64, nth: u64| {
            let id = ids::timer(&task.id, name, entered, nth);
            let fired = ids::fired(&id).0;
            Awaited { what: format!("its timer `{}`", name.as_str()), any_of: vec![id, fired] }
        };
        let set = timers.iter().map(|name| timer(*name, *entered, ids::nth_of(task, *name)));
        let whole = expiry.map(|set| timer(TimerName::Expiry, 0, set));
        let call = match on {
            Wait::Call { call } => Some(Awaited {
                what: format!("the answer of {call}"),
                any_of: vec![call.0.clone(), ids::answer(call).0],
            }),
            _ => None,
        };
        set.chain(whole).chain(call).collect()
    }

    fn end_of(&self, child: &TaskId, stored: Option<&Task>) -> Option<Awaited> {
        let any_of = match stored {
            Some(child) if !child.status.has_ended() => return None,
            Some(child) => vec![ids::ended(child).0],
            None => vec![ids::start(child).0, ids::not_started(child).0],
        };
        Some(Awaited { what: format!("the end of {child}"), any_of })
    }

    fn sending(&self, message: &MessageId) -> Awaited {
        Awaited { what: "its sending".to_owned(), any_of: vec![ids::sending(message)] }
    }
}
