use proptest::prelude::*;

use super::*;

const SAMPLE: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

#[test]
fn a_traceparent_is_read_and_written_as_it_was() {
    let parent = TraceParent::parse(SAMPLE.as_bytes()).unwrap();
    assert!(parent.sampled);
    assert_eq!(parent.trace.to_string(), "4bf92f3577b34da6a3ce929d0e0e4736");
    assert_eq!(parent.span.bytes(), &[0, 0xf0, 0x67, 0xaa, 0x0b, 0xa9, 0x02, 0xb7]);
    assert_eq!(parent.to_string(), SAMPLE);
}

#[test]
fn only_the_known_flag_counts() {
    let sampled = |flags: &str| {
        TraceParent::parse(SAMPLE.replace("-01", &format!("-{flags}")).as_bytes()).map(|it| it.sampled)
    };
    assert_eq!((sampled("00"), sampled("02"), sampled("fe")), (Some(false), Some(false), Some(false)));
    assert_eq!((sampled("01"), sampled("03"), sampled("ff")), (Some(true), Some(true), Some(true)));
}

#[test]
fn a_later_version_is_read_as_far_as_it_is_known() {
    let later = |rest: &str| TraceParent::parse(format!("cc{}{rest}", &SAMPLE[2..]).as_bytes());
    assert_eq!(later(""), TraceParent::parse(SAMPLE.as_bytes()));
    assert_eq!(later("-what-the-future-will-be-like"), TraceParent::parse(SAMPLE.as_bytes()));
    assert_eq!(later("-"), TraceParent::parse(SAMPLE.as_bytes()));
    assert_eq!(later(".what"), None);
    assert_eq!(later("a"), None);
}

#[test]
fn what_does_not_fit_the_grammar_is_no_traceparent() {
    for text in [
        "",
        "0",
        "00",
        "00-",
        "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7",
        "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-0",
        "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-",
        "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-x",
        "00-4BF92F3577B34DA6A3CE929D0E0E4736-00f067aa0ba902b7-01",
        "00-4bf92f3577b34da6a3ce929d0e0e4736-00F067AA0BA902B7-01",
        "00-00000000000000000000000000000000-00f067aa0ba902b7-01",
        "00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-01",
        "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-0G",
        "ff-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
        "FF-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
        "0x-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
        " 00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
        "00_4bf92f3577b34da6a3ce929d0e0e4736_00f067aa0ba902b7_01",
        "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01\n",
        "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902é7-01",
    ] {
        assert_eq!(TraceParent::parse(text.as_bytes()), None, "{text}");
    }
}

#[test]
fn a_tracestate_is_what_the_grammar_says() {
    let long_key = "k".repeat(256);
    let long_value = "v".repeat(256);
    for text in [
        "rojo=00f067aa0ba902b7,congo=t61rcWkgMzE",
        "a=1 , b=2,\t,c= inner space",
        "fw529a3039@dt=FfK4SPTLwk,0a-b_c*d/e@s=x",
        &format!("{long_key}={long_value}"),
        &format!("{}@{}=v", "t".repeat(241), "s".repeat(14)),
    ] {
        assert!(is_state(text), "{text}");
    }
    let many = |count: usize| (0..count).map(|at| format!("k{at}=v")).collect::<Vec<_>>().join(",");
    assert!(is_state(&many(32)) && !is_state(&many(33)));
    for text in [
        "",
        " , ",
        "a",
        "a=",
        "=1",
        "A=1",
        "1a=1",
        "a=1=2",
        "a b=1",
        "a=1,a=2",
        "a@=1",
        "@a=1",
        "a@1=1",
        "a@b@c=1",
        "a=é",
        "a=1\u{7f}",
        &format!("{long_key}k=v"),
        &format!("k={long_value}v"),
        &format!("{}@s=v", "t".repeat(242)),
        &format!("t@{}=v", "s".repeat(15)),
    ] {
        assert!(!is_state(text), "{text}");
    }
}

