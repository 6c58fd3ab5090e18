//! The first page: everything at a glance.

use ratatui::Frame;
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::text::{Line, Span};
use ratatui::widgets::Paragraph;
use serde_json::Value;

use super::chart::{Fold, bars, covers, gauge, most, series};
use super::draw::{Shown, list};
use super::theme::Theme;
use super::view::View;
use crate::cli::ask::items;
use crate::cli::metrics::Window;
use crate::cli::metrics::figures::{
    UNKNOWN, bytes, count, counts, lasting, millis, of_hundred, percent, rate, text,
};
use crate::cli::metrics::listing::{ALERTS, LIVE, Listing, REPLICAS, Sort, TOOLS, Tone, cut, replica};
use crate::cli::metrics::report;

/// Below this, a line for each figure.
const LEAST: (u16, u16) = (66, 18);
/// From this width on, there is a column for what is beside the tools.
const WIDE: u16 = 110;

/// A figure with its picture.
struct Panel {
    title: &'static str,
    value: String,
    tone: Tone,
    picture: Picture,
    /// As much of it as there is room for.
    note: Vec<String>,
}

enum Picture {
    /// The last minutes.
    Course { member: &'static str, fold: Fold, show: fn(&Value) -> String },
    /// Shares of a whole: each with its name and its figure.
    Shares(Vec<(String, Option<f64>, String)>),
}

/// Draws the page.
pub(super) fn draw(frame: &mut Frame<'_>, shown: &Shown, view: &View, theme: Theme, area: Rect) {
    let panels = panels(&shown.document);
    if area.width < LEAST.0 || area.height < LEAST.1 {
        compact(frame, &panels, shown, view, theme, area);
        return;
    }
    // The charts get a fifth of the room each, the lists what is left.
    let tall = (area.height / 5).clamp(4, 8);
    let rows = [Constraint::Length(tall), Constraint::Length(5), Constraint::Length(3), Constraint::Fill(1)];
    let [charts, shares, facts_area, lists] = Layout::vertical(rows).areas(area);
    for (panels, place) in panels.chunks(3).zip([charts, shares]) {
        let places = Layout::horizontal([Constraint::Fill(1); 3]).spacing(2).split(place);
        for (panel, place) in panels.iter().zip(places.iter()) {
            draw_panel(frame, panel, shown, view, theme, *place);
        }
    }
    let lines: Vec<Line<'_>> =
        facts(&shown.document).into_iter().map(|fact| fact_line(fact, theme)).collect();
    frame.render_widget(Paragraph::new(lines), facts_area);
    if lists.width < WIDE {
        section(frame, shown, view, theme, &TOOLS, lists);
        return;
    }
    let [left, right] =
        Layout::horizontal([Constraint::Fill(3), Constraint::Fill(2)]).spacing(3).areas(lists);
    section(frame, shown, view, theme, &TOOLS, left);
    let three = Layout::vertical([Constraint::Fill(1); 3]).split(right);
    for (listing, place) in [&REPLICAS, &LIVE, &ALERTS].into_iter().zip(three.iter()) {
        section(frame, shown, view, theme, listing, *place);
    }
}

/// A line for each panel.
fn compact(frame: &mut Frame<'_>, panels: &[Panel; 6], shown: &Shown, view: &View, theme: Theme, area: Rect) {
    const TITLE: u16 = 11;
    let value = panels.iter().map(|panel| Span::raw(&*panel.value).width()).max().unwrap_or(0) as u16;
    for (panel, place) in panels.iter().zip(area.rows()) {
        let widths = [Constraint::Length(TITLE), Constraint::Length(value), Constraint::Fill(1)];
        let [title, value, picture] = Layout::horizontal(widths).spacing(1).areas(place);
        frame.render_widget(Paragraph::new(panel.title).style(Theme::TITLE), title);
        frame.render_widget(
            Paragraph::new(&*panel.value).right_aligned().style(theme.tone(panel.tone)),
            value,
        );
        match &panel.picture {
            Picture::Course { .. } => course(frame, panel, shown, view, theme, picture),
            Picture::Shares(shares) => {
                let share = shares.first().and_then(|(_, share, _)| *share);
                let line = gauge(share, usize::from(picture.width), theme.chart(), Theme::FAINT);
                frame.render_widget(line, picture);
            }
        }
    }
    let used = panels.len() as u16;
    let below = Rect { y: area.y + used.min(area.height), height: area.height.saturating_sub(used), ..area };
    // With some lines more there is room for the tools, which say more than the rest.
    if below.height > 4 {
        section(
            frame,
            shown,
            view,
            theme,
            &TOOLS,
            Rect { y: below.y + 1, height: below.height - 1, ..below },
        );
    } else {
        let lines = facts(&shown.document).into_iter().rev().map(|fact| fact_line(fact, theme));
        frame.render_widget(Paragraph::new(lines.collect::<Vec<_>>()), below);
    }
}

fn draw_panel(frame: &mut Frame<'_>, panel: &Panel, shown: &Shown, view: &View, theme: Theme, area: Rect) {
    let rows = [Constraint::Length(1), Constraint::Fill(1), Constraint::Length(1)];
    let [head, picture, note] = Layout::vertical(rows).areas(area);
    let value = Span::styled(&*panel.value, theme.tone(panel.tone));
    let room = usize::from(head.width).saturating_sub(panel.title.len() + value.width() + 2);
    let about = axes(panel, shown, view, picture.width).into_iter().flatten();
    let about =
        about.map(|about| about + " ").find(|about| Span::raw(about).width() < room).unwrap_or_default();
    let rule = "─".repeat(room.saturating_sub(Span::raw(&about).width()));
    let rule = Span::styled(format!(" {about}{rule} "), Theme::FAINT);
    frame.render_widget(Line::from(vec![Span::styled(panel.title, Theme::TITLE), rule, value]), head);
    match &panel.picture {
        Picture::Course { .. } => course(frame, panel, shown, view, theme, picture),
        Picture::Shares(shares) => {
            let width = |wide: fn(&(String, Option<f64>, String)) -> usize| {
                shares.iter().map(wide).max().unwrap_or(0)
            };
            let name = width(|(name, ..)| Span::raw(name).width());
            let figure = width(|(.., figure)| Span::raw(figure).width());
            let bar = usize::from(picture.width).saturating_sub(name + figure + 2);
            for ((called, share, shows), place) in shares.iter().zip(picture.rows()) {
                let mut line = gauge(*share, bar, theme.chart(), Theme::FAINT);
                line.spans.insert(0, Span::raw(format!("{called:<name$} ")));
                line.spans.push(Span::raw(format!(" {shows:>figure$}")));
                frame.render_widget(line, place);
            }
        }
    }
    let width = usize::from(note.width);
    // As many of its parts as fit; of one that does not, what fits.
    let parts = (1..=panel.note.len()).rev().map(|parts| panel.note[..parts].join(", "));
    let fits = parts.clone().find(|said| Span::raw(said).width() <= width);
    let said = fits.or_else(|| panel.note.first().map(|said| cut(said, width))).unwrap_or_default();
    frame.render_widget(Line::styled(said, Theme::FAINT), note);
}

/// What a course covers from left to right, with its greatest value and, where there is less room, without.
fn axes(panel: &Panel, shown: &Shown, view: &View, width: u16) -> Option<[String; 2]> {
    let Picture::Course { member, fold, show } = panel.picture else { return None };
    let (history, seconds, columns) = (&shown.history, seconds(view.window), usize::from(width));
    let top = most(&series(history, member, seconds, columns, fold))?;
    let covers = covers(history, seconds, columns);
    // Up to three minutes whole seconds are shorter.
    let covers = if covers < 180_000.0 { format!("{:.0} s", covers / 1e3) } else { lasting(&covers.into()) };
    Some([format!("{covers}, top {}", show(&top.into())), covers])
}

/// About how long the charts look back.
fn seconds(window: Window) -> usize {
    match window {
        Window::TenSeconds | Window::Minute => 60,
        Window::FiveMinutes | Window::Start => 300,
    }
}

fn course(frame: &mut Frame<'_>, panel: &Panel, shown: &Shown, view: &View, theme: Theme, area: Rect) {
    let Picture::Course { member, fold, .. } = panel.picture else { return };
    let series = series(&shown.history, member, seconds(view.window), usize::from(area.width), fold);
    let top = most(&series).unwrap_or(0.0);
    // What hardly changes would be a block without a shape: it fills three quarters.
    let top = if member == "rss_bytes" { top / 0.75 } else { top };
    let style = if panel.tone == Tone::Plain { theme.chart() } else { theme.tone(panel.tone) };
    bars(&series, top, style, area, frame.buffer_mut());
}

/// A list of the overview: its title, and as many rows as there is room for.
fn section(
    frame: &mut Frame<'_>,
    shown: &Shown,
    view: &View,
    theme: Theme,
    listing: &'static Listing,
    area: Rect,
) {
    let rows = listing.rows(&shown.document, view.sort, if listing.sorted { &view.filter } else { "" });
    let [head, body] = Layout::vertical([Constraint::Length(1), Constraint::Fill(1)]).areas(area);
    let count =
        if shown.document[listing.member].is_array() { rows.len().to_string() } else { UNKNOWN.into() };
    let order = if listing.sorted { format!(", {} first", view.sort.words()) } else { String::new() };
    let title = Line::from(vec![
        Span::styled(listing.title, Theme::TITLE),
        Span::styled(format!(" {count}{order} {}", "─".repeat(usize::from(head.width))), Theme::FAINT),
    ]);
    frame.render_widget(title, head);
    if !rows.is_empty() {
        list(frame, listing, &rows, None, theme, body);
    }
}

fn panels(document: &Value) -> [Panel; 6] {
    let all = &document["all"];
    let share =
        |part: &Value, whole: &Value| Some(part.as_f64()? / whole.as_f64().filter(|whole| *whole > 0.0)?);
    let kinds = counts(&all["errors_by_kind"]);
    let failed = all["errors"].as_u64().is_some_and(|errors| errors > 0);
    let (pool, most) = (&document["pool"]["all"], &document["pool"]["settings"]["max_connections"]);
    let of_pool = format!("{} of {}", count(&pool["in_use"]), count(most));
    [
        Panel {
            title: "requests",
            value: rate(&all["per_s"]),
            tone: Tone::Plain,
            picture: Picture::Course { member: "requests", fold: Fold::Mean, show: rate },
            note: vec![
                format!("{} in flight", count(&all["in_flight"])),
                format!("{} in all", count(&all["requests"])),
            ],
        },
        Panel {
            title: "latency p95",
            value: millis(&all["latency_ms"]["p95"]),
            tone: Tone::Plain,
            picture: Picture::Course { member: "p95_ms", fold: Fold::Most, show: millis },
            note: vec![
                format!("p50 {}", millis(&all["latency_ms"]["p50"])),
                format!("p99 {}", millis(&all["latency_ms"]["p99"])),
                format!("own {}", millis(&all["overhead_ms"]["p95"])),
            ],
        },
        Panel {
            title: "errors",
            value: percent(&all["error_rate"]),
            tone: if failed { Tone::Warning } else { Tone::Plain },
            picture: Picture::Course { member: "errors", fold: Fold::Mean, show: rate },
            note: vec![if kinds.is_empty() { format!("{} in all", count(&all["errors"])) } else { kinds }],
        },
        Panel {
            title: "pool",
            value: of_pool.clone(),
            tone: Tone::Plain,
            picture: Picture::Shares(vec![
                ("in use".into(), share(&pool["in_use"], most), of_pool),
                ("hits".into(), pool["hit_rate"].as_f64(), percent(&pool["hit_rate"])),
            ]),
            note: vec![
                format!("{} idle", count(&pool["idle"])),
                format!("{} waiting", count(&pool["waiting"])),
                format!("{} opening", count(&pool["opening"])),
            ],
        },
        cache(&document["cache"], share(&all["from_cache"], &all["requests"])),
        Panel {
            title: "memory",
            value: bytes(&document["process"]["rss_bytes"]),
            tone: Tone::Plain,
            picture: Picture::Course { member: "rss_bytes", fold: Fold::Most, show: bytes },
            note: vec![
                format!("cpu {}", of_hundred(&document["process"]["cpu_percent"])),
                format!("{} threads", count(&document["process"]["threads"])),
                format!("{} clients", count(&document["connections"])),
            ],
        },
    ]
}

fn cache(cache: &Value, answered: Option<f64>) -> Panel {
    let levels = items(&cache["levels"])
        .iter()
        .map(|level| (text(&level["level"]), level["hit_rate"].as_f64(), percent(&level["hit_rate"])));
    Panel {
        title: "cache",
        value: if cache.is_null() { "off".into() } else { percent(&answered.into()) },
        tone: Tone::Plain,
        picture: Picture::Shares(levels.collect()),
        note: if cache.is_null() {
            Vec::new()
        } else {
            vec![format!("{} calls joined", count(&cache["calls_joined"]))]
        },
    }
}

/// What else is worth a line: its name, itself, and how it is meant.
fn facts(document: &Value) -> [(&'static str, String, Tone); 3] {
    let replicas = REPLICAS.rows(document, Sort::Used, "");
    let bad: Vec<String> = replicas
        .iter()
        .filter(|row| (REPLICAS.tone)(row) != Tone::Plain)
        .map(|row| format!("{} {}", replica(row), text(&row["state"])))
        .collect();
    let known = document["replicas"].is_array();
    let (said, tone) = match (known, bad.is_empty()) {
        (false, _) => (UNKNOWN.to_owned(), Tone::Plain),
        (true, true) => (format!("{}, all well", replicas.len()), Tone::Plain),
        (true, false) => (format!("{}, not well: {}", replicas.len(), bad.join(", ")), Tone::Critical),
    };
    [
        ("look-ups", report::lookups(&document["lookups"]), Tone::Plain),
        ("list", report::list(&document["lists"]["tools"]), Tone::Plain),
        ("replicas", said, tone),
    ]
}

fn fact_line<'a>((name, said, tone): (&'static str, String, Tone), theme: Theme) -> Line<'a> {
    vec![Span::styled(format!("{name:<9} "), Theme::TITLE), Span::styled(said, theme.tone(tone))].into()
}
