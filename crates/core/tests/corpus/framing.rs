//! What holds for `Lines`, whatever the bytes and however they are cut.

use aqe_core::envelope::{Line, Lines, recover_id};

use super::chunks::Chunks;

/// Of each end of a line beyond the limit this much is kept.
const KEPT: usize = 4 * 1024;

/// A byte of the input that stands for many, so that long lines are within a small input's reach.
const LONG: (u8, usize) = (0x01, 1_500);

/// Checks every promise on one input: a byte for the limit, one for the chunks, and the stream.
pub(crate) fn check(input: &[u8]) {
    let [limit, seed, stream @ ..] = input else { return };
    let max = usize::from(*limit) * usize::from(*limit);
    let stream = lengthen(stream);
    let expected = reference(&stream, max);
    assert_eq!(split(&[&stream], max), expected);
    let chunks: Vec<&[u8]> = Chunks::new(&stream, *seed).collect();
    assert_eq!(split(&chunks, max), expected);
    for line in &expected {
        if let Line::TooLong { head, tail, .. } = line {
            // Not even on halves of anything.
            recover_id(head, tail);
        }
    }
}

/// Puts what it stands for in the place of each [`LONG`] byte, up to 128 of them.
fn lengthen(stream: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(stream.len());
    for byte in stream {
        if *byte == LONG.0 && out.len() < 128 * LONG.1 {
            out.resize(out.len() + LONG.1, b'x');
        } else {
            out.push(*byte);
        }
    }
    out
}

fn split(chunks: &[&[u8]], max: usize) -> Vec<Line> {
    let mut lines = Lines::new(max);
    let mut out = Vec::new();
    for chunk in chunks {
        lines.buffer().extend_from_slice(chunk);
        out.extend(std::iter::from_fn(|| lines.next_line()));
        let held = lines.buffer().len();
        // A byte order mark and a carriage return do not count.
        assert!(held <= max + 4, "{held} bytes held at a limit of {max}");
    }
    out.extend(lines.finish_stream());
    assert_eq!(lines.finish_stream(), None);
    out
}

fn reference(stream: &[u8], max: usize) -> Vec<Line> {
    let bare = |line: &[u8]| {
        let line = line.strip_prefix(b"\xef\xbb\xbf").unwrap_or(line);
        line.strip_suffix(b"\r").unwrap_or(line).to_vec()
    };
    let lines = stream.split(|byte| *byte == b'\n').map(bare);
    let take = |line: Vec<u8>| {
        if line.len() > max {
            let head = line[..KEPT.min(line.len())].to_vec().into();
            let tail = line[line.len().saturating_sub(KEPT)..].to_vec().into();
            return Some(Line::TooLong { head, tail, length: line.len() as u64 });
        }
        (!line.iter().all(u8::is_ascii_whitespace)).then(|| Line::Whole(line.into()))
    };
    lines.filter_map(take).collect()
}
