use super::*;

/// What issuers give out, in form; none of it was ever valid.
fn real() -> Vec<(&'static str, String)> {
    let mixed = |length: usize| "aZ3kQ9xW7mB2vN8c".chars().cycle().take(length).collect::<String>();
    let hex = |length: usize| "0f1e2d3c4b5a6978".chars().cycle().take(length).collect::<String>();
    let upper = |length: usize| "Q7ZK2MXW5B3NVC4R".chars().cycle().take(length).collect::<String>();
    let pem: String = (0..12).map(|_| mixed(64) + "\n").collect();
    vec![
        ("an AWS access key id", format!("AKIA{}", upper(16))),
        ("an AWS secret access key", format!("aws_secret_access_key = {}", mixed(40))),
        ("an AWS secret access key", format!("\"SecretAccessKey\": \"{}/+{}\"", mixed(20), mixed(18))),
        ("a GitHub token", format!("ghp_{}", mixed(36))),
        ("a GitHub token", format!("github_pat_{}_{}", mixed(22), mixed(59))),
        ("a GitLab token", format!("glpat-{}", mixed(20))),
        ("a Slack token", format!("xoxb-{}-{}-{}", hex(12), hex(13), mixed(24))),
        (
            "a Slack webhook",
            format!("https://hooks.slack.com/services/T{}/B{}/{}", upper(9), upper(9), mixed(24)),
        ),
        ("an Anthropic API key", format!("sk-ant-api03-{}-{}AA", mixed(50), mixed(42))),
        ("an OpenAI API key", format!("sk-proj-{}_{}", mixed(74), mixed(40))),
        ("an OpenAI API key", format!("sk-{}T3BlbkFJ{}", mixed(20), mixed(20))),
        ("a Google API key", format!("AIza{}", mixed(35))),
        ("a Stripe live key", format!("sk_live_{}", mixed(24))),
        ("a SendGrid API key", format!("SG.{}.{}", mixed(22), mixed(43))),
        ("a Hugging Face token", format!("hf_{}", mixed(34))),
        ("an npm token", format!("npm_{}", mixed(36))),
        ("a PyPI token", format!("pypi-AgEIcHlwaS5vcmc{}", mixed(80))),
        ("a JSON Web Token", format!("eyJ{}.eyJ{}.{}", mixed(33), mixed(60), mixed(43))),
        ("a password in a URL", "postgres://app:s3cr3t-Pa55@db.internal:5432/app".into()),
        ("a private key", format!("-----BEGIN RSA PRIVATE KEY-----\n{pem}-----END RSA PRIVATE KEY-----")),
        (
            "a private key",
            format!("-----BEGIN PGP PRIVATE KEY BLOCK-----\n\n{pem}-----END PGP PRIVATE KEY BLOCK-----"),
        ),
        (
            "an Azure storage key",
            format!("DefaultEndpointsProtocol=https;AccountName=x;AccountKey={}==", mixed(86)),
        ),
    ]
}

/// How credentials stand in what agents keep.
fn surroundings(secret: &str) -> Vec<String> {
    let as_json = |text: &str| serde_json::Value::from(text).to_string();
    vec![
        as_json(secret),
        as_json(&format!("export TOKEN={secret}\n")),
        as_json(&format!("first line\n{secret}\nlast line")),
        as_json(&format!("a\tb\r\n\t{secret}")),
        as_json(&format!("curl -H 'Authorization: Bearer {secret}' https://api.test")),
        // A log of JSON, kept as text.
        as_json(&serde_json::json!({ "token": secret }).to_string()),
        as_json(&serde_json::json!({ "log": format!("one\n{secret}") }).to_string()),
        serde_json::json!({ "env": [{ "name": "TOKEN", "value": secret }] }).to_string(),
    ]
}

#[test]
fn every_form_is_noticed_wherever_it_stands_in_a_value() {
    for (what, secret) in forms::samples().chain(real()) {
        for json in surroundings(&secret) {
            assert_eq!(find(&json), Some(what), "{json}");
        }
    }
}

#[test]
fn of_what_is_masked_nothing_is_left_and_the_rest_is_as_it_was() {
    for (what, secret) in real() {
        for json in surroundings(&secret) {
            let mut marks = Vec::new();
            let safe = mask(&json, "value", &mut marks);
            let parsed: Result<serde_json::Value, _> = serde_json::from_str(&safe);
            assert!(parsed.is_ok(), "still JSON: {safe}");
            assert_eq!(find(&safe), None, "{safe}");
            assert_eq!((marks.len(), marks[0].kind), (1, what.split_once(' ').unwrap().1), "{safe}");
            // What tells secrets apart is their random part: no eight characters of it are left.
            let random = "aZ3kQ9xW7mB2vN8caZ3kQ9xW";
            for at in 0..=random.len() - 8 {
                assert!(!safe.contains(&random[at..at + 8]), "{safe}");
            }
            assert!(!safe.contains("s3cr3t"), "{safe}");
        }
    }
}

