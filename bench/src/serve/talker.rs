//! An upstream over standard input and output that says more than an answer: `{"notify":N,"pause_us":U}` has it send N
//! progress notifications, each with a write of its own, and `{"size":S}` has it answer with S bytes of text that
//! compresses as real text does. Its tools are described in such text too.

use std::fmt::Write as _;
use std::io::{BufRead as _, Write as _};
use std::time::Duration;

use fastrand::Rng;
use memchr::memmem;

use crate::Result;
use crate::echo::{Echo, token};

/// Words of which texts are made. English has more, but a page of it repeats itself as much.
const WORDS: usize = 600;

/// Answers until its input ends.
pub(super) fn serve(tools: usize) -> Result<()> {
    let echo = Echo::new(1);
    let (mut text, list) = (Text::new(), Text::new().tools(tools));
    let (input, mut output) = (std::io::stdin().lock(), std::io::stdout().lock());
    for line in input.split(b'\n') {
        let line = line?;
        let mut reply = Vec::new();
        if memmem::find(&line, b"\"method\":\"tools/list\"").is_some() {
            reply = result(&line, &format!(r#""tools":[{list}]"#));
        } else if let Some(size) = number(&line, "\"size\":") {
            reply = result(&line, &format!(r#""content":[{}]"#, text.content(size)));
        } else {
            let pause = Duration::from_micros(number(&line, "\"pause_us\":").unwrap_or(0) as u64);
            for done in 0..number(&line, "\"notify\":").unwrap_or(0) {
                std::thread::sleep(pause);
                output.write_all(&progress(&line, done))?;
                output.flush()?;
            }
            if number(&line, "\"notify\":").is_some() {
                reply = result(&line, r#""content":[{"type":"text","text":"done"}]"#);
            } else {
                echo.answer(&line, &mut reply);
            }
        }
        if !reply.is_empty() {
            reply.push(b'\n');
            output.write_all(&reply)?;
            output.flush()?;
        }
    }
    Ok(())
}

/// The number behind `key`, 0 if something else is there.
fn number(message: &[u8], key: &str) -> Option<usize> {
    let at = memmem::find(message, key.as_bytes())? + key.len();
    Some(std::str::from_utf8(token(&message[at..])).ok().and_then(|number| number.parse().ok()).unwrap_or(0))
}

fn raw<'a>(message: &'a [u8], key: &str) -> &'a [u8] {
    let at = memmem::find(message, key.as_bytes()).map_or(message.len(), |at| at + key.len());
    token(&message[at..])
}

fn result(message: &[u8], members: &str) -> Vec<u8> {
    let id = raw(message, "\"id\":");
    let is_modern = memmem::find(message, b"io.modelcontextprotocol/protocolVersion").is_some();
    let more = if is_modern { r#","resultType":"complete","ttlMs":0,"cacheScope":"private""# } else { "" };
    let opening: &[u8] = br#"{"jsonrpc":"2.0","id":"#;
    [opening, id, br#","result":{"#, members.as_bytes(), more.as_bytes(), b"}}"].concat()
}

fn progress(message: &[u8], done: usize) -> Vec<u8> {
    let token = String::from_utf8_lossy(raw(message, "\"progressToken\":"));
    format!(
        "{{\"jsonrpc\":\"2.0\",\"method\":\"notifications/progress\",\"params\":{{\"progressToken\":{token},\"progress\":{done}}}}}\n"
    )
    .into_bytes()
}

/// Text out of made-up words, of which a few are frequent.
struct Text {
    words: Vec<String>,
    rng: Rng,
}

impl Text {
    fn new() -> Self {
        let mut rng = Rng::with_seed(7);
        let word = |rng: &mut Rng| (0..rng.usize(2..10)).map(|_| rng.lowercase()).collect();
        Self { words: (0..WORDS).map(|_| word(&mut rng)).collect(), rng }
    }

    fn words(&mut self, count: usize) -> String {
        let words = (0..count).map(|_| {
            // Zipf's law, nearly: the logarithm of the rank is uniform.
            let rank = (WORDS as f64).powf(self.rng.f64()) as usize - 1;
            self.words[rank].as_str()
        });
        words.collect::<Vec<_>>().join(" ")
    }

    /// Items with about `size` bytes together.
    fn content(&mut self, size: usize) -> String {
        let mut items = String::new();
        while items.len() < size {
            let (line, id) = (self.rng.u32(1..3_000), self.rng.u64(..));
            let comma = if items.is_empty() { "" } else { "," };
            let length = self.rng.usize(6..18);
            let (subject, rest) = (self.words(2), self.words(length));
            // Writing to a string cannot fail.
            let _ = write!(
                items,
                r#"{comma}{{"type":"text","text":"{subject}: {rest} (line {line}, {id:016x})"}}"#
            );
        }
        items
    }

    fn tools(&mut self, count: usize) -> String {
        let tools = (0..count).map(|index| {
            let property = |text: &mut Self| {
                let (name, about) = (text.words(1), text.words(9));
                format!(r#""{name}":{{"type":"string","description":"{about}"}}"#)
            };
            let properties = [property(self), property(self), property(self), property(self)].join(",");
            format!(
                r#"{{"name":"talk_{index}","description":"{}","inputSchema":{{"type":"object","properties":{{{properties}}}}}}}"#,
                self.words(24)
            )
        });
        tools.collect::<Vec<_>>().join(",")
    }
}
