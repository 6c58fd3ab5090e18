//! The dashboard as cells: a function of what the server has told, what is looked at, and the size.

use std::time::Duration;

use ratatui::Frame;
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::style::{Modifier, Style};
use ratatui::text::{Line, Span};
use ratatui::widgets::{Block, Clear, Paragraph, Wrap};
use serde_json::Value;

use super::super::figures::{lasting, line, text};
use super::super::listing::{Listing, Tone, cut};
use super::detail::detail;
use super::fleets;
use super::overview;
use super::theme::Theme;
use super::view::{Mode, Tab, View};
use crate::cli::ask::items;

/// Below this nothing is readable.
const LEAST: (u16, u16) = (24, 6);
/// Figures that are older than this are said to be.
const STALE: Duration = Duration::from_secs(5);
/// Lines of a page from which on the chosen row is shown in detail.
const DETAIL: u16 = 14;

/// What the server has told.
#[derive(Debug, Clone)]
pub(super) struct Shown {
    /// `/admin/metrics`.
    pub(super) document: Value,
    /// `/admin/metrics/history`, or null.
    pub(super) history: Value,
    /// Why it does not tell any more.
    pub(super) trouble: Option<String>,
    /// How long ago it has told this.
    pub(super) age: Duration,
}

/// A part of a line, and how soon it is left out where there is no room: the highest rank first, 0 never.
type Part<'a> = (u8, Span<'a>);

/// Draws everything.
pub(super) fn draw(frame: &mut Frame<'_>, shown: &Shown, view: &View, theme: Theme) {
    let area = frame.area();
    if area.width < LEAST.0 || area.height < LEAST.1 {
        frame.render_widget(Paragraph::new("too small").style(Theme::TITLE), area);
        return;
    }
    let reasons = reasons(shown);
    // A line for the reasons, two where there is room.
    let told = match (reasons.is_empty(), area.height) {
        (true, _) => 0,
        (false, ..24) => 1,
        (false, _) => 2.min(reasons.chars().count().div_ceil(usize::from(area.width)) as u16),
    };
    let rows = [Constraint::Length(1), Constraint::Length(told), Constraint::Length(1), Constraint::Fill(1)];
    let [head, why, tabs, body, foot] =
        Layout::vertical(rows.into_iter().chain([Constraint::Length(1)])).areas(area);
    frame.render_widget(header(shown, view, theme, head.width), head);
    let reasons = if told == 1 { cut(&reasons, usize::from(area.width)) } else { reasons };
    let tone = if shown.trouble.is_some() { Tone::Critical } else { health(&shown.document).1 };
    frame.render_widget(Paragraph::new(reasons).style(theme.tone(tone)).wrap(Wrap { trim: true }), why);
    frame.render_widget(pages(&shown.document, view, theme, tabs.width), tabs);
    match view.tab {
        Tab::Overview => overview::draw(frame, shown, view, theme, body),
        _ => page(frame, &shown.document, view, theme, body),
    }
    frame.render_widget(footer(view, theme, foot.width), foot);
    if view.mode == Mode::Help {
        help(frame, area);
    }
}

/// The health as a sign and a word, and how it is meant.
fn health(document: &Value) -> (String, Tone) {
    let status = text(&document["health"]["status"]);
    match status.as_str() {
        "healthy" => (format!("● {status}"), Tone::Plain),
        "warning" => (format!("▲ {status}"), Tone::Warning),
        "critical" => (format!("✖ {status}"), Tone::Critical),
        _ => (format!("? {status}"), Tone::Faint),
    }
}

/// Why the server does not tell anything, or is not healthy.
fn reasons(shown: &Shown) -> String {
    if let Some(trouble) = &shown.trouble {
        return line(trouble);
    }
    if shown.document["monitoring"] == false {
        return "monitoring is off ([monitoring] enabled = false): figures of calls are not known".into();
    }
    let reasons = items(&shown.document["health"]["reasons"]).iter().map(|reason| text(&reason["text"]));
    reasons.collect::<Vec<_>>().join("; ")
}

