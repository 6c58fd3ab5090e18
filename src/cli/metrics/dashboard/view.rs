//! What of the document is looked at, and what each key changes about that. Nothing here knows a terminal.

use crossterm::event::{KeyCode, KeyEvent, KeyEventKind, KeyModifiers};
use serde_json::Value;

use super::fleets;
use crate::cli::metrics::Window;
use crate::cli::metrics::figures::text;
use crate::cli::metrics::listing::{
    ALERTS, CATEGORIES, FLEETS, LIVE, Listing, METHODS, REPLICAS, Sort, TOOLS, UPSTREAMS,
};

/// Longest filter, in letters.
const MAX_FILTER: usize = 64;
/// Rows that a page key moves by.
const PAGE: isize = 10;

/// A page of the dashboard.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Tab {
    /// Everything at a glance.
    Overview,
    /// The tools.
    Tools,
    /// The upstreams.
    Upstreams,
    /// The categories.
    Categories,
    /// The methods other than calls of tools.
    Methods,
    /// The replicas.
    Replicas,
    /// The calls under way.
    Calls,
    /// The open alerts.
    Alerts,
    /// The tasks of fleets; where there is no fleet there is no such page.
    Fleets,
}

impl Tab {
    /// In the order of their keys, 1 to 9.
    pub(super) const ALL: [Self; 9] = [
        Self::Overview,
        Self::Tools,
        Self::Upstreams,
        Self::Categories,
        Self::Methods,
        Self::Replicas,
        Self::Calls,
        Self::Alerts,
        Self::Fleets,
    ];

    /// Its name.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Overview => "Overview",
            Self::Tools => "Tools",
            Self::Upstreams => "Upstreams",
            Self::Categories => "Categories",
            Self::Methods => "Methods",
            Self::Replicas => "Replicas",
            Self::Calls => "Calls",
            Self::Alerts => "Alerts",
            Self::Fleets => "Fleets",
        }
    }

    /// The list that it shows; the overview shows the tools.
    pub(super) fn listing(self) -> &'static Listing {
        match self {
            Self::Overview | Self::Tools => &TOOLS,
            Self::Upstreams => &UPSTREAMS,
            Self::Categories => &CATEGORIES,
            Self::Methods => &METHODS,
            Self::Replicas => &REPLICAS,
            Self::Calls => &LIVE,
            Self::Alerts => &ALERTS,
            Self::Fleets => &FLEETS,
        }
    }

    /// The pages that there are.
    pub(super) fn of(document: &Value) -> &'static [Self] {
        if fleets::are_there(document) { &Self::ALL } else { &Self::ALL[..Self::Fleets as usize] }
    }

    fn next(self, document: &Value) -> Self {
        let all = Self::of(document);
        all[(self as usize + 1) % all.len()]
    }

    fn previous(self, document: &Value) -> Self {
        let all = Self::of(document);
        all[(self as usize).min(all.len()).checked_sub(1).unwrap_or(all.len() - 1)]
    }
}

/// Something that the server is asked to do, once a person has said yes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Action {
    /// End this call.
    Cancel(String),
    /// End this task of a fleet.
    End(String),
    /// Take note of this alert.
    Acknowledge(String),
}

/// What the keys mean at the moment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Mode {
    /// They move and choose.
    Normal,
    /// They write the filter.
    Filter,
    /// The list of keys is shown.
    Help,
    /// They say yes or no: the question, and what is done after yes.
    Confirm(String, Action),
}

/// What a key asks of the loop around.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Effect {
    /// Nothing but to draw.
    None,
    /// End the dashboard.
    Quit,
    /// Stop the process, as Ctrl-Z does elsewhere.
    Suspend,
    /// Ask the server anew, at once.
    Refresh,
    /// Draw the whole screen anew: something else has written on it.
    Repaint,
    /// Ask the server to do this.
    Do(Action),
}

/// What is looked at.
#[derive(Debug, Clone)]
pub(super) struct View {
    /// The page.
    pub(super) tab: Tab,
    /// What comes first in the lists of calls.
    pub(super) sort: Sort,
    /// What the rows of the lists must hold.
    pub(super) filter: String,
    /// The time that the figures are of.
    pub(super) window: Window,
    /// Whether the figures stand still.
    pub(super) paused: bool,
    /// What the keys mean.
    pub(super) mode: Mode,
    /// What became of the last action.
    pub(super) message: Option<String>,
    /// The row that is chosen on each page.
    chosen: [Choice; Tab::ALL.len()],
}

