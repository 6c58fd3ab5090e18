//! `[monitoring.otlp]` and OpenTelemetry's environment variables.

use super::super::otlp::Otlp;
use super::*;

fn with(text: &str, variables: &[(&str, &str)]) -> Loaded {
    let mut request = request();
    request.env = [("HOME", "/home/ann")].iter().chain(variables).copied().collect();
    load_toml(text, &request).unwrap()
}

fn otlp(text: &str, variables: &[(&str, &str)]) -> Otlp {
    let loaded = with(text, variables);
    assert_eq!(notes(&loaded), Vec::<String>::new());
    loaded.config.monitoring.otlp
}

fn url(otlp: &Otlp) -> Option<&str> {
    otlp.traces.as_ref().map(|collector| collector.url.expose())
}

const BASE: (&str, &str) = ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://env.example:4318/");
const FILE: &str = "[monitoring.otlp]\nendpoint = \"https://file.example/otlp\"\n";

#[test]
fn nothing_is_exported_unless_somebody_names_a_collector() {
    assert_eq!(url(&otlp("", &[])), None);
    assert_eq!(url(&otlp("", &[BASE])), Some("http://env.example:4318/v1/traces"));
    let own = ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "http://own.example/as/it?is=1");
    assert_eq!(url(&otlp("", &[BASE, own])), Some("http://own.example/as/it?is=1"));
    assert_eq!(url(&otlp(FILE, &[BASE, own])), Some("https://file.example/otlp/v1/traces"));
}

#[test]
fn what_switches_telemetry_off_elsewhere_does_so_here() {
    for variable in [("OTEL_SDK_DISABLED", "true"), ("OTEL_TRACES_EXPORTER", "none")] {
        assert_eq!(url(&otlp(FILE, &[variable])), None);
    }
    assert_eq!(url(&otlp(&format!("{FILE}traces = false"), &[BASE])), None);
    assert!(url(&otlp(FILE, &[("OTEL_SDK_DISABLED", "false")])).is_some());
}

#[test]
fn keys_of_the_file_count_before_variables_and_these_before_defaults() {
    let variables = [
        ("OTEL_EXPORTER_OTLP_HEADERS", "authorization=Bearer%20env, x-tenant=a%2Cb"),
        ("OTEL_SERVICE_NAME", "from-env"),
        ("OTEL_RESOURCE_ATTRIBUTES", "service.name=lost,zone=b,service.version=9"),
    ];
    let otlp = otlp(
        &format!("{FILE}headers = {{ Authorization = \"file\" }}\nresource_attributes = {{ zone = \"a\" }}"),
        &variables,
    );
    let collector = otlp.traces.unwrap();
    let headers: Vec<_> =
        collector.headers.iter().map(|(name, value)| (name.as_str(), value.expose())).collect();
    assert_eq!(headers, [("authorization", "file"), ("x-tenant", "a,b")]);
    let resource: Vec<_> =
        otlp.resource.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    assert_eq!(resource, [("service.name", "from-env"), ("zone", "a"), ("service.version", "9")]);
}

#[test]
fn a_variable_that_cannot_be_used_is_told_without_its_value_and_left_out() {
    for variables in [
        vec![("OTEL_EXPORTER_OTLP_ENDPOINT", "SECRET")],
        vec![("OTEL_EXPORTER_OTLP_ENDPOINT", "http://SECRET@a/")],
        vec![BASE, ("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc")],
    ] {
        let loaded = with("", &variables);
        assert_eq!(url(&loaded.config.monitoring.otlp), None);
        let notes = notes(&loaded);
        assert!(notes.len() == 1 && notes[0].contains("OTEL_EXPORTER_OTLP_ENDPOINT"), "{notes:?}");
        assert!(!notes[0].contains("SECRET"));
    }
    let loaded = with(FILE, &[("OTEL_EXPORTER_OTLP_HEADERS", "SECRET,x=1")]);
    assert_eq!(notes(&loaded).len(), 1);
    assert!(!notes(&loaded)[0].contains("SECRET") && !format!("{loaded:?}").contains("SECRET"));
}

#[test]
fn an_endpoint_that_no_path_can_be_added_to_is_a_fault() {
    for (endpoint, why) in
        [("ftp://a/", "must begin with"), ("http://u:p@a/", "credentials"), ("http://a/?k=v", "query")]
    {
        let faults = toml(&format!("[monitoring.otlp]\nendpoint = \"{endpoint}\"\n")).unwrap_err();
        assert!(
            lines(&faults).iter().any(|line| line.starts_with("aqe.toml:2:") && line.contains(why)),
            "{faults}"
        );
    }
}
