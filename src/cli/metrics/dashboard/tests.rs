//! What the dashboard shows: cells compared, without a terminal.

use crossterm::event::KeyCode;
use ratatui::Terminal;
use ratatui::backend::TestBackend;
use ratatui::buffer::{Buffer, Cell};
use ratatui::style::{Color, Modifier};
use serde_json::{Value, json};

use super::view::Tab;
use super::*;
use crate::cli::metrics::sample;

const SIZES: [(u16, u16); 3] = [(80, 24), (120, 40), (40, 10)];

fn shown(document: Value, history: Value) -> Shown {
    Shown { document, history, trouble: None, age: Duration::ZERO }
}

fn sample() -> Shown {
    shown(sample::document(), sample::history())
}

fn view(keys: &str) -> View {
    let mut view = View::new(Window::Minute, Sort::Used);
    for letter in keys.chars() {
        view.key(KeyCode::Char(letter).into(), &sample::document());
    }
    view
}

fn buffer(shown: &Shown, view: &View, (width, height): (u16, u16), colours: bool) -> Buffer {
    let mut terminal = Terminal::new(TestBackend::new(width, height)).unwrap();
    terminal.draw(|frame| draw::draw(frame, shown, view, Theme { colours })).unwrap();
    terminal.backend().buffer().clone()
}

/// The screen as lines without their tails.
fn screen(shown: &Shown, view: &View, size: (u16, u16)) -> Vec<String> {
    let buffer = buffer(shown, view, size, true);
    let rows = buffer.content().chunks(usize::from(size.0));
    rows.map(|cells| cells.iter().map(Cell::symbol).collect::<String>().trim_end().to_owned()).collect()
}

#[test]
fn a_small_terminal_shows_every_figure_that_matters() {
    assert_eq!(
        screen(&sample(), &view(""), (40, 10)),
        [
            "▲ warning  up 3 h 12 min         last 1m",
            "64 % of the calls found a connection (l…",
            " Overview  2  3  4  5  6  7  8",
            "requests      20.5/s ▇▆▅▄▃▂▁▁▁▁▂▃▄▅▆▇▇██",
            "latency p95  4.50 ms ▇▇▆▆▅▄▄▄▄▄▄▅▆▆▇▇▇█▇",
            "errors         0.3 %            █",
            "pool         5 of 50 █▉░░░░░░░░░░░░░░░░░",
            "cache         25.0 % ████▋░░░░░░░░░░░░░░",
            "memory      14.0 MiB ▅▅▅▅▅▅▅▅▅▅▅▅▅▅▅▅▅▅▆",
            "q quit  ? help  Tab next page",
        ]
    );
}

#[test]
fn the_usual_terminal_shows_courses_shares_and_tools() {
    let lines = screen(&sample(), &view(""), (80, 24));
    assert_eq!(
        lines[..3],
        [
            "aqe-v3  ▲ warning  pid 4711  up 3 h 12 min                 last 1m  12:34:56 UTC",
            "64 % of the calls found a connection (less than 70 %)",
            " Overview  Tools  Upstreams  Categories  Methods  Replicas  Calls 1  Alerts 1",
        ]
    );
    assert!(
        lines[3].starts_with("requests 50 s ─") && lines[3].contains("─ 20.5/s  latency p95"),
        "{}",
        lines[3]
    );
    let text = lines.join("\n");
    for part in [
        "3 in flight, 1230 in all",
        "p50 1.50 ms, p99 12.0 ms",
        "tool_error 3, timeout 1",
        " 5 of 50  ",
        " 64.0 %  ",
        " 24.4 %",
        "3 idle, 2 waiting",
        "cpu 4.2 %, 5 threads",
        "1229 exact, 1 near, 2 unknown",
        "42 tools, 30.0 KiB, about 7680 tokens",
        "2, not well: search/two open",
        "files__write_file           130  2.17/s  4 (3.1 %)",
        "q quit  ? help  Tab next page  s most used  w window  / filter  p pause",
    ] {
        assert!(text.contains(part), "{part}:\n{text}");
    }
}

#[test]
fn a_wide_terminal_shows_replicas_calls_and_alerts_beside_the_tools() {
    let text = screen(&sample(), &view(""), (120, 40)).join("\n");
    for part in [
        "replicas 2 ─",
        "search/two  open",
        "calls under way 1 ─",
        "c-1f  search__query",
        "alerts 1 ─",
        "78 s, top 35.0/s",
    ] {
        assert!(text.contains(part), "{part}:\n{text}");
    }
}

