use proptest::prelude::*;

use super::super::Scanner;
use super::*;

fn whole(text: &[u8], max_depth: u16) -> bool {
    let scan = || {
        let mut scanner = Scanner::new(text, max_depth)?;
        scanner.value()?;
        scanner.end()
    };
    scan().is_ok()
}

/// Reads a text that is cut at `cuts`.
fn pieces(text: &[u8], cuts: &[usize], max_depth: u16) -> Result<()> {
    let mut cuts: Vec<usize> = cuts.iter().map(|cut| cut.min(&text.len()).to_owned()).collect();
    cuts.extend([0, text.len()]);
    cuts.sort_unstable();
    let mut scanner = PushScanner::new(max_depth);
    for pair in cuts.windows(2) {
        scanner.push(&text[pair[0]..pair[1]])?;
    }
    scanner.finish()
}

#[test]
fn every_cut_of_a_text_with_all_kinds_of_tokens_reads_the_same() {
    let text =
        "{\"a\\u00e9\\\"\" : [ -0, 1.5e+30 ,0.1E-2,true,false , null,\"é€😀\\n\"],\"\":{ },\"b\":[]}\r\n";
    for first in 0..=text.len() {
        for second in first..=text.len() {
            assert!(pieces(text.as_bytes(), &[first, second], 128).is_ok(), "{first} {second}");
        }
    }
    // No part of it is JSON by itself, up to the line break behind it.
    for end in 0..text.len() - 2 {
        assert!(pieces(&text.as_bytes()[..end], &[end / 2], 128).is_err(), "{end}");
    }
}

#[test]
fn nesting_has_the_same_limit_and_memory_does_not_grow_with_it() {
    let nested = |n: usize| [vec![b'['; n], vec![b']'; n]].concat();
    for (limit, depth) in [(0, 0), (1, 1), (64, 64), (65, 65), (128, 128), (u16::MAX, 1_024)] {
        assert!(depth == 0 || pieces(&nested(depth), &[depth], limit).is_ok());
        assert_eq!(pieces(&nested(depth + 1), &[7], limit).unwrap_err().what, "nested too deeply");
    }
    assert!(size_of::<PushScanner>() < 256);
}

#[test]
fn members_are_told_down_to_the_depth_that_is_watched() {
    let text = br#"{"a":{"b":[1,{}],"c":2},"d":7 }"#;
    let told = |watched| {
        let mut scanner = PushScanner::new(128);
        scanner.watch(watched);
        let (mut at, mut told) = (0, Vec::new());
        scanner.begin(text).unwrap();
        while let Some(place) = scanner.next(text, &mut at).unwrap() {
            told.push((place.mark, place.depth, text.get(place.at).copied().unwrap_or(b'.') as char));
        }
        told
    };
    assert_eq!(told(0), [(Mark::Value, 0, '{'), (Mark::End, 0, '.')]);
    assert_eq!(
        told(1),
        [
            (Mark::Value, 0, '{'),
            (Mark::Key, 1, '"'),
            (Mark::KeyEnd, 1, ':'),
            (Mark::Value, 1, '{'),
            (Mark::End, 1, ','),
            (Mark::Comma, 1, ','),
            (Mark::Key, 1, '"'),
            (Mark::KeyEnd, 1, ':'),
            (Mark::Value, 1, '7'),
            (Mark::End, 1, ' '),
            (Mark::Close, 1, '}'),
        ]
    );
    let inner: Vec<_> = told(2).into_iter().filter(|(_, depth, _)| *depth == 2).collect();
    assert_eq!(inner.first(), Some(&(Mark::Key, 2, '"')));
    assert_eq!(inner.last(), Some(&(Mark::Close, 2, '}')));
    assert_eq!(inner.len(), 10);
}

fn json() -> impl Strategy<Value = Vec<u8>> {
    let leaf = prop_oneof![
        "-?(0|[1-9][0-9]{0,3})(\\.[0-9]{1,2})?([eE][+-]?[0-9]{1,2})?".prop_map(String::into_bytes),
        any::<String>().prop_map(|text| serde_json::to_vec(&text).unwrap()),
        Just(b"true".to_vec()),
        Just(b"\"\\ud800\\/\"".to_vec()),
    ];
    leaf.prop_recursive(6, 40, 4, |inner| {
        let space = "[ \n\t\r]{0,2}";
        prop_oneof![
            (prop::collection::vec(inner.clone(), 0..4), space).prop_map(|(items, space)| [
                b"[",
                &items.join(format!("{space},").as_bytes())[..],
                b"]"
            ]
            .concat()),
            prop::collection::vec((any::<String>(), inner), 0..4).prop_map(|members| {
                let members: Vec<Vec<u8>> = members
                    .into_iter()
                    .map(|(key, value)| [serde_json::to_vec(&key).unwrap(), b": ".to_vec(), value].concat())
                    .collect();
                [b"{ ", &members.join(&b","[..])[..], b"}"].concat()
            }),
        ]
    })
}

proptest! {
    #[test]
    fn agrees_with_the_whole_scan_on_arbitrary_text(
        text in r#"[\[\]{}",:0-9a-zé€\\\-+.eE \n]{0,40}"#,
        cuts in prop::collection::vec(0..80_usize, 0..6),
    ) {
        prop_assert_eq!(pieces(text.as_bytes(), &cuts, 128).is_ok(), whole(text.as_bytes(), 128));
    }

    #[test]
    fn agrees_with_the_whole_scan_on_arbitrary_bytes(
        text in prop::collection::vec(any::<u8>(), 0..60),
        cuts in prop::collection::vec(0..60_usize, 0..6),
    ) {
        prop_assert_eq!(pieces(&text, &cuts, 128).is_ok(), whole(&text, 128));
    }

    #[test]
    fn agrees_with_the_whole_scan_on_json_and_on_json_with_a_fault(
        mut text in json(),
        cuts in prop::collection::vec(0..400_usize, 0..8),
        fault in prop::option::of((any::<prop::sample::Index>(), any::<u8>())),
        max_depth in 0..9_u16,
    ) {
        prop_assert!(pieces(&text, &cuts, 128).is_ok(), "{}", String::from_utf8_lossy(&text));
        prop_assert_eq!(pieces(&text, &cuts, max_depth).is_ok(), whole(&text, max_depth));
        if let Some((place, byte)) = fault {
            let place = place.index(text.len());
            text[place] = byte;
        }
        prop_assert_eq!(pieces(&text, &cuts, 128).is_ok(), whole(&text, 128));
        let single: Vec<usize> = (0..text.len()).collect();
        prop_assert_eq!(pieces(&text, &single, 128).is_ok(), whole(&text, 128));
    }
}
