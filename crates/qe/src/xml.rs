//! XML, as far as reports need it: elements, attributes, text.
//!
//! No document type is ever fetched and none may declare entities; no entity is expanded but the five that XML itself has;
//! elements are nested a bounded depth; and a document that ends before its elements do is an error.

use std::borrow::Cow;

use quick_xml::Reader;
use quick_xml::escape::{resolve_predefined_entity, unescape};
use quick_xml::events::{BytesEnd, BytesRef, BytesStart, Event};

/// Elements within elements. Reports have a handful.
const DEPTH_MAX: usize = 200;

/// Why a text is not read on.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{what} (at byte {at})")]
pub(crate) struct XmlError {
    /// The first byte of what is wrong.
    pub(crate) at: u64,
    pub(crate) what: String,
}

impl From<XmlError> for String {
    fn from(error: XmlError) -> Self {
        error.to_string()
    }
}

/// The next thing of interest in a document.
#[derive(Debug)]
pub(crate) enum Item<'a> {
    Start(Element<'a>),
    /// Of an element that was written as an empty one, too.
    End(End<'a>),
    /// All text up to the next tag, without the white space around it; never empty.
    Text(Cow<'a, str>),
}

/// An element's start.
#[derive(Debug)]
pub(crate) struct Element<'a> {
    tag: BytesStart<'a>,
    at: u64,
    is_empty: bool,
}

/// An element's end.
#[derive(Debug)]
pub(crate) struct End<'a>(Ended<'a>);

#[derive(Debug)]
enum Ended<'a> {
    Tag(BytesEnd<'a>),
    Empty(BytesStart<'a>),
}

impl Element<'_> {
    /// Without a namespace's prefix.
    pub(crate) fn name(&self) -> &str {
        self.tag.local_name().into_inner()
    }

    /// An attribute's value. One that is not well-formed is given as it is written.
    pub(crate) fn attribute(&self, name: &str) -> Option<String> {
        let found = self.tag.attributes().with_checks(false).flatten().find(|one| one.key.0 == name)?;
        Some(plain(found.value).into_owned())
    }

    /// An attribute that is a whole number; `None` if it is none.
    pub(crate) fn number(&self, name: &str) -> Option<u64> {
        self.attribute(name)?.trim().parse().ok()
    }

    /// The values of several attributes, found in one pass.
    ///
    /// # Errors
    /// If the tag is not well-formed.
    pub(crate) fn attributes<const N: usize>(
        &self,
        names: [&str; N],
    ) -> Result<[Option<Cow<'_, str>>; N], XmlError> {
        let mut values = [const { None }; N];
        for attribute in self.tag.attributes().with_checks(false) {
            let attribute = attribute
                .map_err(|error| XmlError { at: self.at, what: format!("<{}>: {error}", self.name()) })?;
            if let Some(at) = names.iter().position(|name| *name == attribute.key.0) {
                values[at] = Some(plain(attribute.value));
            }
        }
        Ok(values)
    }

    /// Where it stands, for people.
    pub(crate) fn place(&self) -> String {
        format!("byte {}, <{}>", self.at, self.name())
    }
}

/// A value with its entities resolved; as it is written if one of them is unknown.
fn plain(written: Cow<'_, str>) -> Cow<'_, str> {
    if !written.contains('&') {
        return written;
    }
    match unescape(&written) {
        Ok(plain) => Cow::Owned(plain.into_owned()),
        Err(_) => written,
    }
}

impl End<'_> {
    /// The element's, without a namespace's prefix.
    pub(crate) fn name(&self) -> &str {
        match &self.0 {
            Ended::Tag(tag) => tag.local_name().into_inner(),
            Ended::Empty(tag) => tag.local_name().into_inner(),
        }
    }
}

/// Reads a document from its start to its end.
#[derive(Debug)]
pub(crate) struct Xml<'a> {
    reader: Reader<&'a [u8]>,
    depth: usize,
    has_root: bool,
    /// The text since the last tag.
    text: Option<Cow<'a, str>>,
    /// A tag that was read and is still to be told: after the text before it, or as the end of an empty element.
    waiting: Option<Item<'a>>,
}

