//! Reports in XML, shown part by part to who knows their format.

use std::borrow::Cow;

use super::{Draft, ReadError};
pub(super) use crate::xml::Element;
use crate::xml::{Item, Xml, XmlError};

/// What is done with a document's parts, in their order.
pub(super) trait Visit {
    fn open(&mut self, element: &Element<'_>, draft: &mut Draft<'_>) -> Result<(), ReadError>;
    fn close(&mut self, name: &str, draft: &mut Draft<'_>) -> Result<(), ReadError>;
    /// Text up to the next tag.
    fn text(&mut self, _text: &str) {}
}

/// The values of these attributes.
pub(super) fn attributes<'a, const N: usize>(
    element: &'a Element<'_>,
    names: [&str; N],
    draft: &Draft<'_>,
) -> Result<[Option<Cow<'a, str>>; N], ReadError> {
    element.attributes(names).map_err(|error| broken(&error, draft))
}

/// Goes through a document.
pub(super) fn walk(bytes: &[u8], visit: &mut impl Visit, draft: &mut Draft<'_>) -> Result<(), ReadError> {
    let text = std::str::from_utf8(bytes)
        .map_err(|error| draft.broken(format!("byte {}", error.valid_up_to()), "the text is not UTF-8"))?;
    let mut xml = Xml::new(text);
    while let Some(item) = xml.next().map_err(|error| broken(&error, draft))? {
        draft.take(1)?;
        match item {
            Item::Start(element) => visit.open(&element, draft)?,
            Item::End(end) => visit.close(end.name(), draft)?,
            Item::Text(text) => visit.text(&text),
        }
    }
    Ok(())
}

fn broken(error: &XmlError, draft: &Draft<'_>) -> ReadError {
    draft.broken(format!("byte {}", error.at), &error.what)
}
