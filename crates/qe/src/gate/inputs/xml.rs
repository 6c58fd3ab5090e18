//! A pull reader for reports in XML: nothing is fetched, nothing is expanded, and a report that ends early is an error.

use std::borrow::Cow;

use quick_xml::Reader;
use quick_xml::events::{BytesStart, Event};

/// Elements within elements. Reports have a handful.
const DEPTH_MAX: usize = 200;

/// The next thing of interest in a report.
#[derive(Debug)]
pub(crate) enum Item<'a> {
    /// An element begins; `End` follows, also if it was written as an empty one.
    Start(Element<'a>),
    End,
    /// Text, as it is written.
    Text(Cow<'a, str>),
}

/// An element's start.
#[derive(Debug)]
pub(crate) struct Element<'a>(BytesStart<'a>);

impl Element<'_> {
    /// Without a namespace's prefix.
    pub(crate) fn name(&self) -> &str {
        self.0.local_name().into_inner()
    }

    /// An attribute's value. One that is not well-formed is given as it is written.
    pub(crate) fn attribute(&self, name: &str) -> Option<String> {
        let found = self.0.attributes().with_checks(false).flatten().find(|one| one.key.as_ref() == name)?;
        let raw = found.value;
        Some(quick_xml::escape::unescape(&raw).map_or_else(|_| raw.to_string(), Cow::into_owned))
    }

    /// An attribute that is a whole number; `None` if it is none.
    pub(crate) fn number(&self, name: &str) -> Option<u64> {
        self.attribute(name)?.trim().parse().ok()
    }
}

/// Reads a report from its start to its end.
#[derive(Debug)]
pub(crate) struct Xml<'a> {
    reader: Reader<&'a [u8]>,
    depth: usize,
    /// An empty element's end is still to be told.
    is_ending: bool,
    has_root: bool,
}

impl<'a> Xml<'a> {
    pub(crate) fn new(text: &'a str) -> Self {
        let mut reader = Reader::from_str(text);
        reader.config_mut().trim_text(true);
        Self { reader, depth: 0, is_ending: false, has_root: false }
    }

    /// How many elements are open.
    pub(crate) fn depth(&self) -> usize {
        self.depth
    }

    /// The next item; `None` at the end of a whole document.
    ///
    /// # Errors
    /// If this is no XML, is not whole, declares entities, or is nested beyond reason.
    pub(crate) fn next(&mut self) -> Result<Option<Item<'a>>, String> {
        if std::mem::take(&mut self.is_ending) {
            self.depth -= 1;
            return Ok(Some(Item::End));
        }
        loop {
            let event = self.reader.read_event().map_err(|error| self.at(&format!("no XML: {error}")))?;
            match event {
                Event::Start(start) => return self.start(start).map(Some),
                Event::Empty(start) => {
                    self.is_ending = true;
                    return self.start(start).map(Some);
                }
                Event::End(_) => {
                    self.depth =
                        self.depth.checked_sub(1).ok_or_else(|| self.at("an end without a start"))?;
                    return Ok(Some(Item::End));
                }
                Event::Text(text) => return Ok(Some(Item::Text(text.into_inner()))),
                Event::CData(text) => return Ok(Some(Item::Text(text.into_inner()))),
                Event::DocType(declared) => {
                    // Entities are how a short text becomes a long one, or someone else's file.
                    if declared.into_inner().contains("<!ENTITY") {
                        return Err(self.at("it declares entities, which no report needs"));
                    }
                }
                Event::Eof if self.depth > 0 => return Err(self.at("it ends in the middle")),
                Event::Eof if !self.has_root => return Err("it is empty".into()),
                Event::Eof => return Ok(None),
                Event::Comment(_) | Event::Decl(_) | Event::PI(_) | Event::GeneralRef(_) => {}
            }
        }
    }

    fn start(&mut self, start: BytesStart<'a>) -> Result<Item<'a>, String> {
        self.depth += 1;
        self.has_root = true;
        if self.depth > DEPTH_MAX {
            return Err(self.at("its elements are nested too deep"));
        }
        Ok(Item::Start(Element(start)))
    }

    fn at(&self, what: &str) -> String {
        format!("{what} (at byte {})", self.reader.buffer_position())
    }
}

/// The text of a report: UTF-8, or UTF-16 with a mark, as .NET's tools write. What is neither is read as far as it goes.
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

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<String, String> {
        let mut xml = Xml::new(text);
        let mut shown = String::new();
        while let Some(item) = xml.next()? {
            match item {
                Item::Start(element) => {
                    let a = element.attribute("a").unwrap_or_default();
                    shown.extend(["<", element.name(), " ", &a, ">"]);
                }
                Item::End => shown += "</>",
                Item::Text(text) => shown += &text,
            }
        }
        assert_eq!(xml.depth(), 0);
        Ok(shown)
    }

    #[test]
    fn elements_attributes_and_text_arrive() {
        let text = "<?xml version=\"1.0\"?><!DOCTYPE r SYSTEM \"r.dtd\"><r a='1 &lt;&#10;'><x:e/>t<![CDATA[<c>]]></r>";
        assert_eq!(read(text).unwrap(), "<r 1 <\n><e ></>t<c></>");
    }

    #[test]
    fn what_is_not_whole_or_declares_entities_is_refused() {
        for (bad, words) in [
            ("", "empty"),
            ("<a><b></b>", "ends in the middle"),
            ("<a", "no XML"),
            ("<a></b>", "no XML"),
            ("</a>", "no XML"),
            ("<!DOCTYPE a [<!ENTITY lol \"lol\"><!ENTITY l2 \"&lol;&lol;\">]><a>&l2;</a>", "entities"),
            ("<!DOCTYPE a [<!ENTITY x SYSTEM \"file:///etc/passwd\">]><a>&x;</a>", "entities"),
            (&"<a>".repeat(300), "too deep"),
        ] {
            let error = read(bad).unwrap_err();
            assert!(error.contains(words), "{bad}: {error}");
        }
        assert_eq!(read("<a a='&unknown;'>&unknown;</a>").unwrap(), "<a &unknown;></>");
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