#[test]
fn marks_say_what_was_masked_and_where_and_all_else_stays_byte_for_byte() {
    let (one, other) = (format!("ghp_{}", "A1b2".repeat(9)), format!("glpat-{}", "A1b2".repeat(5)));
    let json = format!("{{ \"n\" : 1e400, \"a\":[\"\\ud800\", \"x {one} y {one}\"],\"{other}\" :null}}");
    let mut marks = Vec::new();
    let safe = mask(&json, "value", &mut marks);
    assert_eq!(
        safe,
        "{ \"n\" : 1e400, \"a\":[\"\\ud800\", \"x [masked: GitHub token] y [masked: GitHub token]\"],\
         \"[masked: GitLab token]\" :null}"
    );
    let marks: Vec<(&str, &str)> = marks.iter().map(|mark| (mark.kind, mark.at.as_str())).collect();
    assert_eq!(
        marks,
        [
            ("GitHub token", "value/a/1"),
            ("GitHub token", "value/a/1"),
            ("GitLab token", "value/[masked: GitLab token]")
        ]
    );
}

#[test]
fn no_escape_of_json_is_taken_apart() {
    for between in ["\n", "=\u{1}", "\t:\n\n\n\n\n\n\n", "\": \"", "\\"] {
        let text = format!("aws_secret_access_key{between}{}", "aZ3kQ9xW7m".repeat(4));
        let json = serde_json::json!([text]).to_string();
        let safe = mask(&json, "value", &mut Vec::new());
        assert!(serde_json::from_str::<serde_json::Value>(&safe).is_ok(), "{safe}");
    }
}

#[test]
fn a_private_key_that_was_cut_off_is_masked_to_the_end_of_its_text() {
    let json = serde_json::json!({ "k": format!("-----BEGIN EC PRIVATE KEY-----\n{}", "Ab1+".repeat(20)), "l": "rest" });
    assert_eq!(
        mask(&json.to_string(), "value", &mut Vec::new()),
        r#"{"k":"[masked: private key]","l":"rest"}"#
    );
}

#[test]
fn ordinary_text_is_not_taken_for_a_secret() {
    for text in [
        "",
        "use sk-proj-… keys; tokens start with ghp_ or AKIA",
        "AKIAIOSFODNN7EXAMPLE",
        "aws_secret_access_key = wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY",
        "aws_secret_access_key is read from the environment, never from a file that is committed",
        "npm_config_registry and npm_lifecycle_event",
        "-----BEGIN PUBLIC KEY-----",
        "-----BEGIN CERTIFICATE-----",
        "files that begin with -----BEGIN PRIVATE KEY----- are refused; see docs/security.md for the reason",
        "TAKIABCDEFGHIJKLMNOPQRSTUVWXYZ",
        "sha256-0f1e2d3c4b5a69788796a5b4c3d2e1f00f1e2d3c4b5a69788796a5b4c3d2e1f0",
        "commit 3f786850e387550fdab836ed7e6dc881de23001b, tree 89e6c98d92887913cadf06b2adb97f26cde4849b",
        "f47ac10b-58cc-4372-a567-0e02b2c3d479",
        "ghp_xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx",
        "export OPENAI_API_KEY=sk-xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx",
        "postgres://postgres:postgres@localhost:5432/app",
        "postgres://app:${DB_PASSWORD}@db:5432/app and mysql://root:$MYSQL_PW1@db",
        "postgres://user:password@host/db, redis://:@localhost, ssh://git@github.com:22/x",
        "https://user:********@example.org, https://example.org:8080/@scope/pkg@1.2.3",
        "http://[::1]:8080/a@b, https://host:1234567890/path",
        "eyJhbGciOiJIUzI1NiJ9 is the header of a JWT",
        "data:image/png;base64,iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk",
        "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIGk0dGhpc2lzbm90YXJlYWxrZXlqdXN0YXNhbXBsZQ me@host",
        "the mask-sk-ip pattern and task-management-with-a-very-long-name-that-goes-on-and-on",
    ] {
        assert_eq!(find(text), None, "{text}");
        assert_eq!(hidden(text), text);
    }
}

proptest::proptest! {
    #[test]
    fn masking_keeps_any_json_valid_and_leaves_no_secret(
        before in "[ -~\\n\\t\\\\\"é]{0,40}", which in 0..22_usize, after in "[ -~\\n\\t\\\\\"é]{0,40}",
    ) {
        let secrets = real();
        let text = format!("{before} {} {after}", secrets[which % secrets.len()].1);
        let json = serde_json::json!({ "a": [text] }).to_string();
        let safe = mask(&json, "value", &mut Vec::new()).into_owned();
        proptest::prop_assert!(serde_json::from_str::<serde_json::Value>(&safe).is_ok(), "{}", safe);
        proptest::prop_assert_eq!(find(&safe), None);
    }
}
