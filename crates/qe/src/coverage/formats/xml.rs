//! XML, as far as reports need it: elements, attributes, text. No document type is ever fetched, no entity is expanded
//! but the five that XML itself has, and elements are nested a few deep.

use std::borrow::Cow;

use quick_xml::escape::resolve_predefined_entity;
use quick_xml::events::{BytesStart, Event};
use quick_xml::{Reader, XmlVersion};

use super::{Draft, ReadError};

/// Elements within elements. Reports have eight.
const MOST_DEPTH: usize = 64;

/// What is done with a document's parts, in their order.
pub(super) trait Visit {
    fn open(&mut self, element: &Element<'_>, draft: &mut Draft<'_>) -> Result<(), ReadError>;
    fn close(&mut self, name: &str, draft: &mut Draft<'_>) -> Result<(), ReadError>;
    /// Text between elements; it may come in pieces.
    fn text(&mut self, _text: &str) {}
}

/// A start tag.
pub(super) struct Element<'a> {
    tag: BytesStart<'a>,
    /// Its first byte.
    at: u64,
}

impl Element<'_> {
    pub(super) fn name(&self) -> &str {
        self.tag.local_name().into_inner()
    }

    /// The values of these attributes.
    pub(super) fn attributes<const N: usize>(
        &self,
        names: [&str; N],
        draft: &Draft<'_>,
    ) -> Result<[Option<Cow<'_, str>>; N], ReadError> {
        let mut values = [const { None }; N];
        for attribute in self.tag.attributes().with_checks(false) {
            let attribute = attribute.map_err(|error| draft.broken(self.place(), error))?;
            if let Some(at) = names.iter().position(|name| *name == attribute.key.0) {
                let value = if attribute.value.contains('&') {
                    attribute
                        .normalized_value(XmlVersion::Implicit1_0)
                        .map_err(|error| draft.broken(self.place(), error))?
                } else {
                    attribute.value
                };
                values[at] = Some(value);
            }
        }
        Ok(values)
    }

    pub(super) fn place(&self) -> String {
        format!("byte {}, <{}>", self.at, self.name())
    }
}

/// Goes through a document. One that ends before its elements do is told as a warning: what was read is true.
pub(super) fn walk(bytes: &[u8], visit: &mut impl Visit, draft: &mut Draft<'_>) -> Result<(), ReadError> {
    let text = std::str::from_utf8(bytes)
        .map_err(|error| draft.broken(format!("byte {}", error.valid_up_to()), "the text is not UTF-8"))?;
    let mut reader = Reader::from_str(text.trim_start_matches('\u{feff}'));
    let mut open = 0_usize;
    loop {
        draft.take(1)?;
        let at = reader.buffer_position();
        let event = match reader.read_event() {
            Ok(event) => event,
            Err(error) => return Err(draft.broken(format!("byte {at}"), error)),
        };
        match event {
            Event::Start(tag) => {
                open += 1;
                if open > MOST_DEPTH {
                    return Err(draft.broken(format!("byte {at}"), "elements are nested too deep"));
                }
                visit.open(&Element { tag, at }, draft)?;
            }
            Event::Empty(tag) => {
                let element = Element { tag, at };
                visit.open(&element, draft)?;
                visit.close(element.name(), draft)?;
            }
            Event::End(tag) => {
                open = open.saturating_sub(1);
                visit.close(tag.local_name().into_inner(), draft)?;
            }
            Event::Text(text) => visit.text(&text),
            Event::CData(text) => visit.text(&text),
            Event::GeneralRef(name) => {
                let character = name.resolve_char_ref().ok().flatten().map(String::from);
                let text = character.or_else(|| resolve_predefined_entity(&name).map(str::to_owned));
                let text = text.ok_or_else(|| {
                    draft.broken(format!("byte {at}"), "an entity that is not one of XML's own five")
                })?;
                visit.text(&text);
            }
            Event::Eof if open == 0 => return Ok(()),
            Event::Eof => return Err(draft.broken(format!("byte {at}"), "it ends before its elements do")),
            _ => {}
        }
    }
}