impl<'a> Xml<'a> {
    pub(crate) fn new(text: &'a str) -> Self {
        let text = text.trim_start_matches('\u{feff}');
        Self { reader: Reader::from_str(text), depth: 0, has_root: false, text: None, waiting: None }
    }

    /// How many elements are open.
    pub(crate) fn depth(&self) -> usize {
        self.depth
    }

    /// The next item; `None` at the end of a whole document.
    ///
    /// # Errors
    /// If this is no XML, is not whole, declares entities, or is nested beyond reason.
    pub(crate) fn next(&mut self) -> Result<Option<Item<'a>>, XmlError> {
        if let Some(item) = self.waiting.take() {
            return self.tell(item).map(Some);
        }
        loop {
            let at = self.reader.buffer_position();
            let event = self
                .reader
                .read_event()
                .map_err(|error| XmlError { at, what: format!("no XML: {error}") })?;
            let item = match event {
                Event::Start(tag) => Item::Start(Element { tag, at, is_empty: false }),
                Event::Empty(tag) => Item::Start(Element { tag, at, is_empty: true }),
                Event::End(tag) => Item::End(End(Ended::Tag(tag))),
                Event::Text(text) => {
                    self.say(text.into_inner());
                    continue;
                }
                Event::CData(text) => {
                    self.say(text.into_inner());
                    continue;
                }
                Event::GeneralRef(entity) => {
                    self.say(resolved(&entity));
                    continue;
                }
                // Entities are how a short text becomes a long one, or someone else's file.
                Event::DocType(declared) if declared.contains("<!ENTITY") => {
                    return Err(XmlError { at, what: "it declares entities, which no report needs".into() });
                }
                Event::DocType(_) | Event::Comment(_) | Event::Decl(_) | Event::PI(_) => continue,
                Event::Eof => return self.end(at),
            };
            if let Some(text) = self.text.take().and_then(trimmed) {
                self.waiting = Some(item);
                return Ok(Some(Item::Text(text)));
            }
            return self.tell(item).map(Some);
        }
    }

    fn tell(&mut self, item: Item<'a>) -> Result<Item<'a>, XmlError> {
        match &item {
            Item::Start(element) => {
                self.depth += 1;
                self.has_root = true;
                if self.depth > DEPTH_MAX {
                    return Err(XmlError { at: element.at, what: "elements are nested too deep".into() });
                }
                if element.is_empty {
                    self.waiting = Some(Item::End(End(Ended::Empty(element.tag.clone()))));
                }
            }
            // The reader has compared the names: there is no end without a start.
            Item::End(_) => self.depth = self.depth.saturating_sub(1),
            Item::Text(_) => {}
        }
        Ok(item)
    }

    fn end(&self, at: u64) -> Result<Option<Item<'a>>, XmlError> {
        let what = match (self.depth, self.has_root) {
            (0, true) => return Ok(None),
            (0, false) => "it is empty",
            _ => "it ends before its elements do",
        };
        Err(XmlError { at, what: what.into() })
    }

    fn say(&mut self, more: Cow<'a, str>) {
        self.text = Some(match self.text.take() {
            Some(text) => Cow::Owned(text.into_owned() + &more),
            None => more,
        });
    }
}

/// A character or one of XML's own five entities; any other as it is written.
fn resolved<'a>(entity: &BytesRef<'_>) -> Cow<'a, str> {
    let character = entity.resolve_char_ref().ok().flatten().map(|one| Cow::Owned(one.to_string()));
    let known = || resolve_predefined_entity(entity).map(Cow::Borrowed);
    character.or_else(known).unwrap_or_else(|| Cow::Owned(format!("&{};", &**entity)))
}

