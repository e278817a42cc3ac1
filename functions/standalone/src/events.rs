//! A stream of Server-Sent Events, as this server's own: lines end in a line feed.

use std::collections::VecDeque;
use std::time::Duration;

use runtime::egress::{EgressError, OpenResponse, ResponsePart};

/// The longest silence: the server says something every fifteen seconds, so it is gone by then.
const SILENCE_MAX: Duration = Duration::from_secs(45);
/// Largest event, in bytes: it holds one task, message or transition.
const EVENT_BYTES_MAX: usize = 16 * 1024 * 1024;

/// One event.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Event {
    /// Where a later stream goes on; the last one that was told.
    pub id: String,
    /// What kind it is.
    pub name: String,
    /// Its data, mostly JSON.
    pub data: String,
}

/// An open stream.
pub struct Events {
    open: OpenResponse,
    read: Reader,
}

impl Events {
    /// Reads the body of an answer.
    pub fn new(open: OpenResponse) -> Self {
        Self { open, read: Reader::default() }
    }

    /// The next event; none where the server has ended the stream.
    ///
    /// # Errors
    /// Where the connection breaks, is silent for too long, or brings more than any event holds.
    pub async fn next(&mut self) -> Result<Option<Event>, EgressError> {
        loop {
            if let Some(event) = self.read.ready.pop_front() {
                return Ok(Some(event));
            }
            let Some(part) = self.open.part(SILENCE_MAX).await? else { return Ok(None) };
            if !self.read.take(&part) {
                let part = ResponsePart::Body;
                return Err(EgressError::TooLarge { part, limit: EVENT_BYTES_MAX });
            }
        }
    }
}

/// Makes events of bytes, however they are cut.
#[derive(Default)]
struct Reader {
    line: Vec<u8>,
    event: Event,
    ready: VecDeque<Event>,
}

impl Reader {
    /// Reads on; false where an event is too large.
    fn take(&mut self, bytes: &[u8]) -> bool {
        let mut lines = bytes.split(|byte| *byte == b'\n');
        // What follows the last line feed is the beginning of a line.
        let rest = lines.next_back().unwrap_or_default();
        for end in lines {
            self.line.extend_from_slice(end);
            let line = std::mem::take(&mut self.line);
            self.end_line(&String::from_utf8_lossy(&line));
        }
        self.line.extend_from_slice(rest);
        self.line.len() + self.event.data.len() <= EVENT_BYTES_MAX
    }

    fn end_line(&mut self, line: &str) {
        let line = line.trim_end_matches('\r');
        if line.is_empty() {
            // What has no data, such as a comment that keeps the connection open, is no event.
            if !self.event.data.is_empty() {
                // Its last line ends it.
                self.event.data.pop();
                self.ready.push_back(self.event.clone());
            }
            self.event.name.clear();
            self.event.data.clear();
            return;
        }
        let (field, value) = line.split_once(':').unwrap_or((line, ""));
        let value = value.strip_prefix(' ').unwrap_or(value);
        match field {
            "id" => value.clone_into(&mut self.event.id),
            "event" => value.clone_into(&mut self.event.name),
            "data" => {
                self.event.data.push_str(value);
                self.event.data.push('\n');
            }
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const STREAM: &str = ": here\n\nevent: status\nid: 1.2\ndata: {\"a\": \"請假\"}\n\n:\n\n\
                          event: x\r\ndata:one\r\ndata: two\r\n\r\nretry: 5\nid: 3.4\n\n\
                          data:  three\n\ndata: never ended";

    fn event(id: &str, name: &str, data: &str) -> Event {
        Event { id: id.into(), name: name.into(), data: data.into() }
    }

    #[test]
    fn events_are_the_same_however_they_are_cut() {
        let expected = [
            event("1.2", "status", r#"{"a": "請假"}"#),
            event("1.2", "x", "one\ntwo"),
            event("3.4", "", " three"),
        ];
        for size in 1..=STREAM.len() {
            let mut reader = Reader::default();
            assert!(STREAM.as_bytes().chunks(size).all(|part| reader.take(part)));
            assert_eq!(Vec::from(reader.ready), expected, "{size}");
        }
    }

    #[test]
    fn what_never_ends_is_not_kept() {
        let part = vec![b'x'; 1024 * 1024];
        let mut line = Reader::default();
        assert_eq!((0..99).take_while(|_| line.take(&part)).count(), 16);
        let mut lines = Reader::default();
        let part = [b"data: ", part.as_slice(), b"\n"].concat();
        assert_eq!((0..99).take_while(|_| lines.take(&part)).count(), 15);
    }
}
