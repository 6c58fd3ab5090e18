//! How long the quality tools take through the running server, when they see a project first and when they know it.

mod project;

use std::path::Path;
use std::process::Command;
use std::rc::Rc;
use std::time::Duration;

use serde_json::{Value, json};

use self::project::{Scene, Size};
use crate::Result;
use crate::calls::progress;
use crate::line::{Line, Transport};
use crate::message::{Call, Era};
use crate::place::Place;
use crate::report::{Cell, Goal, Section};
use crate::stats::Spread;
use crate::subject::{Home, Subject};

/// How often each is measured.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Plan {
    /// New processes for what is measured cold; calls of what is warm.
    pub(crate) runs: usize,
    pub(crate) seed: u64,
}

/// One call and what design asks of it.
struct Case {
    name: String,
    tool: &'static str,
    arguments: Value,
    /// Milliseconds of the first call of a process where an earlier process has looked at the project, and of a further one;
    /// `None`: it is not measured.
    cold: Option<Limit>,
    warm: Option<Limit>,
    /// Whether the first call where nobody has looked is measured too, because it computes what is kept.
    new: bool,
}

/// `None` within it: it is measured, and no limit is set.
type Limit = Option<f64>;

/// A file that was written so long ago is believed not to change unseen (`qe`: two seconds and a tick).
const SETTLE: Duration = Duration::from_millis(2_600);

/// Measures all cases over both transports.
pub(crate) fn measure(subject: &Subject, plan: Plan) -> Result<Section> {
    progress("qe: a project of 100,000 lines");
    let small = Scene::new(Size::Small, plan.seed)?;
    progress("qe: a report of 50 MB");
    let large = Scene::new(Size::Large, plan.seed)?;
    std::thread::sleep(SETTLE);
    let roots: Vec<String> =
        [&small, &large].iter().map(|scene| format!("{:?}", scene.root().display().to_string())).collect();
    let config = format!("[qe]\nroots = [{}]\n", roots.join(", "));
    let mut rows = Vec::new();
    for transport in Transport::ALL {
        for case in cases(&small, &large) {
            progress(&format!("qe: {}, {}", transport.name(), case.name));
            let start = |kept: &Path| {
                let home = Rc::new(Home::with(&config)?);
                let keeping = |command: &mut Command| {
                    command.env("XDG_CACHE_HOME", kept);
                };
                Line::start(subject, &home, transport, Place::Anywhere, keeping)
            };
            rows.extend(
                case.rows(start, transport, plan).map_err(|error| format!("{}: {error}", case.name))?,
            );
        }
    }
    Ok(Section {
        title: format!(
            "Quality tools through the gateway, {} lines in {} files, 2 branches, seed {}: ms; cold: the first call of a process, of a \
             project that an earlier one has looked at; new: that nobody has looked at; {} of each; goals are of p50",
            small.lines(),
            small.files(),
            plan.seed,
            plan.runs
        ),
        columns: vec!["over", "call", "state", "p50_ms", "min_ms", "max_ms", "bytes", "goal"],
        rows,
    })
}

fn cases(small: &Scene, large: &Scene) -> Vec<Case> {
    let root = |scene: &Scene| scene.root().display().to_string();
    let megabytes = |scene: &Scene| scene.report_bytes() as f64 / 1e6;
    let with = |more: Value| {
        let mut arguments = json!({ "root": root(small) });
        if let (Some(all), Value::Object(more)) = (arguments.as_object_mut(), more) {
            all.extend(more);
        }
        arguments
    };
    let case =
        |name: String, tool, arguments, cold, warm| Case { name, tool, arguments, cold, warm, new: false };
    let measuring = |case: Case| Case { new: true, ..case };
    let target = json!([{ "file": Scene::MODULE }]);
    vec![
        case(
            format!("coverage_analyze, lcov of {:.1} MB", megabytes(small)),
            "qe_coverage_analyze",
            with(json!({})),
            Some(Some(60.0)),
            Some(Some(5.0)),
        ),
        case(
            format!("coverage_analyze, lcov of {:.1} MB", megabytes(large)),
            "qe_coverage_analyze",
            json!({ "root": root(large) }),
            Some(Some(200.0)),
            Some(None),
        ),
        measuring(case(
            "coverage_gaps".into(),
            "qe_coverage_gaps",
            with(json!({})),
            Some(Some(100.0)),
            Some(Some(100.0)),
        )),
        measuring(case(
            "quality_gate".into(),
            "qe_quality_gate",
            with(json!({})),
            Some(Some(100.0)),
            Some(Some(100.0)),
        )),
        measuring(case(
            "quality_metrics".into(),
            "qe_quality_metrics",
            with(json!({})),
            Some(None),
            Some(Some(50.0)),
        )),
        case(
            "test_generate, plan".into(),
            "qe_test_generate",
            with(json!({ "targets": target, "mode": "plan" })),
            Some(Some(500.0)),
            Some(Some(500.0)),
        ),
        case(
            "test_generate, a small Python module".into(),
            "qe_test_generate",
            with(json!({ "targets": target })),
            Some(None),
            Some(Some(500.0)),
        ),
    ]
}