#[test]
fn every_page_fits_every_size_whatever_the_server_tells() {
    let mut odd = sample::document();
    for member in ["all", "pool", "cache", "process", "health", "window", "lists", "lookups"] {
        odd[member] = json!([1, "two", null]);
    }
    for member in ["tools", "replicas", "calls", "alerts"] {
        odd[member] =
            json!([null, 3, { "name": 7, "call": [], "children": "x", "last_lines": [3], "scope": 1 }]);
    }
    let documents = [Value::Null, json!({}), json!([]), odd, sample::document()];
    let histories = [Value::Null, json!({ "points": [null, { "at": "x" }] }), sample::history()];
    for (at, document) in documents.into_iter().enumerate() {
        let shown = shown(document, histories[at % histories.len()].clone());
        for tab in Tab::ALL {
            for size in SIZES.into_iter().chain([(1, 1), (24, 6), (25, 7), (66, 21), (110, 23), (160, 60)]) {
                let mut view = view("");
                view.tab = tab;
                for key in ['c', 'n', 'a', 'n', '?'] {
                    screen(&shown, &view, size);
                    view.key(KeyCode::Char(key).into(), &shown.document);
                }
            }
        }
    }
}

#[test]
fn what_is_not_known_is_a_dash_on_the_screen() {
    let lines = screen(&shown(json!({}), Value::Null), &view(""), (40, 10));
    assert_eq!(lines[0], "aqe-v3  ? –  pid –  up –         last 1m");
    assert_eq!(
        lines[2..8],
        [
            "requests         –",
            "latency p95      –",
            "errors           –",
            "pool        – of – ·····················",
            "cache          off ·····················",
            "memory           –",
        ]
    );
    for lines in [lines, screen(&shown(json!({}), Value::Null), &view(""), (120, 40))] {
        assert!(!lines.join("").replace("p50", "").contains('0'), "{lines:#?}");
    }
}

#[test]
fn a_server_that_is_gone_is_said_to_be_and_its_last_figures_stay() {
    let mut shown = sample();
    shown.trouble = Some("no server is running".into());
    shown.age = Duration::from_secs(12);
    for size in SIZES {
        let lines = screen(&shown, &view(""), size);
        assert!(
            lines[0].contains("✖ server gone, trying again (12 s)") && !lines[0].contains("warning"),
            "{lines:#?}"
        );
        assert!(lines[1].starts_with("no server is running"), "{}", lines[1]);
        assert!(lines.join("\n").contains("20.5/s"));
    }
    let slow = Shown { trouble: None, age: Duration::from_secs(7), ..sample() };
    assert!(screen(&slow, &view(""), (80, 24))[0].contains("no answer for 7 s"));
    let paused = screen(&slow, &view("p"), (80, 24));
    assert!(paused[0].contains("paused (7 s)") && !paused[0].contains("no answer"), "{}", paused[0]);
}

#[test]
fn each_page_shows_its_rows_and_the_chosen_one_in_detail() {
    let page = |keys: &str| screen(&sample(), &view(keys), (100, 30)).join("\n");
    for (keys, parts) in [
        (
            "2",
            &[
                "files__read_text_file ─",
                " 1 of 4",
                "errors    0 (0 %)",
                "definition 840 B, about 210 tokens",
            ][..],
        ),
        ("2jj", &["files__write_file ─", " 3 of 4", "4 (3.1 %): tool_error 3, timeout 1"]),
        ("2s", &["s slowest", "search__query ─"]),
        ("2/WRITE", &[" 1 of 1", "files__write_file ─", "/WRITE"]),
        ("2/nothing", &["no tools with \"nothing\": Esc shows all"]),
        ("3", &["upstream ", "files "]),
        ("4", &["category "]),
        ("5", &["tools/list"]),
        ("6", &["812 (3.1 %, 50.0 MiB, up 1 min 30 s)", "  | watching /home"]),
        ("6j", &["error     connection refused", "reason    3 failures in a row", "processes none"]),
        ("7", &["c cancel", "local, legacy era"]),
        ("7c", &["cancel the call c-1f of search__query?  y yes  n no"]),
        (
            "8",
            &[
                "a acknowledge",
                "the pool's hit rate is 64.0 %, below 70 %",
                "peak 61.0 %, threshold 70.0 %",
                "by nobody",
            ],
        ),
        ("8a", &["acknowledge the alert pool-hit-rate?  y yes  n no"]),
        ("?", &["another page", "q Esc Ctrl-C"]),
    ] {
        let page = page(keys);
        for part in parts {
            assert!(page.contains(part), "{keys}: {part}\n{page}");
        }
    }
}

/// The sample of a server with a fleet.
fn with_fleet() -> Shown {
    let mut shown = sample();
    let (told, detail) = sample::fleets();
    fleets::merge(&mut shown.document, &told, &detail);
    shown
}

fn pressed(shown: &Shown, keys: &str) -> View {
    let mut view = view("");
    for letter in keys.chars() {
        view.key(KeyCode::Char(letter).into(), &shown.document);
    }
    view
}

