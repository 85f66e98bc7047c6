//! Documents in layouts that DCE does not write today: read completely or refused with a typed error.

use std::fs;

use dce_standin::scenario::{Channel, Scenario, recording};
use dce_testkit::service::Service;
use serde_json::Value;
use tempfile::TempDir;

use crate::archive::{expected, stored};

const SMALL: &str = "900000000000001001";

/// Exports a channel for which DCE writes this text.
async fn export_of(document: &str) -> (Service, Value) {
    let folder = TempDir::new().unwrap();
    let file = folder.path().join("document.json");
    fs::write(&file, document).unwrap();
    let mut service =
        Service::api_only(&Scenario::new().channel(SMALL, Channel::file(&file)), &[("MAX_ATTEMPTS", "1")])
            .await;
    service.add_worker(&[]).await;
    let export = service.export_channel(SMALL).await;
    (service, export)
}

fn small() -> String {
    fs::read_to_string(recording("small").join("out/part.json")).unwrap()
}

#[tokio::test]
async fn documents_in_other_layouts_are_read_completely() {
    let (_, messages) = expected(&recording("small").join("out"));
    let value: Value = serde_json::from_str(&small()).unwrap();
    let compact = value.to_string();
    let tabs = small().replace("  ", "\t");
    let misleading =
        small().replacen("\"topic\": \"topic 1001\"", r#""topic": "\"messages\": [\n    {\n    },""#, 1);
    assert!(misleading.contains(r#"\"messages\": ["#));
    for document in [compact, tabs, misleading] {
        let (service, export) = export_of(&document).await;
        assert_eq!(
            (&export["status"], &export["message_count"]),
            (&"completed".into(), &12.into()),
            "{export}"
        );
        assert_eq!(stored(&service.pool(), SMALL).await, messages);
    }
}

#[tokio::test]
async fn a_cut_document_or_one_with_a_wrong_count_never_completes() {
    let small = small();
    let cut = &small[..small.len() / 2];
    let whole_messages = cut.matches("\n    },\n    {").count();
    let short = serde_json::from_str::<Value>(&small)
        .unwrap()
        .to_string()
        .replace("\"messageCount\":12", "\"messageCount\":13");
    for (document, kept) in [(cut, whole_messages), (&short, 12)] {
        let (service, export) = export_of(document).await;
        assert_eq!(
            (&export["status"], &export["error"]["code"]),
            (&"failed".into(), &"output_truncated".into()),
            "{export}"
        );
        assert_eq!(export["message_count"], kept, "what was whole is kept, and counted once: {export}");
        assert_eq!(stored(&service.pool(), SMALL).await.len(), kept);
    }
}

#[tokio::test]
async fn a_document_that_is_no_export_of_the_channel_is_refused() {
    let other = small().replacen(SMALL, "900000000000009999", 1);
    for (document, code) in [
        (r#"{"guild": {"id": "1"}, "channel": {"id": "900000000000001001"}}"#, "output_unreadable"),
        ("[]", "output_unreadable"),
        (&other, "not_a_text_channel"),
    ] {
        let (_service, export) = export_of(document).await;
        assert_eq!(
            (&export["status"], &export["error"]["code"]),
            (&"failed".into(), &code.into()),
            "{export}"
        );
        assert_eq!(export["message_count"], 0);
    }
}
