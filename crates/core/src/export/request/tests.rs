use proptest::prelude::*;

use super::fields::{FIELDS, MAX_FAULTS};
use super::*;
use crate::store::transitions::RunOptions;

const DEFAULT: Snowflake = Snowflake::new(7);

fn parse(body: Value) -> Result<ExportRequest, Vec<Fault>> {
    let Value::Object(body) = body else { panic!("an object") };
    ExportRequest::parse(&body, Some(DEFAULT))
}

/// Pointer and code of each fault, sorted.
fn faults(body: Value) -> Vec<(String, FaultCode)> {
    let mut faults: Vec<_> = parse(body)
        .unwrap_err()
        .into_iter()
        .map(|fault| match fault.location {
            Location::Pointer(pointer) => (pointer, fault.code),
            other => panic!("{other:?} is no part of a body"),
        })
        .collect();
    faults.sort_by(|a, b| a.0.cmp(&b.0));
    faults
}

#[test]
fn an_empty_body_exports_the_default_channel() {
    let request = parse(json!({})).unwrap();
    let expected = ExportRequest {
        channels: vec![DEFAULT],
        start_at: None,
        end_at: None,
        markdown: false,
        filter: None,
        on_conflict: OnConflict::Ignore,
        keep_versions: false,
    };
    assert_eq!(request, expected);
    let nulls: Map<_, _> = FIELDS.iter().map(|name| ((*name).to_owned(), Value::Null)).collect();
    assert_eq!(parse(Value::Object(nulls)).unwrap(), expected, "null is absent");
}

#[test]
fn without_a_default_the_channel_is_required() {
    let faults = ExportRequest::parse(&Map::new(), None).unwrap_err();
    assert_eq!(faults.len(), 1);
    assert_eq!(faults[0].location, Location::Pointer("/channel_id".into()));
    assert_eq!(faults[0].code, FaultCode::Required);
}

#[test]
fn all_fields_are_parsed() {
    let request = parse(json!({
        "channel_ids": ["999999999999999999", "1000000000000000000", "999999999999999999"],
        "start_at": "2024-07-03T18:50:40+09:00",
        "end_at": "2024-07-04T00:00:00Z",
        "format": "Json",
        "media": false,
        "include_threads": "none",
        "markdown": true,
        "filter": "~from:bot has:image",
        "on_conflict": "update",
        "keep_versions": true,
    }))
    .unwrap();
    assert_eq!(
        request,
        ExportRequest {
            channels: vec![
                Snowflake::new(999_999_999_999_999_999),
                Snowflake::new(1_000_000_000_000_000_000)
            ],
            start_at: Some("2024-07-03T09:50:40Z".parse().unwrap()),
            end_at: Some("2024-07-04T00:00:00Z".parse().unwrap()),
            markdown: true,
            filter: Some("~from:bot has:image".into()),
            on_conflict: OnConflict::Update,
            keep_versions: true,
        }
    );
    let read_back: RunOptions = serde_json::from_value(request.options()).unwrap();
    let expected = RunOptions {
        markdown: true,
        filter: request.filter,
        on_conflict: OnConflict::Update,
        keep_versions: true,
    };
    assert_eq!(read_back, expected);
}

