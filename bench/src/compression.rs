//! What compressing replies saves and costs: bytes, processor time of the gateway, and the time until a client has the
//! text of the whole reply, on lines of several bandwidths.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use crate::Result;
use crate::calls::{Plan, WARM_UP, progress};
use crate::http::{REPLY, header};
use crate::message::{Call, Era, Request};
use crate::place::{Place, on};
use crate::report::{Cell, Section};
use crate::serve::Serve;
use crate::shaper;
use crate::stats::Spread;
use crate::subject::{Home, Running, Subject};

/// Tools in the list.
const TOOLS: usize = 300;
/// Lines by their bits per second; without one there is only loopback.
const LINES: [(&str, Option<f64>); 4] =
    [("loopback", None), ("1 Gbit/s", Some(1e9)), ("100 Mbit/s", Some(1e8)), ("10 Mbit/s", Some(1e7))];
/// The codings; the first is none.
const CODINGS: [&str; 4] = ["identity", "zstd", "gzip", "br"];
/// Requests of one cell of one round over a line.
const REQUESTS: usize = 15;

/// One kind of reply.
struct Payload {
    name: String,
    call: Call,
}

fn payloads() -> Vec<Payload> {
    let sized = [1_000, 2_000, 7_000, 142_000].map(|size| Payload {
        name: format!("{} KB", size / 1_000),
        call: Call::tool(Era::Modern, "up__talk_0", format!(r#"{{"size":{size}}}"#)),
    });
    let list =
        Payload { name: format!("list of {TOOLS} tools"), call: Call::method(Era::Modern, "tools/list") };
    sized.into_iter().chain([list]).collect()
}

/// Measures each payload with each coding on each line.
pub(crate) fn measure(subject: &Subject, plan: &Plan) -> Result<Section> {
    let talker = Serve::Talker { tools: TOOLS, aside: true };
    let home = Home::with(&format!(
        "[transport]\ncompression = \"always\"\ncompression_min_bytes = 0\n\n[[upstream]]\nname = \"up\"\n{}\n",
        talker.toml()?
    ))?;
    let running = Running::start(subject.http(&home), Some(home))?;
    let lines = LINES
        .into_iter()
        .map(|(_, bandwidth)| match bandwidth {
            Some(bandwidth) => shaper::line(running.server.address, bandwidth),
            None => Ok(running.server.address),
        })
        .collect::<Result<Vec<_>>>()?;
    let mut rows = Vec::new();
    for payload in payloads().iter().filter(|payload| payload.name.contains(&plan.only)) {
        for coding in CODINGS {
            let name = format!("{}, {coding}", payload.name);
            progress(&format!("compression: {name}"));
            let row = row(&running, &lines, payload, coding, plan);
            rows.push(row.map_err(|error| format!("{name}: {error}"))?);
        }
    }
    Ok(Section {
        title: format!(
            "Compression: bytes of the body, CPU µs of the gateway per reply (loopback, {} rounds of {:?}), and µs from \
             sending a request to having its reply's text",
            plan.rounds, plan.round
        ),
        columns: vec![
            "reply",
            "coding",
            "bytes",
            "cpu_us",
            "loopback_us",
            "gbit_us",
            "mbit_100_us",
            "mbit_10_us",
        ],
        rows,
    })
}

fn row(
    running: &Running,
    lines: &[SocketAddr],
    payload: &Payload,
    coding: &str,
    plan: &Plan,
) -> Result<Vec<Cell>> {
    let mut server = running.server.clone();
    server.add_header("Accept-Encoding", coding)?;
    let mut request = server.request(&payload.call);
    on(Place::Other, || {
        let mut near = Client::open(running.server.address)?;
        // A list is compressed in the background when it is first asked for.
        let warm = Instant::now();
        while warm.elapsed() < WARM_UP
            || payload.call.method == "tools/list" && coding != "identity" && !near.is_prepared
        {
            near.ask(&mut request, coding)?;
            if warm.elapsed() > REPLY {
                return Err("the list is not compressed once for all".into());
            }
        }
        let mut cpu = Vec::new();
        for _ in 0..plan.rounds {
            let (before, started, mut count) = (cpu_ns(running.process.id())?, Instant::now(), 0_u32);
            while started.elapsed() < plan.round {
                near.ask(&mut request, coding)?;
                count += 1;
            }
            let used = cpu_ns(running.process.id())?.saturating_sub(before);
            cpu.push(used as f64 / 1e3 / f64::from(count));
        }
        let mut cells = vec![
            Cell::text(&payload.name),
            Cell::text(coding),
            Cell::Figure(Spread::exactly(near.length as f64), 0),
            Cell::Figure(Spread::of(cpu).ok_or("no rounds")?, 0),
        ];
        for line in lines {
            let mut client = Client::open(*line)?;
            client.ask(&mut request, coding)?;
            let times = (0..plan.rounds * REQUESTS)
                .map(|_| Ok(client.ask(&mut request, coding)?.as_secs_f64() * 1e6))
                .collect::<Result<Vec<_>>>()?;
            cells.push(Cell::Figure(Spread::of(times).ok_or("no requests")?, 0));
        }
        Ok(cells)
    })
}

/// What all threads of a process have used, in ns: the kernel's tables of processes count in hundredths of a second.
fn cpu_ns(pid: u32) -> Result<u64> {
    let mut used = 0;
    for thread in std::fs::read_dir(format!("/proc/{pid}/task"))? {
        // A thread may have ended meanwhile.
        let text = std::fs::read_to_string(thread?.path().join("schedstat")).unwrap_or_default();
        used += text.split(' ').next().and_then(|first| first.parse::<u64>().ok()).unwrap_or_default();
    }
    Ok(used)
}

/// One connection, one request at a time.
struct Client {
    stream: TcpStream,
    reply: Vec<u8>,
    /// Of the last body.
    length: usize,
    /// The last reply began with what the gateway has compressed once for all.
    is_prepared: bool,
}

impl Client {
    fn open(address: SocketAddr) -> Result<Self> {
        let stream = TcpStream::connect(address)?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(REPLY))?;
        Ok(Self { stream, reply: Vec::new(), length: 0, is_prepared: false })
    }

    /// The time until the reply's text is there.
    fn ask(&mut self, request: &mut Request, coding: &str) -> Result<Duration> {
        let bytes = request.fresh();
        let started = Instant::now();
        self.stream.write_all(bytes)?;
        self.reply.clear();
        let (mut chunk, mut whole) = ([0; 16 * 1024], None);
        while whole.is_none_or(|whole| self.reply.len() < whole) {
            let count = self.stream.read(&mut chunk)?;
            if count == 0 {
                return Err("the connection ended before a reply".into());
            }
            self.reply.extend_from_slice(&chunk[..count]);
            if whole.is_none()
                && let Some(head) = memchr::memmem::find(&self.reply, b"\r\n\r\n")
            {
                let length: usize =
                    header(&self.reply[..head], "content-length").ok_or("a reply has no length")?.parse()?;
                self.length = length;
                whole = Some(head + 4 + length);
            }
        }
        let (head, body) = self.reply.split_at(self.reply.len() - self.length);
        let said = header(head, "content-encoding").unwrap_or("identity");
        let text = decode(said, body)?;
        let took = started.elapsed();
        self.is_prepared = text.starts_with(b"{\"result\"");
        // What is not shorter when compressed is sent as it is.
        if !head.starts_with(b"HTTP/1.1 200") || ![coding, "identity"].contains(&said) {
            return Err(format!("odd reply: {}", String::from_utf8_lossy(head)).into());
        }
        if memchr::memmem::find(&text, request.id()).is_none() || !text.ends_with(b"}") {
            return Err("the reply is not that of its request".into());
        }
        Ok(took)
    }
}

fn decode(coding: &str, body: &[u8]) -> Result<Vec<u8>> {
    let mut text = Vec::with_capacity(body.len());
    match coding {
        "zstd" => {
            zstd::stream::read::Decoder::with_buffer(body)?.read_to_end(&mut text)?;
        }
        "gzip" => {
            flate2::bufread::GzDecoder::new(body).read_to_end(&mut text)?;
        }
        "br" => {
            brotli::Decompressor::new(body, 4096).read_to_end(&mut text)?;
        }
        _ => text.extend_from_slice(body),
    }
    Ok(text)
}