/// Without the white space around it; `None` if that is all.
fn trimmed(text: Cow<'_, str>) -> Option<Cow<'_, str>> {
    let text = match text {
        Cow::Borrowed(text) => Cow::Borrowed(text.trim()),
        Cow::Owned(text) => Cow::Owned(text.trim().to_owned()),
    };
    (!text.is_empty()).then_some(text)
}

/// The text of a document: UTF-8, or UTF-16 with a mark, as .NET's tools write. What is neither is read as far as it goes.
pub(crate) fn text(bytes: &[u8]) -> Cow<'_, str> {
    let wide = |from: fn([u8; 2]) -> u16| {
        let units = bytes[2..].chunks_exact(2).map(move |pair| from([pair[0], pair[1]]));
        Cow::Owned(char::decode_utf16(units).map(|one| one.unwrap_or(char::REPLACEMENT_CHARACTER)).collect())
    };
    match bytes {
        [0xff, 0xfe, ..] => wide(u16::from_le_bytes),
        [0xfe, 0xff, ..] => wide(u16::from_be_bytes),
        [0xef, 0xbb, 0xbf, rest @ ..] => String::from_utf8_lossy(rest),
        _ => String::from_utf8_lossy(bytes),
    }
}

/// Whether a text is marked as UTF-16.
pub(crate) fn is_wide(bytes: &[u8]) -> bool {
    bytes.starts_with(&[0xff, 0xfe]) || bytes.starts_with(&[0xfe, 0xff])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<String, XmlError> {
        let mut xml = Xml::new(text);
        let mut shown = String::new();
        while let Some(item) = xml.next()? {
            match item {
                Item::Start(element) => {
                    let [a] = element.attributes(["a"])?;
                    assert_eq!(a.as_deref(), element.attribute("a").as_deref());
                    shown.extend(["<", element.name(), " ", &a.unwrap_or_default(), ">"]);
                }
                Item::End(end) => shown.extend(["</", end.name(), ">"]),
                Item::Text(text) => shown.extend(["[", &text, "]"]),
            }
        }
        assert_eq!(xml.depth(), 0);
        Ok(shown)
    }

    #[test]
    fn elements_attributes_and_text_arrive() {
        let text = "\u{feff}<?xml version=\"1.0\"?><!DOCTYPE r SYSTEM \"http://127.0.0.1:1/r.dtd\">\n<r a='1 &lt;&#10;'> <x:e/>t <!-- -->&lt; <![CDATA[<c> &amp;]]>\n</r>";
        assert_eq!(read(text).unwrap(), "<r 1 <\n><e ></e>[t < <c> &amp;]</r>");
    }

    #[test]
    fn what_is_not_whole_or_declares_entities_is_refused() {
        for (bad, words) in [
            ("", "empty"),
            ("<!-- a -->", "empty"),
            ("<a><b></b>", "ends before its elements do (at byte 10)"),
            ("<a", "no XML"),
            ("<a></b>", "no XML"),
            ("</a>", "no XML"),
            ("<!DOCTYPE a [<!ENTITY lol \"lol\"><!ENTITY l2 \"&lol;&lol;\">]><a>&l2;</a>", "entities"),
            ("<!DOCTYPE a [<!ENTITY x SYSTEM \"file:///etc/passwd\">]><a>&x;</a>", "entities"),
            ("<!DOCTYPE a [<!ENTITY % p SYSTEM \"http://127.0.0.1:1/p\"> %p;]><a/>", "entities"),
            (&"<a>".repeat(300), "too deep"),
        ] {
            let error = read(bad).unwrap_err().to_string();
            assert!(error.contains(words), "{bad}: {error}");
        }
        let unknown = "<a a='&unknown;&amp;'>&unknown;&gt;</a>";
        assert_eq!(read(unknown).unwrap(), "<a &unknown;&amp;>[&unknown;>]</a>", "as it is written");
    }

    #[test]
    fn text_is_read_in_the_encodings_that_tools_write() {
        let wide: Vec<u8> =
            [0xff, 0xfe].into_iter().chain("é".encode_utf16().flat_map(u16::to_le_bytes)).collect();
        assert_eq!(text(&wide), "é");
        assert_eq!(text(b"\xef\xbb\xbf<a/>"), "<a/>");
        assert_eq!(text(b"a\xff"), "a\u{fffd}");
    }
}
