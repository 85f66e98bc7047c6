//! Batches, decoded by PostgreSQL's documentation of the binary COPY format.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking, its helpers too")]

use bytes::{Buf, Bytes};
use chrono::{DateTime, Utc};
use dce_ingest::copy::batch::{Batch, COLUMNS, InsertOnly, Origin, RowTooLarge, SealedBatch};
use dce_ingest::message::columns::Message;
use dce_snowflake::Snowflake;
use proptest::prelude::*;
use serde_json::{Value, json};
use uuid::Uuid;

type Row = Vec<Option<Bytes>>;

/// Decodes the rows of a batch's COPY stream.
fn rows(batch: &SealedBatch) -> Vec<Row> {
    decode_rows(batch.stream())
}

fn decode_rows(stream: &[u8]) -> Vec<Row> {
    let mut stream = Bytes::copy_from_slice(stream);
    assert_eq!(&stream.split_to(11)[..], b"PGCOPY\n\xff\r\n\0");
    assert_eq!((stream.get_u32(), stream.get_u32()), (0, 0), "flags, extension");
    let mut rows = Vec::new();
    loop {
        let columns = stream.get_i16();
        if columns == -1 {
            assert!(!stream.has_remaining(), "nothing follows the trailer");
            return rows;
        }
        let field = |stream: &mut Bytes| {
            let len = stream.get_i32();
            assert!(len >= -1);
            usize::try_from(len).ok().map(|len| stream.split_to(len))
        };
        rows.push((0..columns).map(|_| field(&mut stream)).collect());
    }
}

fn column(row: &Row, name: &str) -> Option<Bytes> {
    let index = COLUMNS.split(", ").position(|column| column.trim_matches('"') == name).unwrap();
    row[index].clone()
}

fn text(row: &Row, name: &str) -> Option<String> {
    column(row, name).map(|field| String::from_utf8(field.to_vec()).unwrap())
}

fn jsonb(row: &Row, name: &str) -> Option<Value> {
    column(row, name).map(|mut field| {
        assert_eq!(field.get_u8(), 1, "jsonb version");
        serde_json::from_slice(&field).unwrap()
    })
}

fn time(row: &Row, name: &str) -> Option<DateTime<Utc>> {
    column(row, name).map(|mut field| {
        assert_eq!(field.len(), 8);
        let postgres_epoch: DateTime<Utc> = "2000-01-01T00:00:00Z".parse().unwrap();
        postgres_epoch + chrono::TimeDelta::microseconds(field.get_i64())
    })
}

fn origin() -> Origin {
    Origin {
        channel_id: Snowflake::new(900_000_000_000_001_001),
        job_id: Uuid::from_u128(7),
        exported_at: Some("2026-11-22T22:52:32.324793Z".parse().unwrap()),
    }
}

fn message(id: u64, timestamp: &str) -> String {
    json!({"id": id.to_string(), "timestamp": timestamp}).to_string()
}

fn push(batch: &mut Batch, json: &str, repairs: u32, source_bytes: u64) {
    batch.push(&Message::parse(json).unwrap(), repairs, 0, source_bytes).unwrap();
}

#[test]
fn each_field_of_a_message_is_in_its_column() {
    let full = json!({
        "id": "1257995920998400000", "timestamp": "1999-12-31T23:59:59.1234567+00:00", "content": "길드 \"x\"\n",
        "author": {"id": "8", "name": "üser"}, "attachments": [{"id": "9"}], "embeds": [], "other": [1, null],
    });
    let mut batch = Batch::new(&origin(), 1024);
    push(&mut batch, &full.to_string(), 0, 0);
    batch.set_origin(&Origin { exported_at: None, ..origin() });
    push(&mut batch, &message(0, "2024-07-03T18:46:40+09:00"), 0, 0);
    let rows = rows(&batch.seal());

    let row = &rows[0];
    assert_eq!(row.len(), COLUMNS.split(", ").count());
    assert_eq!(text(row, "channel_id").unwrap(), "900000000000001001");
    assert_eq!(text(row, "message_id").unwrap(), "1257995920998400000");
    assert_eq!(text(row, "author_id").unwrap(), "8");
    assert_eq!(text(row, "author_name").unwrap(), "üser");
    assert_eq!(text(row, "content").unwrap(), "길드 \"x\"\n");
    assert_eq!(time(row, "timestamp").unwrap().to_rfc3339(), "1999-12-31T23:59:59.123456+00:00");
    assert_eq!(jsonb(row, "attachments").unwrap(), full["attachments"]);
    assert_eq!(jsonb(row, "embeds").unwrap(), json!([]));
    assert_eq!(jsonb(row, "raw").unwrap(), full);
    assert_eq!(column(row, "job_id").unwrap(), Uuid::from_u128(7).as_bytes().as_slice());
    assert_eq!(time(row, "exported_at"), origin().exported_at);

    let row = &rows[1];
    assert_eq!(text(row, "message_id").unwrap(), "0");
    assert_eq!(time(row, "timestamp").unwrap().to_rfc3339(), "2024-07-03T09:46:40+00:00");
    for name in ["author_id", "author_name", "content", "attachments", "embeds", "exported_at"] {
        assert_eq!(column(row, name), None, "{name}");
    }
}

