use proptest::prelude::*;

use super::super::{Kind, Limits, Message, line_safe};
use super::*;

const REQUIRE: ResultType = ResultType::Require(r#""resultType":"complete""#);

fn passed(text: &[u8], cuts: &[usize], result_type: ResultType) -> Result<String, TransitError> {
    let mut cuts: Vec<usize> = cuts.iter().map(|cut| cut.min(&text.len()).to_owned()).collect();
    cuts.extend([0, text.len()]);
    cuts.sort_unstable();
    let mut transit = Transit::new(Change { from: 7, to: "\"c\"", result_type }, 128);
    let mut out = Vec::new();
    for pair in cuts.windows(2) {
        transit.push(BytesMut::from(&text[pair[0]..pair[1]]), |bytes| out.extend_from_slice(&bytes))?;
    }
    assert!(serde_json::from_slice::<serde::de::IgnoredAny>(&out).is_err(), "whole before its end");
    out.extend_from_slice(&transit.finish()?);
    Ok(String::from_utf8(out).unwrap())
}

/// What the whole message is turned into.
fn expected(text: &[u8], result_type: ResultType) -> Option<String> {
    let message = Message::parse(Bytes::copy_from_slice(text), Limits::default()).ok()?;
    if message.kind() != Kind::Response || !answers_to(message.id()?, 7) {
        return None;
    }
    let found = message.span(Field::ResultType);
    let mut edits = message.edit();
    edits.replace(message.id_span(), &b"\"c\""[..]);
    match result_type {
        ResultType::Remove if message.raw(Field::ResultType) == Some("\"input_required\"") => return None,
        ResultType::Remove if !found.is_empty() => {
            edits.remove_member(found);
        }
        ResultType::Require(members) if found.is_empty() => {
            edits.insert_members(message.body_span(), members);
        }
        _ => {}
    }
    Some(String::from_utf8(line_safe(edits.apply())).unwrap())
}

/// The members of each object by name, so that their order and white space do not count; numbers as they stand.
fn read(text: &str) -> serde_json::Value {
    serde_json::from_str(text).unwrap_or_else(|error| panic!("{error}: {text}"))
}

#[test]
fn all_but_the_id_passes_byte_for_byte_wherever_the_id_stands() {
    for (text, passed_on) in [
        (
            r#"{ "x" : 1e400 ,"id":7,"jsonrpc":"2.0", "result":{"b":[1.0,null], "a" : -0 }, "y":{} }"#,
            r#"{ "x" : 1e400 ,"id":"c","jsonrpc":"2.0", "result":{"b":[1.0,null], "a" : -0 }, "y":{} }"#,
        ),
        (
            "{\"result\":{\r\n\"a\\n\":\"é€😀\"},\n\"jsonrpc\":\"2.0\",\"i\\u0064\":7.0\n}\n",
            "{\"result\":{  \"a\\n\":\"é€😀\"}, \"jsonrpc\":\"2.0\",\"i\\u0064\":\"c\" }",
        ),
    ] {
        for cut in 0..=text.len() {
            for second in cut..=text.len() {
                let out = passed(text.as_bytes(), &[cut, second], ResultType::Keep);
                assert_eq!(out.as_deref(), Ok(passed_on), "{cut} {second}");
            }
        }
    }
}

#[test]
fn the_result_type_is_taken_out_or_added_wherever_it_stands() {
    for (result, removed, added) in [
        (r"{}", r"{}", r#"{"resultType":"complete"}"#),
        (r#"{"a":1}"#, r#"{"a":1}"#, r#"{"a":1,"resultType":"complete"}"#),
        (r#"{"resultType":"x","a":1}"#, r#"{"a":1}"#, r#"{"resultType":"x","a":1}"#),
        (r#"{"a":1 , "resultType" : "x" }"#, r#"{"a":1  }"#, r#"{"a":1 , "resultType" : "x" }"#),
        (
            r#"{"a":1,"result\u0054ype":{"b":[]},"b":2}"#,
            r#"{"a":1,"b":2}"#,
            r#"{"a":1,"result\u0054ype":{"b":[]},"b":2}"#,
        ),
        (r#"{"resultType":"x"}"#, r"{}", r#"{"resultType":"x"}"#),
        (
            r#"{"b":{"resultType":"x"}}"#,
            r#"{"b":{"resultType":"x"}}"#,
            r#"{"b":{"resultType":"x"},"resultType":"complete"}"#,
        ),
    ] {
        for cut in 0..100 {
            let whole = |result: &str, id| format!(r#"{{"id":{id},"result":{result},"jsonrpc":"2.0"}}"#);
            let pass = |kind| passed(whole(result, "7").as_bytes(), &[cut, cut + 1], kind).unwrap();
            assert_eq!(pass(ResultType::Remove), whole(removed, "\"c\""));
            assert_eq!(pass(REQUIRE), whole(added, "\"c\""));
        }
    }
}

#[test]
fn whether_the_tool_has_failed_is_told_by_the_member_of_the_result_alone() {
    for (result, is_error) in [
        (r#"{"isError":true}"#, true),
        (r#"{"content":[{"isError":true}], "is\u0045rror" : true ,"b":1}"#, true),
        (r#"{"resultType":"complete","isError":true}"#, true),
        (r#"{"isError":false}"#, false),
        (r#"{"isError":"true"}"#, false),
        (r#"{"isError":{"a":true}}"#, false),
        (r#"{"isError":null,"content":[{"isError":true}],"structuredContent":{"isError":true}}"#, false),
    ] {
        let text = format!(r#"{{"isError":true,"jsonrpc":"2.0","id":7,"result":{result}}}"#);
        for cut in 0..=text.len() {
            for result_type in [ResultType::Keep, ResultType::Remove, REQUIRE] {
                let mut transit = Transit::new(Change { from: 7, to: "1", result_type }, 128);
                for piece in [&text[..cut], &text[cut..]] {
                    transit.push(BytesMut::from(piece), drop).unwrap();
                }
                transit.finish().unwrap();
                assert_eq!(transit.is_error(), is_error, "{text} {cut}");
            }
        }
    }
}

#[test]
fn what_is_no_answer_to_the_request_is_never_passed_on_to_its_end() {
    let not = |text: &str| passed(text.as_bytes(), &[text.len() / 2], ResultType::Remove).unwrap_err();
    assert_eq!(not(r#"{"jsonrpc":"2.0","result":{},"id":8}"#), TransitError::OtherId);
    assert_eq!(not(r#"{"jsonrpc":"2.0","result":{},"id":null}"#), TransitError::OtherId);
    assert_eq!(
        not(r#"{"jsonrpc":"2.0","id":7,"result":{"a":1,"resultType":"input_required"}}"#),
        TransitError::AsksForInput
    );
    for text in [
        r#"{"jsonrpc":"2.0","result":{}}"#,
        r#"{"jsonrpc":"2.0","id":7}"#,
        r#"{"id":7,"result":{}}"#,
        r#"{"jsonrpc":"2.1","id":7,"result":{}}"#,
        r#"{"jsonrpc":"2.0","id":7,"result":[]}"#,
        r#"{"jsonrpc":"2.0","id":7,"result":{},"error":{}}"#,
        r#"{"jsonrpc":"2.0","id":7,"result":{},"method":"x"}"#,
        r#"{"jsonrpc":"2.0","id":7,"result":{},"id":7}"#,
        r#"{"jsonrpc":"2.0","id":7,"result":{},"result":{}}"#,
        r#"{"jsonrpc":"2.0","id":7,"result":{"content":[],"_meta":{},"_meta":{}}}"#,
        "[]",
    ] {
        assert!(matches!(not(text), TransitError::NotAResult(_)), "{text}");
    }
    for text in [
        r#"{"jsonrpc":"2.0","id":7,"result":{}"#,
        r#"{"jsonrpc":"2.0","id":7,"result":{}} x"#,
        r#"{"jsonrpc":"2.0","id":7,"result":{"a":"x"#,
        "{\"jsonrpc\":\"2.0\",\"id\":7,\"result\":{\"a\":\"\n\"}}",
    ] {
        assert!(matches!(not(text), TransitError::NotJson(_)), "{text}");
    }
}

#[test]
fn long_keys_and_much_white_space_take_no_memory() {
    let (key, space) = ("k".repeat(100_000), " ".repeat(100_000));
    let text =
        format!(r#"{{"{key}":1,{space}"jsonrpc":"2.0","id":{space}7,"result":{{"a":1,{space}"{key}":2}}}}"#);
    let mut transit = Transit::new(Change { from: 7, to: "1", result_type: ResultType::Remove }, 128);
    let mut out = Vec::new();
    for piece in text.as_bytes().chunks(1_000) {
        transit.push(BytesMut::from(piece), |bytes| out.extend_from_slice(&bytes)).unwrap();
        assert!(transit.held.capacity() + transit.seen.as_ref().map_or(0, Vec::capacity) < 2_048);
    }
    out.extend_from_slice(&transit.finish().unwrap());
    assert_eq!(read(std::str::from_utf8(&out).unwrap())["result"][&key], 2);
}

#[test]
fn the_beginning_tells_a_result_and_the_id_in_front_of_it() {
    let of = |text: &str| Beginning::of(text.as_bytes(), 128);
    let result = |id: Option<&str>| Beginning::Result(id.map(str::to_owned));
    assert_eq!(of(r#"{"jsonrpc":"2.0","id": "7" ,"result":{"#), result(Some("\"7\"")));
    assert_eq!(of(r#" {"x":[{"id":3}],"i\u0064":7.0,"result" : {"a":"é"#), result(Some("7.0")));
    assert_eq!(of(r#"{"result":{"content":["#), result(None));
    for other in [
        "",
        "{",
        "[",
        r#"{"id":7,"result":["#,
        r#"{"id":7,"error":{"#,
        r#"{"method":"x","result":{"#,
        "{x",
        r#"{"a":"b"#,
    ] {
        assert_eq!(of(other), Beginning::Other, "{other}");
    }
}

fn member() -> impl Strategy<Value = String> {
    let value = || {
        prop::sample::select(vec![
            "7",
            "8",
            "\"7\"",
            "7.0",
            "null",
            "\"2.0\"",
            "{}",
            "[]",
            "{\"a\":1}",
            "\"input_required\"",
            "\"x\\\"\"",
            "{ \"_meta\" : 1 , \"b\":[{\"id\":9}]}",
            "true",
            "-0.5e3",
        ])
        .prop_map(str::to_owned)
    };
    let key = prop::sample::select(vec!["id", "jsonrpc", "result", "x", "error", "re\\u0073ult"]);
    let inner =
        prop::sample::select(vec!["resultType", "_meta", "content", "a", "ttlMs", "result\\u0054ype"]);
    let meta = prop::sample::select(vec!["progressToken", "io.modelcontextprotocol/serverInfo", "k"]);
    let meta = prop::collection::vec((meta, value()), 0..3).prop_map(|members| object(&members));
    let result = prop::collection::vec((inner, prop_oneof![3 => value(), 1 => meta]), 0..4)
        .prop_map(|members| object(&members));
    prop_oneof![
        3 => result.prop_map(|result| format!("\"result\":{result}")),
        3 => Just("\"jsonrpc\" : \"2.0\"".to_owned()),
        3 => Just("\"id\":7".to_owned()),
        1 => (key, value()).prop_map(|(key, value)| format!("\"{key}\":{value}")),
    ]
}

fn object(members: &[(&str, String)]) -> String {
    let members: Vec<String> = members.iter().map(|(key, value)| format!(" \"{key}\":\n{value}")).collect();
    format!("{{{} }}", members.join(" ,"))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]
    #[test]
    fn a_response_in_pieces_becomes_what_the_whole_one_becomes(
        members in prop::collection::vec(member(), 1..5),
        cuts in prop::collection::vec(0..200_usize, 0..6),
        kind in 0..3_usize,
    ) {
        let text = format!("{{{} }}\n", members.join(","));
        let kind = [ResultType::Keep, ResultType::Remove, REQUIRE][kind];
        let expected = expected(text.as_bytes(), kind);
        let passed = passed(text.as_bytes(), &cuts, kind);
        match (passed, expected) {
            (Ok(passed), Some(expected)) if kind == ResultType::Keep => prop_assert_eq!(passed.trim_end(), expected.trim_end()),
            (Ok(passed), Some(expected)) => prop_assert_eq!(read(&passed), read(&expected), "{}", text),
            (Err(_), None) => {}
            (passed, expected) => prop_assert!(false, "{:?} {:?} {}", passed, expected, text),
        }
    }
}