#[test]
fn the_page_of_fleets_shows_each_fleet_its_tasks_and_what_the_chosen_one_wrote() {
    let shown = with_fleet();
    let page = |keys: &str| screen(&shown, &pressed(&shown, keys), (100, 30)).join("\n");
    for (keys, parts) in [
        (
            "9",
            &[
                "Fleets 2",
                "default  1 of 1 agent busy, 1 running, 2 ready, 1 waiting, 12 done, 1 failed  ▲ pytest: ",
                " 1 of 2",
                "agent     a1, pid 4712, up 1 min 30 s, 45.0 MiB, 12 done, 1 failed",
                "output    not asked for yet",
            ][..],
        ),
        (
            "9j",
            &[
                "lint  dead",
                "4.50 s",
                "error     exit code 1",
                "… 71.3 KiB were not kept …",
                "  | last\u{fffd}[31m",
                "  | first",
            ],
        ),
        ("9c", &["cancel the task unit?  y yes  n no"]),
    ] {
        let page = page(keys);
        for part in parts {
            assert!(page.contains(part), "{keys}: {part}\n{page}");
        }
    }
    let view = pressed(&shown, "9j");
    assert_eq!(view.task(&shown.document), Some("run-0a.0".into()));
    assert_eq!(pressed(&shown, "2").task(&shown.document), None, "nobody looks at it");
    let names = |size| screen(&shown, &pressed(&shown, ""), size)[2].clone();
    assert_eq!(
        names((80, 24)),
        " Overview Tools Upstreams Categories Methods Replicas Calls 1 Alerts 1 Fleets 2"
    );
    for size in SIZES.into_iter().chain([(24, 6), (66, 21), (160, 60)]) {
        screen(&shown, &view, size);
    }
}

#[test]
fn where_there_is_no_fleet_there_is_no_page_of_them() {
    let view = view("9");
    assert_eq!((view.tab, view.message.as_deref()), (Tab::Overview, Some("there is no fleet")));
    assert!(!screen(&sample(), &view, (120, 40)).join("").contains("Fleets"));
}

#[test]
fn a_long_list_shows_the_screenful_of_the_chosen_row() {
    let tools: Vec<Value> = (0..100).map(|at| json!({ "name": format!("tool-{at:03}") })).collect();
    let shown = shown(json!({ "tools": tools }), Value::Null);
    let mut view = view("2");
    for (key, first, chosen) in [
        (KeyCode::Home, "tool-000", "tool-000"),
        (KeyCode::End, "tool-088", "tool-099"),
        (KeyCode::PageUp, "tool-084", "tool-089"),
    ] {
        view.key(key.into(), &shown.document);
        let buffer = buffer(&shown, &view, (60, 16), true);
        let lines = screen(&shown, &view, (60, 16));
        assert!(lines[3].starts_with(first), "{first}: {lines:#?}");
        let reversed: Vec<String> = (3..15)
            .filter(|row| buffer[(0, *row)].modifier.contains(Modifier::REVERSED))
            .map(|row| lines[usize::from(row)].chars().take(8).collect())
            .collect();
        assert_eq!(reversed, [chosen]);
    }
}

#[test]
fn texts_of_servers_cannot_paint() {
    let mut document = sample::document();
    document["tools"][0]["name"] = "evil\u{1b}[31m\u{7}\u{202e}\r\nname".into();
    document["replicas"][0]["last_lines"] = json!(["\u{1b}]0;title\u{7}", "\u{9b}2J"]);
    document["health"]["reasons"][0]["text"] = "\u{1b}c\u{8}".into();
    let shown = shown(document, sample::history());
    for keys in ["", "2", "6"] {
        for size in SIZES {
            let buffer = buffer(&shown, &view(keys), size, true);
            let bad = buffer
                .content()
                .iter()
                .find(|cell| cell.symbol().chars().any(|c| c.is_control() || c == '\u{202e}'));
            assert_eq!(bad, None);
        }
    }
    assert!(
        screen(&shown, &view("2"), (80, 24))
            .join("\n")
            .contains("evil\u{fffd}[31m\u{fffd}\u{fffd}\u{fffd} name")
    );
}

#[test]
fn colours_are_the_terminals_own_sixteen_and_none_where_none_are_wanted() {
    for keys in ["", "2", "6", "7c", "8", "?"] {
        let fine = |colour: Color| !matches!(colour, Color::Rgb(..) | Color::Indexed(_));
        let coloured = buffer(&sample(), &view(keys), (120, 40), true);
        assert!(coloured.content().iter().all(|cell| fine(cell.fg) && fine(cell.bg)));
        assert!(coloured.content().iter().any(|cell| cell.fg != Color::Reset));
        let plain = buffer(&sample(), &view(keys), (120, 40), false);
        assert!(plain.content().iter().all(|cell| cell.fg == Color::Reset && cell.bg == Color::Reset));
        let symbols = |buffer: &Buffer| {
            buffer.content().iter().map(|cell| cell.symbol().to_owned()).collect::<String>()
        };
        assert_eq!(symbols(&coloured), symbols(&plain), "what a colour says is said in words, too");
    }
}
