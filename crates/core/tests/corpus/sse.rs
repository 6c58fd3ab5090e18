//! What holds for `SseDecoder` and `encode_event`, whatever the bytes and however they are cut.

use aqe_core::envelope::{Event, SseDecoder, SseError, encode_event};

use super::chunks::Chunks;

/// Checks every promise on one input: a byte for the bound, one for the chunks, and the stream.
pub(crate) fn check(input: &[u8]) {
    let [bound, seed, stream @ ..] = input else { return };
    let max = usize::from(*bound);
    let whole = decode(&[stream], max);
    let chunks: Vec<&[u8]> = Chunks::new(stream, *seed).collect();
    assert_eq!(decode(&chunks, max), whole);
    let single: Vec<&[u8]> = stream.chunks(1).collect();
    assert_eq!(decode(&single, max), whole);

    // What was decoded before a fault is right, and without a fault it is all.
    let expected = reference(stream);
    let (events, fault) = whole;
    assert_eq!(events, expected[..events.len()]);
    assert!(events.len() == expected.len() || fault.is_some());
    for event in &events {
        let text = |text: &Option<String>| text.as_ref().map_or(0, String::len);
        assert!(event.data.len() <= max);
        // Replaced bytes of invalid UTF-8 grow threefold.
        assert!(event.data.len() + text(&event.id) + text(&event.event) <= 3 * (max + 9));
    }
    assert_eq!(decode(&[stream], 3 * stream.len()), (expected, None));
    round_trip(stream);
}

fn decode(chunks: &[&[u8]], max: usize) -> (Vec<Event>, Option<SseError>) {
    let mut decoder = SseDecoder::new(max);
    let mut events = Vec::new();
    for chunk in chunks {
        decoder.buffer().extend_from_slice(chunk);
        loop {
            match decoder.next_event() {
                Ok(Some(event)) => events.push(event),
                Ok(None) => break,
                Err(fault) => return (events, Some(fault)),
            }
        }
        let held = decoder.buffer().len();
        assert!(held <= max + 9, "{held} bytes held at a bound of {max}");
    }
    (events, None)
}

/// WHATWG HTML 9.2.6 line by line, but an event with any field is dispatched, not only one with data.
fn reference(stream: &[u8]) -> Vec<Event> {
    let stream = stream.strip_prefix(b"\xef\xbb\xbf").unwrap_or(stream);
    let mut lines: Vec<Vec<u8>> = vec![Vec::new()];
    let mut at = 0;
    while let Some(byte) = stream.get(at) {
        match byte {
            b'\r' | b'\n' => lines.push(Vec::new()),
            byte => lines.last_mut().expect("never empty").push(*byte),
        }
        at += if stream[at..].starts_with(b"\r\n") { 2 } else { 1 };
    }
    // The last has not ended.
    lines.pop();
    let mut events = Vec::new();
    let (mut event, mut data, mut has_field) = (Event::default(), Vec::<Vec<u8>>::new(), false);
    for line in lines {
        if line.is_empty() {
            event.data = data.join(&b'\n').into();
            if has_field {
                events.push(event);
            }
            (event, data, has_field) = (Event::default(), Vec::new(), false);
            continue;
        }
        let mut parts = line.splitn(2, |byte| *byte == b':');
        let (name, value) = (parts.next().unwrap_or_default(), parts.next().unwrap_or_default());
        let value = value.strip_prefix(b" ").unwrap_or(value);
        let text = String::from_utf8_lossy(value).into_owned();
        match name {
            b"data" => data.push(value.to_vec()),
            b"event" => event.event = Some(text),
            b"id" if !value.contains(&0) => event.id = Some(text),
            b"retry" if text.chars().all(|c| c.is_ascii_digit()) && text.parse::<u64>().is_ok() => {
                event.retry_ms = text.parse().ok();
            }
            _ => continue,
        }
        has_field = true;
    }
    events
}

fn round_trip(bytes: &[u8]) {
    let id: String = bytes.iter().map(|byte| char::from(*byte)).filter(|c| !"\r\n\0".contains(*c)).collect();
    let mut out = Vec::new();
    encode_event(&mut out, Some(&id), bytes);
    encode_event(&mut out, None, bytes);
    let (events, fault) = decode(&[&out], 4 * out.len());
    assert_eq!(fault, None);
    let data: Vec<u8> = bytes.iter().map(|byte| if *byte == b'\r' { b'\n' } else { *byte }).collect();
    let expected = |id| Event { data: data.clone().into(), id, ..Event::default() };
    assert_eq!(events, [expected(Some(id)), expected(None)]);
}