/// A row that stays chosen while the rows around it change.
#[derive(Debug, Clone, Default)]
struct Choice {
    key: Option<String>,
    /// Where it was; when it is gone, the row that is there now is chosen.
    at: usize,
}

impl View {
    /// The overview.
    pub(super) fn new(window: Window, sort: Sort) -> Self {
        Self {
            tab: Tab::Overview,
            sort,
            filter: String::new(),
            window,
            paused: false,
            mode: Mode::Normal,
            message: None,
            chosen: Default::default(),
        }
    }

    /// The rows of this page.
    pub(super) fn rows<'a>(&self, document: &'a Value) -> Vec<&'a Value> {
        self.tab.listing().rows(document, self.sort, &self.filter)
    }

    /// Which of these rows is chosen, if there are any.
    pub(super) fn chosen(&self, rows: &[&Value]) -> Option<usize> {
        let choice = &self.chosen[self.tab as usize];
        let key = self.tab.listing().key;
        let kept = choice.key.as_ref().and_then(|chosen| rows.iter().position(|row| key(row) == *chosen));
        kept.or_else(|| Some(choice.at.min(rows.len().checked_sub(1)?)))
    }

    /// The task of a fleet whose output is wanted: the chosen one, while that page is looked at.
    pub(super) fn task(&self, document: &Value) -> Option<String> {
        let rows = (self.tab == Tab::Fleets).then(|| self.rows(document))?;
        let row = rows[self.chosen(&rows)?];
        row["task_id"].as_str().map(str::to_owned)
    }

    /// What a key does.
    pub(super) fn key(&mut self, key: KeyEvent, document: &Value) -> Effect {
        if key.kind == KeyEventKind::Release {
            return Effect::None;
        }
        if key.modifiers.contains(KeyModifiers::CONTROL) {
            return match key.code {
                KeyCode::Char('c' | 'd') => Effect::Quit,
                KeyCode::Char('z') => Effect::Suspend,
                KeyCode::Char('l') => Effect::Repaint,
                _ => Effect::None,
            };
        }
        match std::mem::replace(&mut self.mode, Mode::Normal) {
            Mode::Normal => self.normal(key.code, document),
            Mode::Filter => self.filtering(key.code),
            // Any key closes it.
            Mode::Help => Effect::None,
            Mode::Confirm(_, action) if matches!(key.code, KeyCode::Char('y' | 'Y')) => Effect::Do(action),
            Mode::Confirm(..) if matches!(key.code, KeyCode::Char('n' | 'N') | KeyCode::Esc) => Effect::None,
            // A key that answers nothing leaves the question.
            question @ Mode::Confirm(..) => {
                self.mode = question;
                Effect::None
            }
        }
    }

    fn normal(&mut self, code: KeyCode, document: &Value) -> Effect {
        self.message = None;
        match code {
            KeyCode::Esc if !self.filter.is_empty() => self.filter.clear(),
            KeyCode::Char('q') | KeyCode::Esc => return Effect::Quit,
            KeyCode::Tab | KeyCode::Right | KeyCode::Char('l') => self.tab = self.tab.next(document),
            KeyCode::BackTab | KeyCode::Left | KeyCode::Char('h') => self.tab = self.tab.previous(document),
            KeyCode::Char(digit @ '1'..='9') => {
                let at = digit.to_digit(10).map_or(0, |digit| digit as usize - 1);
                match Tab::of(document).get(at) {
                    Some(tab) => self.tab = *tab,
                    None => self.message = Some("there is no fleet".into()),
                }
            }
            KeyCode::Up | KeyCode::Char('k') => self.go(document, -1),
            KeyCode::Down | KeyCode::Char('j') => self.go(document, 1),
            KeyCode::PageUp => self.go(document, -PAGE),
            KeyCode::PageDown => self.go(document, PAGE),
            KeyCode::Home => self.go(document, isize::MIN),
            KeyCode::End => self.go(document, isize::MAX),
            KeyCode::Char('s') => self.sort = self.sort.next(),
            KeyCode::Char('/') => self.mode = Mode::Filter,
            KeyCode::Char('?') => self.mode = Mode::Help,
            KeyCode::Char('w') => {
                self.window = self.window.next();
                return Effect::Refresh;
            }
            KeyCode::Char('p') => {
                self.paused = !self.paused;
                return Effect::Refresh;
            }
            KeyCode::Char('c') if self.tab == Tab::Calls => {
                self.ask(document, "cancel the call", Action::Cancel);
            }
            KeyCode::Char('c') if self.tab == Tab::Fleets => {
                self.ask(document, "cancel the task", Action::End);
            }
            KeyCode::Char('a') if self.tab == Tab::Alerts => {
                self.ask(document, "acknowledge the alert", Action::Acknowledge);
            }
            KeyCode::Char('c') => self.message = Some("calls are cancelled on the page Calls (7)".into()),
            KeyCode::Char('a') => {
                self.message = Some("alerts are acknowledged on the page Alerts (8)".into());
            }
            _ => {}
        }
        Effect::None
    }

    fn filtering(&mut self, code: KeyCode) -> Effect {
        match code {
            KeyCode::Enter => return Effect::None,
            KeyCode::Esc => {
                self.filter.clear();
                return Effect::None;
            }
            KeyCode::Backspace => drop(self.filter.pop()),
            KeyCode::Char(letter) if self.filter.chars().count() < MAX_FILTER => self.filter.push(letter),
            _ => {}
        }
        self.mode = Mode::Filter;
        Effect::None
    }

    fn go(&mut self, document: &Value, by: isize) {
        let rows = self.rows(document);
        let Some(at) = self.chosen(&rows) else { return };
        let at = at.saturating_add_signed(by).min(rows.len() - 1);
        let key = Some((self.tab.listing().key)(rows[at]));
        self.chosen[self.tab as usize] = Choice { key, at };
    }

    /// Asks whether this is to be done to the chosen row.
    fn ask(&mut self, document: &Value, what: &str, action: fn(String) -> Action) {
        let rows = self.rows(document);
        let Some(row) = self.chosen(&rows).map(|at| rows[at]) else {
            self.message = Some("there is none".into());
            return;
        };
        // The server must be told the name as it is, not as it is shown.
        let member = match self.tab {
            Tab::Calls => "call",
            Tab::Fleets => "task_id",
            _ => "name",
        };
        let Some(id) = row[member].as_str() else { return };
        let about =
            if row["tool"].is_string() { format!(" of {}", text(&row["tool"])) } else { String::new() };
        // A task is known by its key; its id is long and says nothing.
        let shown = if self.tab == Tab::Fleets { &row["key"] } else { &row[member] };
        self.mode = Mode::Confirm(format!("{what} {}{about}?", text(shown)), action(id.to_owned()));
        self.go(document, 0);
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn view() -> View {
        View::new(Window::Minute, Sort::Used)
    }

    fn press(view: &mut View, document: &Value, keys: &str) -> Effect {
        let mut effect = Effect::None;
        for letter in keys.chars() {
            let code = match letter {
                '⏎' => KeyCode::Enter,
                '⌫' => KeyCode::Backspace,
                '⎋' => KeyCode::Esc,
                '⇥' => KeyCode::Tab,
                '⇤' => KeyCode::BackTab,
                '↓' => KeyCode::Down,
                '↑' => KeyCode::Up,
                '⇟' => KeyCode::PageDown,
                '⇱' => KeyCode::Home,
                '⇲' => KeyCode::End,
                other => KeyCode::Char(other),
            };
            effect = view.key(code.into(), document);
        }
        effect
    }

    fn tools(names: &[&str]) -> Value {
        let tools: Vec<Value> = names.iter().map(|name| json!({ "name": name })).collect();
        json!({ "tools": tools })
    }

    #[test]
    fn pages_go_round_and_have_digits() {
        let mut view = view();
        let fleets = json!({ "fleets": [{ "name": "default" }] });
        for (document, last) in [(Value::Null, Tab::Alerts), (fleets, Tab::Fleets)] {
            let tabs = &Tab::ALL[..=last as usize];
            for tab in tabs.iter().skip(1).chain([&Tab::Overview]) {
                press(&mut view, &document, "⇥");
                assert_eq!(view.tab, *tab);
            }
            press(&mut view, &document, "⇤");
            assert_eq!(view.tab, last);
            for (at, tab) in tabs.iter().enumerate() {
                press(&mut view, &document, &(at + 1).to_string());
                assert_eq!(view.tab, *tab);
            }
            press(&mut view, &document, "1");
        }
        // A page that is gone is left as the last one is.
        view.tab = Tab::Fleets;
        press(&mut view, &Value::Null, "⇥");
        assert_eq!(view.tab, Tab::Tools);
    }

    #[test]
    fn it_is_left_by_q_escape_and_control_c() {
        for keys in ["q", "⎋"] {
            assert_eq!(press(&mut view(), &Value::Null, keys), Effect::Quit, "{keys}");
        }
        let end = KeyEvent::new(KeyCode::Char('c'), KeyModifiers::CONTROL);
        for mode in ["", "/", "?"] {
            let mut view = view();
            press(&mut view, &Value::Null, mode);
            assert_eq!(view.key(end, &Value::Null), Effect::Quit, "{mode}");
        }
    }

    #[test]
    fn escape_first_leaves_what_was_entered_last() {
        let mut view = view();
        let document = tools(&["a"]);
        assert_eq!(press(&mut view, &document, "/qx⏎"), Effect::None);
        assert_eq!((view.filter.as_str(), &view.mode), ("qx", &Mode::Normal));
        assert_eq!(press(&mut view, &document, "⎋"), Effect::None);
        assert_eq!(view.filter, "");
        assert_eq!(press(&mut view, &document, "?⎋"), Effect::None);
        assert_eq!(view.mode, Mode::Normal);
        assert_eq!(press(&mut view, &document, "/abc⌫"), Effect::None);
        assert_eq!((view.filter.as_str(), &view.mode), ("ab", &Mode::Filter));
        press(&mut view, &document, &"x".repeat(1000));
        assert_eq!(view.filter.len(), MAX_FILTER);
        press(&mut view, &document, "⎋");
        assert_eq!((view.filter.as_str(), &view.mode), ("", &Mode::Normal));
    }

    #[test]
    fn a_chosen_row_stays_chosen_while_others_come_and_go() {
        let mut view = view();
        press(&mut view, &tools(&["a", "b", "c"]), "2↓");
        let chosen = |view: &View, document: &Value| {
            let rows = view.rows(document);
            view.chosen(&rows).map(|at| text(&rows[at]["name"]))
        };
        assert_eq!(chosen(&view, &tools(&["0", "a", "b"])), Some("b".into()));
        assert_eq!(chosen(&view, &tools(&["a", "c"])), Some("c".into()), "the one in its place");
        assert_eq!(chosen(&view, &tools(&["a"])), Some("a".into()));
        assert_eq!(chosen(&view, &tools(&[])), None);
        press(&mut view, &tools(&[]), "↓↑⇟⇱⇲");
        let many = tools(&["a", "b", "c"]);
        for (key, name) in [("⇲", "c"), ("↓", "c"), ("↑", "b"), ("⇱", "a"), ("↑", "a"), ("⇟", "c")]
        {
            press(&mut view, &many, key);
            assert_eq!(chosen(&view, &many), Some(name.into()), "{key}");
        }
    }

    #[test]
    fn nothing_is_done_to_the_server_without_a_yes() {
        let document = json!({ "calls": [{ "call": "c-1" }, { "call": "c-2\u{1b}", "tool": "x\ny" }],
                               "alerts": [{ "name": "errors" }] });
        let mut view = view();
        assert_eq!(press(&mut view, &document, "7↓c"), Effect::None);
        let Mode::Confirm(question, _) = view.mode.clone() else { panic!("no question") };
        assert_eq!(question, "cancel the call c-2\u{fffd} of x y?");
        for no in ["n", "⎋"] {
            assert_eq!(press(&mut view.clone(), &document, no), Effect::None);
        }
        assert_eq!(press(&mut view, &document, "xq⏎"), Effect::None, "a question stays until it is answered");
        assert_eq!(press(&mut view, &document, "y"), Effect::Do(Action::Cancel("c-2\u{1b}".into())));
        assert_eq!(press(&mut view, &document, "8ay"), Effect::Do(Action::Acknowledge("errors".into())));
        assert_eq!(press(&mut view, &json!({}), "ay"), Effect::None, "there is no alert");
        assert_eq!(press(&mut view, &document, "1cy"), Effect::None, "no call is chosen on the overview");
    }

    #[test]
    fn a_question_is_about_the_row_that_was_chosen_when_it_was_asked() {
        let mut view = view();
        press(&mut view, &json!({ "calls": [{ "call": "c-1" }] }), "7c");
        assert_eq!(
            press(&mut view, &json!({ "calls": [{ "call": "c-9" }] }), "y"),
            Effect::Do(Action::Cancel("c-1".into()))
        );
    }

    #[test]
    fn window_order_and_pause_have_a_key_each() {
        let mut view = view();
        assert_eq!(press(&mut view, &Value::Null, "w"), Effect::Refresh);
        assert_eq!(view.window, Window::FiveMinutes);
        assert_eq!(press(&mut view, &Value::Null, "s"), Effect::None);
        assert_eq!(view.sort, Sort::Slow);
        assert_eq!(press(&mut view, &Value::Null, "p"), Effect::Refresh);
        assert!(view.paused);
        press(&mut view, &Value::Null, "p");
        assert!(!view.paused);
    }
}
