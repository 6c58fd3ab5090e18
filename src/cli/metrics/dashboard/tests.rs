//! What the dashboard shows: cells compared, without a terminal.

use ratatui::Terminal;
use ratatui::backend::TestBackend;
use ratatui::buffer::Buffer;
use serde_json::{Value, json};

use super::*;
use crate::cli::metrics::sample;

fn shown(document: Value, history: Value) -> Shown {
    Shown { document, history, trouble: None, age: Duration::ZERO }
}

fn buffer(shown: &Shown, view: &View, (width, height): (u16, u16)) -> Buffer {
    let mut terminal = Terminal::new(TestBackend::new(width, height)).unwrap();
    let theme = Theme { colours: true };
    terminal.draw(|frame| draw::draw(frame, shown, view, theme)).unwrap();
    terminal.backend().buffer().clone()
}

/// The screen as lines without their tails.
fn screen(shown: &Shown, view: &View, size: (u16, u16)) -> String {
    let buffer = buffer(shown, view, size);
    let rows = buffer.content().chunks(usize::from(size.0));
    let row = |cells: &[ratatui::buffer::Cell]| -> String {
        cells.iter().map(ratatui::buffer::Cell::symbol).collect::<String>().trim_end().to_owned()
    };
    rows.map(row).collect::<Vec<_>>().join("\n")
}

#[test]
fn look() {
    let shown = shown(sample::document(), sample::history());
    let mut view = View::new(Window::Minute, Sort::Used);
    for size in [(80, 24), (120, 40), (40, 10)] {
        println!("{}\n{}", "=".repeat(size.0.into()), screen(&shown, &view, size));
    }
    for tab in view::Tab::ALL {
        view.tab = tab;
        println!("{}\n{}", "=".repeat(80), screen(&shown, &view, (80, 24)));
    }
    println!(
        "{}",
        crate::cli::metrics::report::report(
            &shown.document,
            crate::cli::metrics::report::Choice { sort: Sort::Used, top: 3, width: None }
        )
    );
    println!(
        "{}",
        crate::cli::metrics::report::report(
            &shown.document,
            crate::cli::metrics::report::Choice { sort: Sort::Used, top: 3, width: Some(80) }
        )
    );
}
