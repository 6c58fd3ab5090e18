//! What is called, and beside what.

use crate::Result;
use crate::callgrind::Wrap;
use crate::echo::TOOLS;
use crate::message::{Call, Era, Request, nested};
use crate::serve::Serve;
use crate::subject::{Home, Running, Subject, Upstream};

/// Where a call ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Route {
    /// In the gateway.
    Inside,
    /// In a server over HTTP.
    Http,
    /// In a child over its pipes.
    Child,
}

/// What a call is compared with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Baseline {
    /// A bare hyper server that answers the gateway's own bytes.
    Floor,
    /// A copying proxy in front of the same upstream.
    Proxy,
    /// The same proxy, which parses each body with serde_json before it passes it on.
    Reader,
    /// The gateway itself with a call that it answers from its own tools.
    Inside,
}

impl Baseline {
    /// Its name in tables.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Floor => "bare hyper",
            Self::Proxy => "copying proxy",
            Self::Reader => "parsing proxy",
            Self::Inside => "in-process call",
        }
    }
}

/// One comparison over HTTP.
#[derive(Debug, Clone)]
pub(crate) struct Case {
    /// Its name in tables.
    pub(crate) name: String,
    pub(crate) route: Route,
    pub(crate) call: Call,
    pub(crate) baseline: Baseline,
    /// Greatest ratio of CPU time (design.md 8).
    pub(crate) cpu: Option<f64>,
    /// Greatest ratio of instructions.
    pub(crate) instructions: Option<f64>,
}

/// A namespace that nothing was stored in.
const ABSENT: &str = r#"{"namespace":"bench","key":"absent"}"#;
const PRESENT: &str = r#"{"namespace":"bench","key":"present"}"#;
const STORE: &str = r#"{"namespace":"bench","key":"present","value":{"text":"sixty characters of a note that an agent keeps for later","n":1}}"#;
const RETRIEVE: &str = "qe_memory_retrieve";

/// A call that reads the store.
pub(crate) fn retrieve(era: Era) -> Call {
    Call::tool(era, RETRIEVE, ABSENT)
}

/// A call that an upstream answers with as much as it gets.
pub(crate) fn forwarded(era: Era, tool: &str, size: usize) -> Call {
    nested_call(era, "up", tool, size)
}

/// The same of an upstream of any name.
pub(crate) fn nested_call(era: Era, upstream: &str, tool: &str, size: usize) -> Call {
    Call::tool(era, &format!("{upstream}__{tool}"), nested(size))
}

/// All comparisons over HTTP.
pub(crate) fn all() -> Vec<Case> {
    let (legacy, modern) = (Era::Legacy, Era::Modern);
    let inside = |name: &str, call: Call| Case {
        name: format!("{name}, {}", call.era.name()),
        route: Route::Inside,
        instructions: Some(if call.era == legacy { 2.0 } else { 2.6 }),
        cpu: Some(1.3),
        baseline: Baseline::Floor,
        call,
    };
    let mut cases = vec![
        inside("ping", Call::method(legacy, "ping")),
        inside("server/discover", Call::method(modern, "server/discover")),
        inside("retrieve, absent", retrieve(legacy)),
        inside("retrieve, absent", retrieve(modern)),
        inside("retrieve, found", Call::tool(legacy, RETRIEVE, PRESENT)),
        inside("tools/list", Call::method(legacy, "tools/list")),
        inside("tools/list", Call::method(modern, "tools/list")),
    ];
    let forward = |route, era: Era, (tool, size): (&str, usize)| Case {
        name: format!(
            "{} {}, {}",
            if route == Route::Http { "HTTP→HTTP" } else { "HTTP→stdio" },
            kilobytes(size),
            era.name()
        ),
        route,
        call: forwarded(era, tool, size),
        baseline: Baseline::Proxy,
        cpu: (route == Route::Http).then_some(1.3),
        // A copying proxy's instructions do not grow with the size, those of whoever reads it do.
        instructions: (route == Route::Http && size == TOOLS[0].1).then_some(1.35),
    };
    cases.extend(TOOLS.map(|tool| forward(Route::Http, legacy, tool)));
    cases.extend(TOOLS.map(|tool| forward(Route::Http, modern, tool)));
    // What is larger than a little is dominated by reading it: beside one who reads it too.
    for (route, era) in
        [(Route::Http, legacy), (Route::Http, modern), (Route::Child, legacy), (Route::Child, modern)]
    {
        let cpu = (route == Route::Http).then_some(1.0);
        let read = |tool| Case { baseline: Baseline::Reader, cpu, ..forward(route, era, tool) };
        cases.extend(TOOLS[1..].iter().map(|tool| read(*tool)));
    }
    cases.extend(TOOLS.map(|tool| forward(Route::Child, legacy, tool)));
    cases.extend(TOOLS.map(|tool| forward(Route::Child, modern, tool)));
    let child = forward(Route::Child, legacy, TOOLS[0]);
    cases.push(Case { baseline: Baseline::Inside, cpu: Some(1.5), ..child });
    cases
}

