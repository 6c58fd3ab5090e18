//! Server-sent events, read by the rules of the HTML standard ("Server-sent events", parsing an event
//! stream): LF, CR and CRLF line ends, comments, many `data` lines, `id` and `retry`.

/// One event.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Event {
    /// The `event` field, empty when absent.
    pub name: String,
    /// The `data` lines, joined by line feeds.
    pub data: String,
    /// The `id` field of this event, if it had one.
    pub id: Option<String>,
    /// The `retry` field of this event, in milliseconds, if it had one.
    pub retry_ms: Option<u64>,
    /// The comments since the event before, without their colon.
    pub comments: Vec<String>,
}

/// Takes bytes as they come, gives events. Unlike a browser it also gives events without data (a
/// priming event has only an id); comments alone wait for the event after them.
#[derive(Debug, Default)]
pub struct EventParser {
    line: Vec<u8>,
    begun: bool,
    after_cr: bool,
    event: Event,
    data: Vec<String>,
    ready: std::collections::VecDeque<Event>,
}

impl EventParser {
    /// Takes more bytes.
    pub fn push(&mut self, bytes: &[u8]) {
        for &byte in bytes {
            let skip = byte == b'\n' && self.after_cr;
            self.after_cr = byte == b'\r';
            match byte {
                _ if skip => {}
                b'\n' | b'\r' => self.end_line(),
                _ => self.line.push(byte),
            }
        }
    }

    /// The next complete event.
    pub fn next_event(&mut self) -> Option<Event> {
        self.ready.pop_front()
    }

    fn end_line(&mut self) {
        let mut line = String::from_utf8_lossy(&std::mem::take(&mut self.line)).into_owned();
        if !std::mem::replace(&mut self.begun, true) && line.starts_with('\u{feff}') {
            line.remove(0);
        }
        if line.is_empty() {
            self.dispatch();
            return;
        }
        let (field, value) = line.split_once(':').unwrap_or((&line, ""));
        let value = value.strip_prefix(' ').unwrap_or(value).to_owned();
        match field {
            "" => self.event.comments.push(value),
            "event" => self.event.name = value,
            "data" => self.data.push(value),
            "id" => self.event.id = Some(value),
            "retry" => self.event.retry_ms = value.parse().ok(),
            _ => {}
        }
    }

    fn dispatch(&mut self) {
        let fresh = Event { comments: self.event.comments.clone(), ..Event::default() };
        if self.data.is_empty() && self.event == fresh {
            return;
        }
        let mut event = std::mem::take(&mut self.event);
        event.data = std::mem::take(&mut self.data).join("\n");
        self.ready.push_back(event);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn events(text: &str, step: usize) -> Vec<Event> {
        let mut parser = EventParser::default();
        let mut events = Vec::new();
        for chunk in text.as_bytes().chunks(step) {
            parser.push(chunk);
            while let Some(event) = parser.next_event() {
                events.push(event);
            }
        }
        events
    }

    #[test]
    fn every_line_end_and_every_split_gives_the_same_events() {
        let text = ": hi\nid: 7\nretry: 10\ndata:\n\nevent: message\ndata: {\ndata:  }\nx: y\n\n:\n\n";
        for end in ["\n", "\r", "\r\n"] {
            let text = text.replace('\n', end);
            for step in [1, 2, 3, 1000] {
                let events = events(&text, step);
                assert_eq!(events.len(), 2, "{end:?} {step}: {events:?}");
                assert_eq!(events[0].id.as_deref(), Some("7"));
                assert_eq!(events[0].retry_ms, Some(10));
                assert_eq!(events[0].comments, ["hi"]);
                assert_eq!(events[1].data, "{\n }");
                assert_eq!(events[1].name, "message");
            }
        }
    }
}
