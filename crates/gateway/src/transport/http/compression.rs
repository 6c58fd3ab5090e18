//! Content coding of replies (RFC 9110 sections 8.4 and 12.5.3): of whole ones only, for events must leave at once.

use std::io;

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, header};

use crate::coding::{Coding, Effort};
use crate::proxy::Answer;

/// When replies are compressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Compression {
    /// For whom.
    pub when: When,
    /// Length in bytes from which a reply is compressed. Below one TCP segment no packet is saved.
    pub min_bytes: usize,
}

/// For whom replies are compressed, if they take it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum When {
    /// Everybody.
    Always,
    /// Clients on other machines: on loopback it costs more time than it saves.
    Remote,
    /// Nobody.
    Never,
}

impl Compression {
    /// What is to be done for a client.
    pub(super) fn towards(self, is_near: bool) -> Option<Self> {
        match self.when {
            When::Always => Some(self),
            When::Remote if !is_near => Some(self),
            When::Remote | When::Never => None,
        }
    }
}

/// Longer replies are compressed on a thread of their own, so that no other call waits for them.
const ASIDE_BYTES: usize = 128 * 1024;

/// The coding that a client likes best, and of those that it likes equally well the cheapest; `None` if it names none of
/// ours, or would rather have none.
fn liked(headers: &HeaderMap) -> Option<Coding> {
    let mut best: Option<(Coding, u16)> = None;
    let mut identity = 0;
    let mut ours = [None; Coding::ALL.len()];
    let mut any = None;
    let values = headers.get_all(header::ACCEPT_ENCODING).iter();
    for element in values.flat_map(|value| value.to_str().unwrap_or_default().split(',')) {
        let (name, weight) = element.split_once(';').unwrap_or((element, ""));
        let (name, Some(weight)) = (name.trim(), weight_of(weight)) else { continue };
        if name == "*" {
            any = Some(weight);
        } else if name.eq_ignore_ascii_case("identity") {
            identity = weight;
        } else if let Some(at) = Coding::ALL.iter().position(|it| name.eq_ignore_ascii_case(it.name())) {
            ours[at] = Some(weight);
        }
    }
    for (coding, weight) in Coding::ALL.into_iter().zip(ours) {
        let weight = weight.or(any).unwrap_or_default();
        if weight > best.map_or(0, |(_, best)| best) {
            best = Some((coding, weight));
        }
    }
    best.filter(|(_, weight)| *weight >= identity).map(|(coding, _)| coding)
}

/// The weight of `q=0.5` in thousandths; 1000 where there is none, `None` if it is malformed.
fn weight_of(parameter: &str) -> Option<u16> {
    let parameter = parameter.trim();
    if parameter.is_empty() {
        return Some(1000);
    }
    let (name, value) = parameter.split_once('=')?;
    let weight: f32 = value.trim().parse().ok().filter(|weight| (0.0..=1.0).contains(weight))?;
    name.trim().eq_ignore_ascii_case("q").then_some((weight * 1000.0) as u16)
}

/// What was settled for one reply.
#[derive(Debug, Clone, Copy)]
pub(super) struct Packing {
    coding: Coding,
    min_bytes: usize,
}

impl Packing {
    /// What a client takes, if replies to it are to be compressed.
    pub(super) fn settle(compression: Option<Compression>, headers: &HeaderMap) -> Option<Self> {
        let Compression { min_bytes, .. } = compression?;
        liked(headers).map(|coding| Self { coding, min_bytes })
    }

