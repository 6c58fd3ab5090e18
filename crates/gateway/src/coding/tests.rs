use std::io::Read as _;
use std::time::Duration;

use bytes::Bytes;
use proptest::prelude::*;
use serde_json::Value;

use super::stem::Stem;
use super::*;

/// Reads exactly one member, frame or stream, to whose end the bytes must reach.
fn decode(coding: Coding, mut packed: &[u8]) -> Vec<u8> {
    let mut text = Vec::new();
    let read = match coding {
        Coding::Zstd => {
            let decoder = zstd::stream::read::Decoder::with_buffer(&mut packed);
            decoder.and_then(|decoder| decoder.single_frame().read_to_end(&mut text))
        }
        Coding::Gzip => flate2::bufread::GzDecoder::new(&mut packed).read_to_end(&mut text),
        Coding::Brotli => brotli::Decompressor::new(&mut packed, 1).read_to_end(&mut text),
    };
    assert!(read.is_ok(), "{coding:?}: {read:?}");
    assert!(packed.is_empty(), "{coding:?}: {} bytes are left", packed.len());
    text
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]
    #[test]
    fn a_beginning_that_was_coded_once_and_any_end_are_one_text(
        text in prop::collection::vec(prop::sample::select(b"{}\"abc:,0".to_vec()), 0..5_000),
        repeated in 1..60_usize,
        ends in prop::collection::vec(prop::collection::vec(any::<u8>(), 1..300), 1..4),
        at in 0..3_usize,
        hard in any::<bool>(),
    ) {
        let coding = Coding::ALL[at];
        let text = text.repeat(repeated);
        // The slowest compressor of all need not prove itself here.
        let effort = if hard && coding != Coding::Brotli { Effort::OFTEN } else { Effort::ONCE };
        let stem = Stem::new(coding, &text, effort).unwrap();
        for end in ends {
            let packed = [stem.bytes().to_vec(), stem.end(&end).unwrap()].concat();
            prop_assert!(decode(coding, &packed) == [&text[..], &end].concat());
        }
    }
}

#[test]
fn an_end_is_as_long_as_a_block_at_most() {
    for coding in Coding::ALL {
        let stem = Stem::new(coding, b"text", Effort::OFTEN).unwrap();
        let longest = vec![b'x'; usize::from(u16::MAX)];
        let packed = [stem.bytes().to_vec(), stem.end(&longest).unwrap()].concat();
        assert!(decode(coding, &packed) == [b"text", &longest[..]].concat());
        let too_long = [&longest[..], b"x"].concat();
        assert!(stem.end(&[]).is_none() && stem.end(&too_long).is_none());
    }
}

#[tokio::test]
async fn a_list_is_coded_once_and_says_the_same_to_everybody() {
    let array = Bytes::from(format!("[{}]", [r#"{"name":"a"}"#; 100].join(",")));
    let list = List::new("tools", array.clone());
    let answers = [
        (r#"{"jsonrpc":"2.0","id":"#, "1", r#","result":{"#, "", "}}"),
        (r#"{"jsonrpc":"2.0","id":"#, r#"",\"result\":{""#, r#","result":{"#, r#""a":1,"_meta":{},"#, "}}"),
        (r#"{"jsonrpc":"2.0","id":"#, "7", r#","result":{"#, "", r#","nextCursor":"x"}}"#),
    ];
    for coding in Coding::ALL {
        let mut stems = Vec::new();
        for (open, id, result, members, after) in answers {
            let before = format!("{open}{id}{result}{members}\"tools\":");
            let at = before.len() - "\"tools\":".len() - members.len();
            let listed = Listed::new(&list, at, before.len()..before.len() + array.len());
            let whole = [before.as_bytes(), &array, after.as_bytes()].concat();
            let split = [before.into(), array.clone(), Bytes::from(after)];
            let joined = [whole.clone().into(), Bytes::new(), Bytes::new()];
            for parts in [split, joined] {
                let coded = loop {
                    match listed.encode(&parts, coding) {
                        Some(coded) => break coded,
                        None => tokio::time::sleep(Duration::from_millis(1)).await,
                    }
                };
                stems.push(coded[0].as_ptr());
                let text = decode(coding, &coded.concat());
                let json = |text: &[u8]| serde_json::from_slice::<Value>(text).unwrap();
                assert_eq!(json(&text), json(&whole));
                assert_eq!(text.len(), whole.len(), "{}", String::from_utf8_lossy(&text));
            }
        }
        assert!(stems.windows(2).all(|two| two[0] == two[1]), "each reply shares the bytes");
    }
}