#[test]
fn rows_that_replace_nothing_count_apart_from_the_others() {
    let push_only = |batch: &mut Batch, id: u64, kind: InsertOnly| {
        let json = message(id, "2024-01-02T00:00:00Z");
        batch.push_insert_only(&Message::parse(&json).unwrap(), kind, 1, 0, 50).unwrap();
    };
    for (starter_counts, messages) in [(true, 2), (false, 1)] {
        let mut batch = Batch::new(&origin(), 1024);
        push_only(&mut batch, 5, InsertOnly::Starter { counts: starter_counts });
        push_only(&mut batch, 70, InsertOnly::ReadAgain);
        push(&mut batch, &message(80, "2024-01-03T00:00:00Z"), 0, 100);
        let batch = batch.seal();
        assert_eq!(rows(&batch).len(), 3, "all of them are rows");
        assert_eq!((batch.starter(), batch.summary().messages), (Some(0), messages));
        let span = batch.summary().span.unwrap();
        assert_eq!((span.lowest_id.get(), span.highest_id.get()), (80, 80));
        let is = |what: fn(&SealedBatch, usize) -> bool| [0, 1, 2].map(|index| what(&batch, index));
        assert_eq!(is(SealedBatch::is_insert_only), [true, true, false]);
        assert_eq!(is(SealedBatch::is_counted), [starter_counts, false, true]);
        assert_eq!(is(|batch, index| batch.if_inserted(index).is_some()), [false, true, false]);

        let mut inserted = batch.summary().clone();
        inserted.merge(batch.if_inserted(1).unwrap());
        let repaired = 1 + u64::from(starter_counts);
        assert_eq!((inserted.messages, inserted.repaired_messages), (messages + 1, repaired));
        let span = inserted.span.unwrap();
        assert_eq!((span.lowest_id.get(), span.highest_id.get()), (70, 80));

        let recycled = batch.recycle().seal();
        assert!(recycled.starter().is_none() && !recycled.is_insert_only(0));
    }
}

#[test]
fn the_summary_counts_the_messages_of_a_batch_and_bounds_their_ids_and_times() {
    let mut batch = Batch::new(&origin(), 1024);
    assert!(batch.is_empty() && batch.summary().span.is_none());
    // Compared as text, 999… would be the highest id.
    push(&mut batch, &message(1_000_000_000_000_000_000, "2024-01-02T00:00:00Z"), 2, 100);
    push(&mut batch, &message(999_999_999_999_999_999, "2024-01-01T00:00:00Z"), 0, 50);
    push(&mut batch, &message(1_000_000_000_000_000_005, "2024-01-03T00:00:00Z"), 1, 1);
    push(&mut batch, &message(1_000_000_000_000_000_001, "2024-01-02T00:00:00Z"), 0, 1);
    let summary = batch.summary().clone();
    assert_eq!((summary.messages, summary.bytes_read), (4, 152));
    assert_eq!((summary.repaired_messages, summary.repairs), (2, 3));
    let span = summary.span.unwrap();
    assert_eq!(span.first_id.get(), 1_000_000_000_000_000_000);
    assert_eq!(span.last_id.get(), 1_000_000_000_000_000_001);
    assert_eq!(span.lowest_id.get(), 999_999_999_999_999_999);
    assert_eq!(span.highest_id.get(), 1_000_000_000_000_000_005);
    assert_eq!(span.oldest_at.to_rfc3339(), "2024-01-01T00:00:00+00:00");
    assert_eq!(span.newest_at.to_rfc3339(), "2024-01-03T00:00:00+00:00");
    assert_eq!(*batch.seal().summary(), summary);
}