impl Case {
    fn rows(
        &self,
        start: impl Fn(&Path) -> Result<Line>,
        transport: Transport,
        plan: Plan,
    ) -> Result<Vec<Vec<Cell>>> {
        let mut rows = Vec::new();
        if self.new {
            let first = || self.call(&mut start(tempfile::tempdir()?.path())?);
            rows.push(self.row(transport, "new", None, times(plan.runs, first)?));
        }
        let kept = tempfile::tempdir()?;
        // What it keeps is written by its end.
        self.call(&mut start(kept.path())?)?;
        if let Some(limit) = self.cold {
            let first = || self.call(&mut start(kept.path())?);
            rows.push(self.row(transport, "cold", limit, times(plan.runs, first)?));
        }
        if let Some(limit) = self.warm {
            let mut line = start(kept.path())?;
            self.call(&mut line)?;
            rows.push(self.row(transport, "warm", limit, times(plan.runs, || self.call(&mut line))?));
        }
        Ok(rows)
    }

    /// Milliseconds until the whole answer is there, and its bytes.
    fn call(&self, line: &mut Line) -> Result<(f64, usize)> {
        let call = Call::tool(Era::Legacy, self.tool, self.arguments.to_string());
        let (took, answer) = line.ask(&call)?;
        let json: Value = serde_json::from_slice(&answer)?;
        let result = &json["result"];
        if !result.is_object() || result["isError"] == true {
            return Err(String::from_utf8_lossy(&answer).chars().take(500).collect::<String>().into());
        }
        Ok((took.as_secs_f64() * 1e3, answer.len()))
    }

    fn row(
        &self,
        transport: Transport,
        state: &str,
        limit: Limit,
        (mut times, bytes): (Vec<f64>, usize),
    ) -> Vec<Cell> {
        times.sort_unstable_by(f64::total_cmp);
        let at = |share: f64| times.get(((times.len() - 1) as f64 * share) as usize).copied().unwrap_or(0.0);
        let ms = |value: f64| Cell::Figure(Spread::exactly(value), 1);
        vec![
            Cell::text(transport.name()),
            Cell::text(&self.name),
            Cell::text(state),
            ms(at(0.5)),
            ms(at(0.0)),
            ms(at(1.0)),
            Cell::Figure(Spread::exactly(bytes as f64), 0),
            Cell::Goal(limit.map(|limit| Goal::AtMost(at(0.5), limit))),
        ]
    }
}

fn times(runs: usize, mut call: impl FnMut() -> Result<(f64, usize)>) -> Result<(Vec<f64>, usize)> {
    let (mut times, mut most) = (Vec::new(), 0);
    for _ in 0..runs.max(1) {
        let (took, bytes) = call()?;
        times.push(took);
        most = most.max(bytes);
    }
    Ok((times, most))
}

/// Runs Git apart from the settings of whoever runs this.
fn git(root: &Path, date: &str, args: &[&str]) -> Result<()> {
    let mut command = Command::new("git");
    command.current_dir(root).args(args);
    for (name, value) in [
        ("GIT_CONFIG_GLOBAL", "/dev/null"),
        ("GIT_CONFIG_SYSTEM", "/dev/null"),
        ("GIT_AUTHOR_DATE", date),
        ("GIT_COMMITTER_DATE", date),
        ("GIT_AUTHOR_NAME", "bench"),
        ("GIT_COMMITTER_NAME", "bench"),
        ("GIT_AUTHOR_EMAIL", "bench@localhost"),
        ("GIT_COMMITTER_EMAIL", "bench@localhost"),
    ] {
        command.env(name, value);
    }
    let output = command.output()?;
    if output.status.success() {
        return Ok(());
    }
    Err(format!("git {args:?}: {}", String::from_utf8_lossy(&output.stderr)).into())
}