/// A size as tables show it.
pub(crate) fn kilobytes(size: usize) -> String {
    format!("{} KB", size as f64 / 1_000.0)
}

/// One side of a comparison: a server that runs, and what to send to it.
#[derive(Debug)]
pub(crate) struct Contender {
    pub(crate) running: Running,
    pub(crate) request: Request,
}

/// Both sides of a comparison.
#[derive(Debug)]
pub(crate) struct Contest {
    pub(crate) baseline: Contender,
    pub(crate) subject: Contender,
    /// The server that both send to, if it speaks HTTP.
    pub(crate) upstream: Option<Running>,
    /// The file that a baseline has read.
    _folder: tempfile::TempDir,
}

impl Case {
    /// Starts everything. What is measured is started through `wrap`.
    pub(crate) fn start(&self, subject: &Subject, wrap: Wrap<'_>) -> Result<Contest> {
        let folder = tempfile::tempdir()?;
        let upstream = match self.route {
            Route::Http => Some(Running::start(Serve::echo_http(TOOLS.len()).command()?, None)?),
            Route::Child if self.baseline != Baseline::Inside => {
                Some(Running::start(Serve::echo_http(TOOLS.len()).command()?, None)?)
            }
            _ => None,
        };
        let gateway = self.gateway(subject, upstream.as_ref(), wrap)?;
        let gateway = contender(gateway, &self.call)?;
        let baseline = match self.baseline {
            Baseline::Floor => {
                let reply = folder.path().join("reply");
                std::fs::write(&reply, gateway.running.server.ask_raw(&self.call)?)?;
                let mut running = Running::start(wrap("baseline", Serve::Floor { reply }.command()?), None)?;
                // The same bytes as the gateway gets.
                running.server.take_session(&gateway.running.server);
                let request = running.server.request(&self.call).with_canned_reply();
                Contender { running, request }
            }
            Baseline::Proxy | Baseline::Reader => {
                let url = upstream.as_ref().map(Running::url).unwrap_or_default();
                let upstream = url.trim_end_matches("/mcp").to_owned();
                let proxy = if self.baseline == Baseline::Reader {
                    Serve::Reader { upstream }
                } else {
                    Serve::Proxy { upstream }
                };
                let running = Running::start(wrap("baseline", proxy.command()?), None)?;
                contender(running, &self.direct())?
            }
            Baseline::Inside => {
                let running = self.gateway_with(subject, &Upstream::None, "baseline", wrap)?;
                contender(running, &retrieve(self.call.era))?
            }
        };
        Ok(Contest { baseline, subject: gateway, upstream, _folder: folder })
    }

    /// The call as the upstream knows it.
    pub(crate) fn direct(&self) -> Call {
        let tool = self.call.tool.as_deref().map(|tool| tool.trim_start_matches("up__").to_owned());
        Call { tool, ..self.call.clone() }
    }

    fn gateway(&self, subject: &Subject, upstream: Option<&Running>, wrap: Wrap<'_>) -> Result<Running> {
        let behind = match (self.route, upstream) {
            (Route::Child, _) => Upstream::Child { tools: TOOLS.len() },
            (Route::Http, Some(upstream)) => Upstream::Http(upstream.url()),
            _ => Upstream::None,
        };
        self.gateway_with(subject, &behind, "subject", wrap)
    }

    fn gateway_with(
        &self,
        subject: &Subject,
        behind: &Upstream,
        name: &str,
        wrap: Wrap<'_>,
    ) -> Result<Running> {
        let home = Home::new(behind)?;
        let mut running = Running::start(wrap(name, subject.http(&home)), Some(home))?;
        if self.call.era == Era::Legacy {
            running.server.initialize()?;
        }
        if self.call.arguments == PRESENT {
            running.server.ask(&Call::tool(self.call.era, "qe_memory_store", STORE))?;
        }
        Ok(running)
    }
}

/// A server that answers a call as it should.
pub(crate) fn contender(running: Running, call: &Call) -> Result<Contender> {
    let reply = running.server.ask(call)?;
    if !reply["result"].is_object() || reply["result"]["isError"] == true {
        return Err(format!("{} is answered with {reply}", call.method).into());
    }
    let request = running.server.request(call);
    Ok(Contender { running, request })
}
