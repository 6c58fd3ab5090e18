//! `[store]`: durable state.

use std::path::PathBuf;

use aqe_store::Durability;

use super::keys::{Choice, SectionKeys, Text};
use super::paths;
use super::section::Section;

/// `[store]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Store {
    /// The SQLite file; its folder may have to be created.
    pub path: PathBuf,
    /// Whether the user chose the path; the default one is a convenience that the gateway can do without.
    pub is_chosen: bool,
    /// What an answered memory write survives.
    pub durability: Durability,
}

static PATH: Text = Text {
    name: "path",
    kind: "a path",
    absent: "`$XDG_DATA_HOME/aqe-v3/aqe.db`",
    meaning: "The SQLite file. Without `XDG_DATA_HOME` the default is below `~/.local/share`.",
};

static DURABILITY: Choice<Durability> = Choice {
    name: "durability",
    options: &[("normal", Durability::Normal), ("full", Durability::Full)],
    meaning: "What a memory entry survives once its writing was answered. `normal`: the death of the server at any \
              moment; a power failure can take the last ones. `full`: a power failure, too; each write waits for the \
              disk. Tasks and what was learnt are always written as with `full`.",
};

pub(super) static KEYS: SectionKeys =
    SectionKeys { path: "store", repeated: false, meaning: "Durable state.", keys: &[&PATH, &DURABILITY] };

impl Store {
    pub(super) fn read(section: &Section<'_, '_>) -> Self {
        let cx = &section.cx;
        let path = match section.expanded(&PATH) {
            Some(spot) => paths::resolve(cx, PATH.name, spot.value.value(), &spot.at),
            None => match (section.key_at(PATH.name), cx.env.data_dir()) {
                // Present but unusable: reported already.
                (Some(_), _) => None,
                (None, Some(folder)) => Some(folder.join("aqe.db")),
                (None, None) => {
                    let message = "cannot tell where the user's data lives: set \"path\" in [store], or the \
                                   environment variable HOME";
                    cx.sink
                        .fault(super::place::Place::whole(std::sync::Arc::clone(cx.source)), message.into());
                    None
                }
            },
        };
        Self {
            path: path.unwrap_or_default(),
            is_chosen: section.key_at(PATH.name).is_some(),
            durability: section.choice(&DURABILITY),
        }
    }
}