fn header<'a>(shown: &Shown, view: &View, theme: Theme, width: u16) -> Line<'a> {
    let document = &shown.document;
    let age = lasting(&(shown.age.as_secs_f64() * 1e3).into());
    let (status, tone) = match &shown.trouble {
        // What it was is not what it is.
        Some(_) => (format!("✖ server gone, trying again ({age})"), Tone::Critical),
        None => health(document),
    };
    let style = if tone == Tone::Plain { theme.good() } else { theme.tone(tone) };
    let left = vec![
        (3, Span::styled("aqe-v3", Theme::TITLE)),
        (0, Span::styled(status, style.add_modifier(Modifier::BOLD))),
        (4, Span::raw(format!("pid {}", text(&document["pid"])))),
        (2, Span::raw(format!("up {}", lasting(&document["uptime_ms"])))),
    ];
    let mut right: Vec<Part<'_>> = Vec::new();
    if view.paused {
        right.push((0, Span::styled(format!("paused ({age})"), theme.tone(Tone::Warning))));
    } else if shown.trouble.is_none() && shown.age >= STALE {
        right.push((0, Span::styled(format!("no answer for {age}"), theme.tone(Tone::Warning))));
    }
    let window = match view.window.name() {
        "start" => "since the start".to_owned(),
        name => format!("last {name}"),
    };
    right.push((1, Span::raw(window)));
    // The server's clock: date, T, time, fraction.
    let clock =
        document["at"].as_str().and_then(|at| at.get(11..19)).map(|time| format!("{} UTC", line(time)));
    right.extend(clock.map(|clock| (5, Span::styled(clock, Theme::FAINT))));
    spread(left, right, width)
}

/// Puts parts to both ends of a line, as many as it has room for.
fn spread<'a>(mut left: Vec<Part<'a>>, mut right: Vec<Part<'a>>, width: u16) -> Line<'a> {
    const GAP: usize = 2;
    let wide = |parts: &[Part<'_>]| parts.iter().map(|(_, span)| span.width() + GAP).sum::<usize>();
    let width = usize::from(width);
    loop {
        let used = (wide(&left) + wide(&right)).saturating_sub(GAP);
        let rank = left.iter().chain(&right).map(|(rank, _)| *rank).max().unwrap_or(0);
        if used <= width || rank == 0 {
            let mut spans = Vec::new();
            for (_, span) in left {
                spans.extend([span, Span::raw(" ".repeat(GAP))]);
            }
            spans.push(Span::raw(" ".repeat(width.saturating_sub(used))));
            for (at, (_, span)) in right.into_iter().enumerate() {
                spans.extend((at > 0).then(|| Span::raw(" ".repeat(GAP))));
                spans.push(span);
            }
            return spans.into();
        }
        left.retain(|part| part.0 < rank);
        right.retain(|part| part.0 < rank);
    }
}

/// The names of the pages; where there is no room, the digits of those that are not looked at.
fn pages<'a>(document: &Value, view: &View, theme: Theme, width: u16) -> Line<'a> {
    let tabs = Tab::of(document);
    let name = |tab: Tab| match (tab, items(&document[tab.listing().member]).len()) {
        (Tab::Calls | Tab::Alerts | Tab::Fleets, count @ 1..) => format!("{} {count}", tab.name()),
        _ => tab.name().to_owned(),
    };
    let build = |full: bool, gap: &str| -> Line<'a> {
        let mut spans = Vec::new();
        for (at, tab) in tabs.iter().copied().enumerate() {
            let name = if full || tab == view.tab { name(tab) } else { (at + 1).to_string() };
            let alarming = tab == Tab::Alerts && !items(&document["alerts"]).is_empty();
            let style = match (tab == view.tab, alarming) {
                (true, _) => Theme::CHOSEN,
                (false, true) => theme.tone(Tone::Warning),
                (false, false) => Theme::FAINT,
            };
            spans.push(Span::styled(format!(" {name}{gap}"), style));
        }
        spans.into()
    };
    let fits = |line: &Line<'_>| line.width() <= usize::from(width);
    let all = [build(true, " "), build(true, "")];
    all.into_iter().find(fits).unwrap_or_else(|| build(false, " "))
}