#[test]
fn each_fault_has_its_pointer_and_code() {
    use FaultCode::*;
    for (body, pointer, code) in [
        (json!({ "channel_id": 1_234_567_890_123_456_789_u64 }), "/channel_id", WrongType),
        (json!({ "channel_id": ["1"] }), "/channel_id", WrongType),
        (json!({ "channel_id": "general" }), "/channel_id", InvalidId),
        (json!({ "channel_id": "" }), "/channel_id", InvalidId),
        (json!({ "channel_id": "-1" }), "/channel_id", InvalidId),
        (json!({ "channel_id": "123456789012345678901" }), "/channel_id", InvalidId),
        (json!({ "channel_ids": [] }), "/channel_ids", TooShort),
        (json!({ "channel_ids": vec!["1"; MAX_CHANNELS + 1] }), "/channel_ids", TooLong),
        (json!({ "channel_ids": "1" }), "/channel_ids", WrongType),
        (json!({ "channel_ids": ["1", 2] }), "/channel_ids/1", WrongType),
        (json!({ "channel_ids": ["1", null] }), "/channel_ids/1", WrongType),
        (json!({ "channel_id": "1", "channel_ids": ["1"] }), "/channel_ids", Conflict),
        (json!({ "start_at": 1_720_000_000 }), "/start_at", WrongType),
        (json!({ "start_at": "2024-07-03T09:50:40" }), "/start_at", MissingOffset),
        (json!({ "start_at": "2024-02-30T00:00:00Z" }), "/start_at", InvalidTime),
        (json!({ "end_at": "2014-12-31T23:59:59Z" }), "/end_at", OutOfRange),
        (
            json!({ "start_at": "2024-01-01T00:00:00Z", "end_at": "2024-01-01T00:00:00Z" }),
            "/end_at",
            OutOfRange,
        ),
        (
            json!({ "start_at": "2024-01-01T00:00:00.0001Z", "end_at": "2024-01-01T00:00:00.0002Z" }),
            "/end_at",
            OutOfRange,
        ),
        (json!({ "format": "HtmlDark" }), "/format", UnsupportedFormat),
        (json!({ "format": "json" }), "/format", UnsupportedFormat),
        (json!({ "format": 1 }), "/format", WrongType),
        (json!({ "media": true }), "/media", NotAvailable),
        (json!({ "media": "false" }), "/media", WrongType),
        (json!({ "include_threads": "all" }), "/include_threads", NotAvailable),
        (json!({ "include_threads": "active" }), "/include_threads", NotAvailable),
        (json!({ "include_threads": "some" }), "/include_threads", InvalidValue),
        (json!({ "include_threads": true }), "/include_threads", WrongType),
        (json!({ "markdown": "yes" }), "/markdown", WrongType),
        (json!({ "markdown": 1 }), "/markdown", WrongType),
        (json!({ "filter": "" }), "/filter", TooShort),
        (json!({ "filter": "  " }), "/filter", TooShort),
        (json!({ "filter": "x".repeat(MAX_FILTER_CHARS + 1) }), "/filter", TooLong),
        (json!({ "filter": "a\u{0}b" }), "/filter", ControlCharacter),
        (json!({ "filter": "a\nb" }), "/filter", ControlCharacter),
        (json!({ "filter": "--media" }), "/filter", InvalidFilter),
        (json!({ "filter": "from:(" }), "/filter", InvalidFilter),
        (json!({ "filter": "has:nonsense" }), "/filter", InvalidFilter),
        (json!({ "filter": ["x"] }), "/filter", WrongType),
        (json!({ "on_conflict": "replace" }), "/on_conflict", InvalidValue),
        (json!({ "on_conflict": true }), "/on_conflict", WrongType),
        (json!({ "keep_versions": true }), "/keep_versions", Conflict),
        (json!({ "keep_versions": true, "on_conflict": "ignore" }), "/keep_versions", Conflict),
        (json!({ "keep_versions": "yes" }), "/keep_versions", WrongType),
        (json!({ "callback_url": "https://example.com" }), "/callback_url", NotAvailable),
        (json!({ "chanel_id": "1" }), "/chanel_id", UnknownField),
        (json!({ "a/b~c": null }), "/a~1b~0c", UnknownField),
    ] {
        let text = body.to_string();
        assert_eq!(faults(body), [(pointer.to_owned(), code)], "{text}");
    }
}

#[test]
fn limits_are_inclusive() {
    let ids: Vec<String> = (1..=MAX_CHANNELS).map(|id| id.to_string()).collect();
    assert_eq!(parse(json!({ "channel_ids": ids })).unwrap().channels.len(), MAX_CHANNELS);
    for filter in [&*"ж".repeat(MAX_FILTER_CHARS), "-from:bot", " ~from:bot "] {
        assert_eq!(parse(json!({ "filter": filter })).unwrap().filter.as_deref(), Some(filter));
    }
    let shortest = json!({ "start_at": "2024-01-01T00:00:00.000Z", "end_at": "2024-01-01T00:00:00.001Z" });
    assert!(parse(shortest).is_ok());
}