#[test]
fn a_long_tracestate_loses_its_long_members_and_then_its_oldest() {
    let short =
        |count: usize| (0..count).map(|at| format!("k{at:02}={}", "v".repeat(36))).collect::<Vec<_>>();
    let list = short(12);
    assert_eq!(shortened_state(&list.join(",")), list.join(","));
    let mut with_long = short(12);
    with_long.insert(0, format!("long={}", "v".repeat(200)));
    assert_eq!(shortened_state(&with_long.join(",")), list.join(","));
    assert_eq!(shortened_state(&short(20).join(",")), list.join(","));
}

#[test]
fn a_share_of_the_new_traces_is_recorded_and_parents_are_followed() {
    let random = |value: u64| move || value;
    let (all, none, half) = (Sampler::new(1.0), Sampler::new(0.0), Sampler::new(0.5));
    assert!(all.decide(None, || unreachable!()) && !none.decide(None, || unreachable!()));
    assert!(half.decide(None, random((1 << 63) - 1)) && !half.decide(None, random(1 << 63)));
    assert!(!Sampler::new(f64::NAN).decide(None, random(0)) && !Sampler::new(-1.0).decide(None, random(0)));
    let sampled = TraceParent::parse(SAMPLE.as_bytes()).unwrap();
    let not = TraceParent { sampled: false, ..sampled };
    for sampler in [all, none, half] {
        assert!(sampler.decide(Some(&sampled), || unreachable!()));
        assert!(!sampler.decide(Some(&not), || unreachable!()));
    }
}

proptest! {
    #[test]
    fn whatever_is_written_is_read_again(trace: [u8; 16], span: [u8; 8], sampled: bool) {
        let parent = TraceParent {
            trace: TraceId::from_random(trace),
            span: SpanId::from_random(span),
            sampled,
        };
        let text = parent.to_string();
        prop_assert_eq!(text.len(), LENGTH);
        prop_assert_eq!(TraceParent::parse(text.as_bytes()), Some(parent));
    }

    /// A slow reading of the grammar, beside the fast one.
    #[test]
    fn exactly_the_grammar_is_read(text in "[0-9a-fA-Fg]{2}-[0-9a-f]{31,33}-[0-9a-f]{15,17}-[0-9a-fA-F]{2}(-[x-z]{0,2})?") {
        let parts: Vec<&str> = text.splitn(5, '-').collect();
        let hex = |part: &str, length: usize| {
            part.len() == length && part.bytes().all(|byte| byte.is_ascii_digit() || matches!(byte, b'a'..=b'f'))
        };
        let zero = |part: &str| part.bytes().all(|byte| byte == b'0');
        let expected = hex(parts[0], 2)
            && parts[0] != "ff"
            && hex(parts[1], 32)
            && !zero(parts[1])
            && hex(parts[2], 16)
            && !zero(parts[2])
            && hex(parts[3], 2)
            && (parts.len() == 4 || parts[0] != "00");
        prop_assert_eq!(TraceParent::parse(text.as_bytes()).is_some(), expected);
    }

    #[test]
    fn no_bytes_make_it_panic_and_what_is_taken_is_normal(bytes in prop::collection::vec(any::<u8>(), 0..80)) {
        if let Some(parent) = TraceParent::parse(&bytes) {
            prop_assert_eq!(TraceParent::parse(parent.to_string().as_bytes()), Some(parent));
        }
    }

    #[test]
    fn a_shortened_tracestate_is_one_and_within_its_bound(
        members in prop::collection::btree_map("[a-z][a-z0-9]{0,8}", "[!-+.-<>-~]{1,256}", 1..32),
    ) {
        let text = members.iter().map(|(key, value)| format!("{key}={value}")).collect::<Vec<_>>().join(",");
        prop_assert!(is_state(&text), "{}", text);
        let short = shortened_state(&text);
        prop_assert!(short.len() <= MAX_STATE_BYTES);
        prop_assert!(short.is_empty() || is_state(&short), "{}", short);
    }
}