fn footer<'a>(view: &View, theme: Theme, width: u16) -> Line<'a> {
    let width = usize::from(width);
    match &view.mode {
        Mode::Confirm(question, _) => {
            let answer = "  y yes  n no";
            let question = cut(question, width.saturating_sub(answer.len()));
            return vec![
                Span::styled(question, theme.tone(Tone::Warning).add_modifier(Modifier::BOLD)),
                Span::styled(answer, Theme::TITLE),
            ]
            .into();
        }
        Mode::Filter => {
            let hint = "  Enter keep  Esc clear";
            let filter = format!("/{}", line(&view.filter));
            return vec![
                Span::styled(filter, Theme::TITLE),
                Span::styled(" ", Theme::CHOSEN),
                Span::styled(hint, Theme::FAINT),
            ]
            .into();
        }
        Mode::Normal | Mode::Help => {}
    }
    if let Some(message) = &view.message {
        return Span::styled(cut(&line(message), width), Theme::TITLE).into();
    }
    let mut hints = vec![("q", "quit".to_owned()), ("?", "help".into()), ("Tab", "next page".into())];
    match view.tab {
        Tab::Calls | Tab::Fleets => hints.push(("c", "cancel".into())),
        Tab::Alerts => hints.push(("a", "acknowledge".into())),
        Tab::Replicas => {}
        _ => hints.push(("s", view.sort.words().into())),
    }
    let filter = if view.filter.is_empty() { "filter".into() } else { cut(&line(&view.filter), 16) };
    hints.extend([("w", "window".into()), ("/", filter), ("p", "pause".into())]);
    let mut spans = Vec::new();
    let mut used = 0;
    for (key, what) in hints {
        used += key.len() + what.chars().count() + 3;
        if used > width + 2 {
            break;
        }
        spans.extend([Span::styled(key, Theme::TITLE), Span::styled(format!(" {what}  "), Theme::FAINT)]);
    }
    spans.into()
}

/// A page with a list, and the chosen row in detail.
fn page(frame: &mut Frame<'_>, document: &Value, view: &View, theme: Theme, area: Rect) {
    let rows = view.rows(document);
    let chosen = view.chosen(&rows);
    let below = if area.height >= DETAIL { (area.height * 2 / 5).clamp(8, 16) } else { 0 };
    let fleets = if view.tab == Tab::Fleets && below > 0 { fleets::lines(document) } else { Vec::new() };
    let heights = [Constraint::Length(fleets.len() as u16), Constraint::Fill(1), Constraint::Length(below)];
    let [head, above, below] = Layout::vertical(heights).areas(area);
    let fleets = fleets.iter().map(|fleet| Line::raw(cut(fleet, usize::from(head.width))));
    frame.render_widget(Paragraph::new(fleets.collect::<Vec<_>>()).style(Theme::FAINT), head);
    let listing = view.tab.listing();
    list(frame, listing, &rows, chosen, theme, above);
    if rows.is_empty() {
        let filtered = !view.filter.is_empty() && !items(&document[listing.member]).is_empty();
        let what = if document[listing.member].is_null() {
            "not known".to_owned()
        } else {
            format!("no {}", listing.title)
        };
        let what =
            if filtered { format!("{what} with {:?}: Esc shows all", line(&view.filter)) } else { what };
        let place = Rect { y: above.y + 1, height: above.height.saturating_sub(1), ..above };
        frame.render_widget(Paragraph::new(what).style(Theme::FAINT).wrap(Wrap { trim: true }), place);
    }
    let Some(row) = chosen.map(|at| rows[at]) else { return };
    let title = if view.tab == Tab::Fleets { text(&row["key"]) } else { (listing.key)(row) };
    let title = Line::styled(format!(" {} ", cut(&title, usize::from(below.width) / 2)), Theme::TITLE);
    let count = chosen.map_or(0, |at| at + 1);
    let place = Line::styled(format!(" {count} of {} ", rows.len()), Theme::FAINT).right_aligned();
    let block = Block::new().borders(ratatui::widgets::Borders::TOP).border_style(Theme::FAINT);
    let block = block.title_top(title).title_top(place);
    let lines: Vec<Line<'_>> = detail(listing, row).into_iter().map(Line::raw).collect();
    frame.render_widget(Paragraph::new(lines).block(block), below);
}