    /// The answer compressed, and the header that says how; as it is where that saves nothing.
    pub(super) async fn pack(self, answer: Answer) -> (Answer, Option<HeaderValue>) {
        if answer.len() < self.min_bytes {
            return (answer, None);
        }
        let status = answer.status;
        let name = HeaderValue::from_static(self.coding.name());
        let listed = answer.listed.as_ref().and_then(|listed| listed.encode(&answer.parts, self.coding));
        if let Some([stem, end]) = listed {
            return (Answer { status, ..Answer::of([stem, end, Bytes::new()]) }, Some(name));
        }
        let text = answer.into_bytes();
        let packed = if text.len() < ASIDE_BYTES {
            self.coding.encode(&text, Effort::ONCE)
        } else {
            let text = text.clone();
            let aside = tokio::task::spawn_blocking(move || self.coding.encode(&text, Effort::ONCE)).await;
            aside.map_err(io::Error::other).flatten()
        };
        match packed {
            Ok(packed) if packed.len() < text.len() => (Answer { status, ..Answer::ok(packed) }, Some(name)),
            // Whatever went wrong, the client is served.
            _ => (Answer { status, ..Answer::ok(text) }, None),
        }
    }
}

/// Says in a response how its body is coded, and that it depends on what the client takes.
pub(super) fn label(headers: &mut HeaderMap, coding: HeaderValue) {
    headers.insert(header::CONTENT_ENCODING, coding);
    headers.insert(header::VARY, HeaderValue::from_static("accept-encoding"));
}

#[cfg(test)]
mod tests {
    use std::io::Read as _;

    use proptest::prelude::*;

    use super::*;

    fn chosen(accept: &[&'static str]) -> Option<&'static str> {
        let mut headers = HeaderMap::new();
        for value in accept {
            headers.append(header::ACCEPT_ENCODING, HeaderValue::from_static(value));
        }
        liked(&headers).map(Coding::name)
    }

    #[test]
    fn the_coding_is_one_that_the_client_likes_best() {
        for (accept, expected) in [
            (&[][..], None),
            (&["identity"], None),
            (&["gzip, deflate, br, zstd"], Some("zstd")),
            (&["gzip, deflate, br"], Some("gzip")),
            (&["br"], Some("br")),
            (&["GZIP;q=0.5, br;Q=0.9"], Some("br")),
            (&["gzip", "zstd;q=0.1"], Some("gzip")),
            (&["*"], Some("zstd")),
            (&["zstd;q=0, *;q=0.5"], Some("gzip")),
            (&["*;q=0"], None),
            (&["gzip;q=0.5, identity"], None),
            (&["gzip;q=2"], None),
            (&["gzip;level=9"], None),
            (&["deflate, compress"], None),
            (&["gzip;q=0"], None),
        ] {
            assert_eq!(chosen(accept), expected, "{accept:?}");
        }
    }

    #[test]
    fn nobody_near_is_bothered_unless_that_is_wanted() {
        let towards = |when, is_near| Compression { when, min_bytes: 0 }.towards(is_near).is_some();
        assert_eq!((towards(When::Remote, true), towards(When::Remote, false)), (false, true));
        assert_eq!((towards(When::Always, true), towards(When::Never, false)), (true, false));
    }

    fn unpacked(coding: &str, packed: &[u8]) -> Vec<u8> {
        let mut text = Vec::new();
        match coding {
            "zstd" => text = zstd::stream::decode_all(packed).unwrap(),
            "gzip" => drop(flate2::read::GzDecoder::new(packed).read_to_end(&mut text).unwrap()),
            _ => drop(brotli::Decompressor::new(packed, 4096).read_to_end(&mut text).unwrap()),
        }
        text
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        #[test]
        fn what_was_packed_is_what_was_said(
            text in prop::collection::vec(prop::sample::select(b"{}\"abc:,0".to_vec()), 0..5_000),
            repeated in 1..60_usize,
            at in 0..3_usize,
        ) {
            let text = Bytes::from(text.repeat(repeated));
            let packing = Packing { coding: Coding::ALL[at], min_bytes: 100 };
            let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
            let (answer, coding) = runtime.block_on(packing.pack(Answer::ok(text.clone())));
            let sent = answer.into_bytes();
            let Some(coding) = coding else {
                prop_assert_eq!(sent, text);
                return Ok(());
            };
            prop_assert!(sent.len() < text.len() && text.len() >= 100);
            prop_assert_eq!(unpacked(coding.to_str().unwrap(), &sent), text);
        }
    }
}