#[test]
fn a_recycled_batch_is_empty_and_uses_the_same_buffer() {
    let mut batch = Batch::new(&origin(), 4096);
    assert!(!batch.is_full(100));
    push(&mut batch, &message(1, "2024-01-01T00:00:00Z"), 1, 10);
    assert!(batch.is_full(100));
    let sealed = batch.seal();
    let (first, buffer) = (rows(&sealed), sealed.stream().as_ptr());

    let mut batch = sealed.recycle();
    assert!(batch.is_empty() && !batch.is_full(100));
    push(&mut batch, &message(1, "2024-01-01T00:00:00Z"), 1, 10);
    let sealed = batch.seal();
    assert_eq!(rows(&sealed), first);
    assert_eq!(sealed.stream().as_ptr(), buffer);
    assert_eq!(sealed.summary().messages, 1);
    assert!(rows(&sealed.recycle().seal()).is_empty(), "an empty batch is a valid stream");
}

#[test]
fn selected_rows_form_a_valid_stream() {
    let jsons: Vec<String> = (1..=4).map(|id| message(id, "2024-01-01T00:00:00Z")).collect();
    let mut batch = Batch::new(&origin(), 1024);
    jsons[..2].iter().for_each(|json| push(&mut batch, json, 0, 0));
    // The other messages are from another document, so the ends of their rows differ.
    let newer = Some("2026-11-23T00:00:00Z".parse().unwrap());
    batch.set_origin(&Origin { exported_at: newer, ..origin() });
    jsons[2..].iter().for_each(|json| push(&mut batch, json, 0, 0));
    let sealed = batch.seal();
    assert_eq!(sealed.newest_export(), newer);
    assert_eq!(sealed.ids().map(Snowflake::get).collect::<Vec<_>>(), [1, 2, 3, 4]);
    for (index, json) in jsons.iter().enumerate() {
        assert_eq!(sealed.raw(index), json);
    }
    assert_eq!(sealed.raw(4), "");

    let all = rows(&sealed);
    for indexes in [vec![], vec![0], vec![3], vec![1, 2], vec![0, 1, 2, 3]] {
        let expected: Vec<Row> = indexes.iter().map(|index| all[*index].clone()).collect();
        assert_eq!(decode_rows(&sealed.select(indexes.iter().copied())), expected, "{indexes:?}");
    }
}

#[test]
fn a_message_too_large_for_a_field_of_postgres_is_refused_and_leaves_no_partial_row() {
    let huge = " ".repeat((512 << 20) + 1);
    let small = message(5, "2024-01-01T00:00:00Z");
    let mut message = Message::parse(&small).unwrap();
    message.raw = &huge;
    let mut batch = Batch::new(&origin(), 1024);
    assert_eq!(batch.push(&message, 0, 0, 0), Err(RowTooLarge { id: message.id, bytes: huge.len() }));
    assert!(batch.is_empty() && rows(&batch.seal()).is_empty());
}

proptest! {
    #[test]
    fn any_message_is_read_back_unchanged_from_its_row(
        id: u64,
        micros in -62_000_000_000_000_000_i64..250_000_000_000_000_000,
        content in any::<Option<String>>(),
        name in any::<Option<String>>(),
        author in any::<Option<u64>>(),
    ) {
        let author = author.map(|id| id.to_string());
        let timestamp = DateTime::<Utc>::from_timestamp_micros(micros).unwrap();
        let json = json!({
            "id": id.to_string(), "timestamp": timestamp.to_rfc3339(), "content": content, "author": {"id": author, "name": name},
        });
        let mut batch = Batch::new(&origin(), 64);
        for _ in 0..3 {
            push(&mut batch, &json.to_string(), 0, 0);
        }
        let sealed = batch.seal();
        let rows = rows(&sealed);
        prop_assert_eq!(rows.len(), 3);
        prop_assert_eq!(sealed.author_id(3), None);
        for (index, row) in rows.iter().enumerate() {
            prop_assert_eq!(sealed.author_id(index), author.as_deref());
            prop_assert_eq!(text(row, "author_id"), author.clone());
            prop_assert_eq!(text(row, "message_id").unwrap(), id.to_string());
            prop_assert_eq!(time(row, "timestamp"), Some(timestamp));
            prop_assert_eq!(text(row, "content"), content.clone());
            prop_assert_eq!(text(row, "author_name"), name.clone());
            prop_assert_eq!(jsonb(row, "raw").unwrap(), json.clone());
        }
    }
}