#[test]
fn a_mistake_in_a_filter_has_its_column() {
    for (filter, column) in [("from:(", 6), ("ж |", 4), ("has:", 5)] {
        let faults = parse(json!({ "filter": filter })).unwrap_err();
        assert_eq!(faults[0].column, Some(column), "{filter}");
        assert!(faults[0].detail.starts_with(&format!("column {column}: ")), "{}", faults[0].detail);
    }
    assert_eq!(parse(json!({ "media": true })).unwrap_err()[0].column, None);
}

#[test]
fn all_faults_are_reported_at_once() {
    let body = json!({
        "channel_ids": ["x", 5],
        "start_at": "2024-07-03",
        "end_at": "soon",
        "format": "Csv",
        "media": true,
        "markdown": "no",
        "filter": "-",
        "colour": "blue",
    });
    let pointers: Vec<_> = faults(body).into_iter().map(|(pointer, _)| pointer).collect();
    assert_eq!(
        pointers,
        [
            "/channel_ids/0",
            "/channel_ids/1",
            "/colour",
            "/end_at",
            "/filter",
            "/format",
            "/markdown",
            "/media",
            "/start_at"
        ]
    );
}

#[test]
fn the_number_of_reported_faults_is_bounded() {
    let body: Map<_, _> = (0..5000).map(|n| (format!("f{n}"), Value::Null)).collect();
    assert_eq!(faults(Value::Object(body)).len(), MAX_FAULTS);
}

/// Any JSON value, with some texts that resemble valid ones.
fn any_value() -> impl Strategy<Value = Value> {
    let text = prop_oneof![
        any::<String>(),
        "[0-9]{1,21}",
        "[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}(:[0-9]{2})?(\\.[0-9]{1,12})?(Z|[+-][0-9]{2}:?[0-9]{2})?",
        "20[12][0-9]-0[1-9]-[0-3][0-9]T[0-2][0-9]:[0-5][0-9]:[0-5][0-9]Z",
        "--?[a-z]{1,5}",
        prop_oneof![Just("Json"), Just("none"), Just("all"), Just("ignore"), Just("update")]
            .prop_map(String::from),
    ];
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        text.prop_map(Value::from),
    ];
    leaf.prop_recursive(3, 16, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::hash_map(any::<String>(), inner, 0..4)
                .prop_map(|map| Value::Object(map.into_iter().collect())),
        ]
    })
}

fn any_body() -> impl Strategy<Value = Map<String, Value>> {
    let name =
        prop_oneof![9 => prop::sample::select(FIELDS.to_vec()).prop_map(String::from), 1 => any::<String>()];
    prop::collection::hash_map(name, any_value(), 0..4).prop_map(|map| map.into_iter().collect())
}

proptest! {
    #[test]
    fn any_object_is_a_valid_request_or_has_faults(body in any_body(), default in any::<Option<u64>>()) {
        match ExportRequest::parse(&body, default.map(Snowflake::new)) {
            Ok(request) => {
                prop_assert!((1..=MAX_CHANNELS).contains(&request.channels.len()));
                if let (Some(start), Some(end)) = (request.start_at, request.end_at) {
                    prop_assert!(start < end);
                }
                for time in [request.start_at, request.end_at].into_iter().flatten() {
                    prop_assert!(Snowflake::first_at(time).is_some());
                    prop_assert_eq!(time.timestamp_subsec_nanos() % 1_000_000, 0);
                }
                if let Some(filter) = request.filter {
                    prop_assert!(!filter.contains('\0'));
                    prop_assert!(dce_filter::Filter::parse(&filter).is_ok());
                }
                prop_assert!(!request.keep_versions || request.on_conflict == OnConflict::Update);
                prop_assert!(body.keys().all(|name| FIELDS.contains(&name.as_str())));
            }
            Err(faults) => prop_assert!(!faults.is_empty()),
        }
    }
}