/// A list with its heading: a screenful that holds the chosen row.
pub(super) fn list(
    frame: &mut Frame<'_>,
    listing: &Listing,
    rows: &[&Value],
    chosen: Option<usize>,
    theme: Theme,
    area: Rect,
) {
    let room = usize::from(area.height.saturating_sub(1));
    if area.is_empty() {
        return;
    }
    // Screenfuls begin where the one before ends; the last one is full, too.
    let first = chosen.map_or(0, |at| at / room.max(1) * room).min(rows.len().saturating_sub(room));
    let visible = &rows[first..rows.len().min(first + room)];
    let columns = listing.fitting(visible, usize::from(area.width));
    let line = |cell: &dyn Fn(usize) -> String| {
        let cells = columns
            .iter()
            .enumerate()
            .map(|(at, (column, width))| pad(&cut(&cell(at), *width), *width, column.right));
        cells.collect::<Vec<_>>().join("  ")
    };
    let heading = Line::styled(line(&|at| columns[at].0.title.to_owned()), Theme::TITLE);
    let mut lines = vec![heading];
    for (at, row) in visible.iter().enumerate() {
        let style = match chosen {
            Some(chosen) if chosen == first + at => Theme::CHOSEN,
            _ => theme.tone((listing.tone)(row)),
        };
        let text = line(&|at| (columns[at].0.cell)(row));
        lines.push(Line::styled(pad(&text, usize::from(area.width), false), style));
    }
    frame.render_widget(Paragraph::new(lines), area);
}

/// Fills a text with blanks.
fn pad(text: &str, width: usize, right: bool) -> String {
    let fill = " ".repeat(width.saturating_sub(Span::raw(text).width()));
    if right { fill + text } else { text.to_owned() + &fill }
}

fn help(frame: &mut Frame<'_>, area: Rect) {
    const KEYS: [(&str, &str); 13] = [
        ("Tab ← → 1-9", "another page"),
        ("↑ ↓ PgUp PgDn", "another row"),
        ("Home End", "first, last row"),
        ("w", "window: 10s, 1m, 5m, start"),
        ("s", "order: used, slow, errors, tokens"),
        ("/", "filter the rows by a text"),
        ("p", "pause, and go on"),
        ("c", "cancel the call (7) or task (9)"),
        ("a", "acknowledge the alert (page 8)"),
        ("Ctrl-L", "draw the screen anew"),
        ("Ctrl-Z", "stop; fg goes on"),
        ("?", "this; any key closes it"),
        ("q Esc Ctrl-C", "quit"),
    ];
    let width = area.width.min(52);
    let height = area.height.min(KEYS.len() as u16 + 2);
    let place =
        Rect { x: area.x + (area.width - width) / 2, y: area.y + (area.height - height) / 2, width, height };
    let lines = KEYS.map(|(key, what)| {
        Line::from(vec![Span::styled(format!(" {key:<15}"), Theme::TITLE), Span::raw(what)])
    });
    frame.render_widget(Clear, place);
    let block = Block::bordered().title(Line::styled(" keys ", Theme::TITLE));
    frame.render_widget(Paragraph::new(lines.to_vec()).style(Style::new()).block(block), place);
}
