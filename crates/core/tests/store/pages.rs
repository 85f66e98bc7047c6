//! Pages of the archive: each message once, in order, for any page size.

use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use dce_core::db::{DatabaseUrl, connect_control, connect_read};
use dce_core::ids::Snowflake;
use dce_core::store::reading::messages::{
    Bound, Column, MessageFilters, PageLimits, PageReader, PageStart, Sessions, SortOrder, Source, Value,
    channel_source,
};
use dce_filter::Filter;
use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::TestRunner;

use super::support::Store;

/// The first id of 19 digits.
const NINETEEN_DIGITS: u64 = 1_000_000_000_000_000_000;
/// Random channels.
const CASES: usize = 60;

/// Sessions as in the API.
pub(crate) fn sessions(store: &Store) -> Sessions {
    let url = DatabaseUrl::parse(&store.database.url()).unwrap();
    Sessions::new(connect_read(&url, "test read", 2), connect_control(&url, "test control", 1))
}

/// Limits of pages by the number of messages only.
pub(crate) const fn pages_of(rows: u32) -> PageLimits {
    PageLimits { rows, bytes: usize::MAX, time: Duration::from_secs(60), checks_for_more: true }
}

/// Channel and id of each message of the next page.
async fn page(
    sessions: &Sessions,
    reader: &mut PageReader,
    limits: PageLimits,
) -> (Vec<(Snowflake, Snowflake)>, Option<PageStart>) {
    let mut messages = Vec::new();
    let mut take = |row: &dce_core::store::reading::messages::Row<'_>| {
        let mut ids = row.values().map(|value| match value.unwrap() {
            (_, Value::Text(id)) => id.parse::<Snowflake>().unwrap(),
            other => panic!("{other:?}"),
        });
        messages.push((ids.next().unwrap(), ids.next().unwrap()));
        Ok(1)
    };
    let page = reader.page(sessions, limits, &mut take).await.unwrap();
    assert_eq!(messages.len(), page.rows as usize);
    (messages, page.next)
}

/// Reads all pages, each with a new reader, as for clients that send a cursor.
pub(crate) async fn walk(
    sessions: &Sessions,
    sources: &[Source],
    filters: &MessageFilters,
    order: SortOrder,
    limits: PageLimits,
) -> Vec<(Snowflake, Snowflake)> {
    let (mut all, mut start) = (Vec::new(), None);
    loop {
        let columns = vec![Column::ChannelId, Column::MessageId];
        let mut reader = PageReader::new(sources.to_vec(), filters.clone(), order, columns, start).unwrap();
        let (messages, next) = page(sessions, &mut reader, limits).await;
        assert!(messages.len() <= limits.rows as usize);
        all.extend(messages);
        match next {
            Some(place) => assert_ne!(start.replace(place), Some(place), "no progress"),
            None => return all,
        }
    }
}

/// A message of the model.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Message {
    channel: Snowflake,
    id: Snowflake,
    sent: DateTime<Utc>,
}

/// Messages of two channels around the id that gets another digit, several of the same time; some ids are in both.
fn messages() -> impl Strategy<Value = Vec<Message>> {
    let message = (1..=2_u64, 0..40_u64, 0..6_i64).prop_map(|(channel, step, moment)| {
        let id = Snowflake::new(NINETEEN_DIGITS - 20 + step);
        let sent = Snowflake::new(NINETEEN_DIGITS).time() + TimeDelta::microseconds(moment * 500);
        Message { channel: Snowflake::new(channel), id, sent }
    });
    prop::collection::vec(message, 0..70).prop_map(|mut messages| {
        messages.sort_unstable_by_key(|message| (message.channel, message.id));
        messages.dedup_by_key(|message| (message.channel, message.id));
        messages
    })
}

fn edge() -> impl Strategy<Value = Option<Bound>> {
    let id = (0..44_u64).prop_map(|step| Some(Bound::Id(Snowflake::new(NINETEEN_DIGITS - 22 + step))));
    let time = (0..7_i64).prop_map(|moment| {
        Some(Bound::Time(Snowflake::new(NINETEEN_DIGITS).time() + TimeDelta::microseconds(moment * 500)))
    });
    prop_oneof![3 => Just(None), 2 => id, 1 => time]
}

fn sources() -> impl Strategy<Value = Vec<Source>> {
    let id = |step: u64| Snowflake::new(NINETEEN_DIGITS - 22 + step);
    let source = |channel: u64| {
        let range = (0..44_u64, 0..44_u64).prop_map(move |(a, b)| (id(a.min(b)), id(a.max(b))));
        prop::option::weighted(0.7, range)
            .prop_map(move |range| Source { channel_id: Snowflake::new(channel), range })
    };
    prop_oneof![
        source(1).prop_map(|one| vec![one]),
        (source(2), source(1)).prop_map(|(two, one)| vec![two, one]),
    ]
}

/// The expected result of reading all pages.
fn expected(
    messages: &[Message],
    sources: &[Source],
    filters: &MessageFilters,
    order: SortOrder,
) -> Vec<(Snowflake, Snowflake)> {
    let later = |message: &Message, edge: Bound| match edge {
        Bound::Id(id) => message.id > id,
        Bound::Time(time) => message.sent > time,
    };
    let earlier = |message: &Message, edge: Bound| match edge {
        Bound::Id(id) => message.id < id,
        Bound::Time(time) => message.sent < time,
    };
    let mut all = Vec::new();
    for source in sources {
        let mut part: Vec<_> = messages
            .iter()
            .filter(|message| message.channel == source.channel_id)
            .filter(|message| source.range.is_none_or(|(first, last)| (first..=last).contains(&message.id)))
            .filter(|message| filters.after.is_none_or(|edge| later(message, edge)))
            .filter(|message| filters.before.is_none_or(|edge| earlier(message, edge)))
            .collect();
        part.sort_unstable_by_key(|message| (message.sent, message.id));
        all.extend(part.into_iter().map(|message| (message.channel, message.id)));
    }
    if order == SortOrder::Desc {
        all.reverse();
    }
    all
}

async fn insert(store: &Store, messages: &[Message]) {
    for message in messages {
        sqlx::query(
            r#"INSERT INTO messages (channel_id, message_id, author_id, "timestamp", raw) VALUES ($1, $2, $3, $4, '{}')"#,
        )
        .bind(message.channel.to_string())
        .bind(message.id.to_string())
        .bind((message.id.get() % 3).to_string())
        .bind(message.sent)
        .execute(&store.pool)
        .await
        .unwrap();
    }
}

#[tokio::test]
async fn pages_of_any_size_are_the_whole_list_once() {
    let store = Store::new().await;
    let sessions = sessions(&store);
    let mut runner = TestRunner::deterministic();
    let strategy = (messages(), sources(), edge(), edge(), 1..9_u32, any::<bool>(), any::<bool>());
    let mut read = 0;
    for _ in 0..CASES {
        let (messages, sources, after, before, rows, is_desc, is_filtered) =
            strategy.new_tree(&mut runner).unwrap().current();
        store.execute("TRUNCATE messages").await;
        insert(&store, &messages).await;
        let order = if is_desc { SortOrder::Desc } else { SortOrder::Asc };
        let mut filters = MessageFilters { after, before, ..MessageFilters::default() };
        let mut expected = expected(&messages, &sources, &filters, order);
        if is_filtered {
            filters.author_id = Some(Snowflake::new(1));
            expected.retain(|(_, id)| id.get() % 3 == 1);
        }
        let all = walk(&sessions, &sources, &filters, order, pages_of(rows)).await;
        assert_eq!(all, expected, "{sources:?} {filters:?} {order:?} by {rows}");
        read += all.len();
    }
    assert!(read > CASES, "the cases are empty: {read}");
}

#[tokio::test]
async fn added_messages_neither_repeat_nor_hide_others() {
    let store = Store::new().await;
    let sessions = sessions(&store);
    let mut runner = TestRunner::deterministic();
    for order in [SortOrder::Asc, SortOrder::Desc] {
        store.execute("TRUNCATE messages").await;
        let all = messages().new_tree(&mut runner).unwrap().current();
        let (first, rest): (Vec<_>, Vec<_>) = all.into_iter().partition(|message| message.id.get() % 2 == 0);
        insert(&store, &first).await;
        let sources = channel_source(Snowflake::new(1));
        let mut rest = rest.chunks(3);
        let (mut walked, mut start) = (Vec::new(), None);
        loop {
            let columns = vec![Column::ChannelId, Column::MessageId];
            let mut reader =
                PageReader::new(sources.clone(), MessageFilters::default(), order, columns, start).unwrap();
            let (messages, next) = page(&sessions, &mut reader, pages_of(2)).await;
            walked.extend(messages);
            insert(&store, rest.next().unwrap_or_default()).await;
            match next {
                Some(place) => start = Some(place),
                None => break,
            }
        }
        let mut once = walked.clone();
        once.sort_unstable();
        once.dedup();
        assert_eq!(once.len(), walked.len(), "something came twice");
        walked.retain(|(_, id)| id.get() % 2 == 0);
        assert_eq!(walked, expected(&first, &sources, &MessageFilters::default(), order));
    }
}

/// More messages than a window has, half of them of the same time; one in a thousand matches.
const MANY: &str = r#"INSERT INTO messages (channel_id, message_id, author_id, content, "timestamp", raw)
    SELECT '1', (1000000000000000000 - 30000 + n)::text, (n % 1000)::text,
           CASE n % 1000 WHEN 7 THEN 'a NEEDLE 길드 100%' ELSE 'hay' END,
           '2022-07-22T11:22:59Z'::timestamptz + make_interval(secs => greatest(0, n - 30000) / 1000.0),
           jsonb_build_object('content', CASE n % 1000 WHEN 7 THEN 'a NEEDLE 길드 100%' ELSE 'hay' END)
      FROM generate_series(1, 60000) n"#;

#[tokio::test]
async fn rare_matches_are_found_with_and_without_an_index() {
    let store = Store::new().await;
    store.execute(MANY).await;
    let sessions = sessions(&store);
    let sources = channel_source(Snowflake::new(1));
    let rare: Vec<u64> =
        (1..=60_000).filter(|n| n % 1000 == 7).map(|n| NINETEEN_DIGITS - 30_000 + n).collect();
    for is_indexed in [false, true] {
        if is_indexed {
            let mut session = store.session().await;
            dce_core::store::search_index::create(&mut session).await.unwrap();
        }
        for order in [SortOrder::Asc, SortOrder::Desc] {
            for filters in [
                MessageFilters { author_id: Some(Snowflake::new(7)), ..MessageFilters::default() },
                MessageFilters { text: Some("needle".into()), ..MessageFilters::default() },
                MessageFilters { text: Some("길드".into()), ..MessageFilters::default() },
                MessageFilters { text: Some("0%".into()), ..MessageFilters::default() },
            ] {
                for rows in [7, 1000] {
                    let all = walk(&sessions, &sources, &filters, order, pages_of(rows)).await;
                    let mut ids: Vec<u64> = all.into_iter().map(|(_, id)| id.get()).collect();
                    if order == SortOrder::Desc {
                        ids.reverse();
                    }
                    assert_eq!(ids, rare, "{filters:?} {order:?} by {rows}, index: {is_indexed}");
                }
            }
        }
        let nothing = MessageFilters { text: Some("N%EEDLE_".into()), ..MessageFilters::default() };
        assert_eq!(walk(&sessions, &sources, &nothing, SortOrder::Asc, pages_of(5)).await, []);
    }
}

#[tokio::test]
async fn the_filter_of_an_export_leaves_its_matches_and_a_page_reads_ten_thousand_rows() {
    let store = Store::new().await;
    store.execute(MANY).await;
    let sessions = sessions(&store);
    let sources = channel_source(Snowflake::new(1));
    let rare: Vec<u64> =
        (1..=60_000).filter(|n| n % 1000 == 7).map(|n| NINETEEN_DIGITS - 30_000 + n).collect();
    let filter = |text| Some(Filter::parse(text).unwrap());
    let needle = MessageFilters { export_filter: filter("needle"), ..MessageFilters::default() };
    for order in [SortOrder::Asc, SortOrder::Desc] {
        for filters in [needle.clone(), MessageFilters { text: Some("eedle".into()), ..needle.clone() }] {
            for rows in [1, 7, 1000] {
                let all = walk(&sessions, &sources, &filters, order, pages_of(rows)).await;
                let mut ids: Vec<u64> = all.into_iter().map(|(_, id)| id.get()).collect();
                if order == SortOrder::Desc {
                    ids.reverse();
                }
                assert_eq!(ids, rare, "{filters:?} {order:?} by {rows}");
            }
        }
    }
    let columns = vec![Column::ChannelId, Column::MessageId];
    for checks_for_more in [true, false] {
        let limits = PageLimits { checks_for_more, ..pages_of(1000) };
        let mut reader =
            PageReader::new(sources.clone(), needle.clone(), SortOrder::Asc, columns.clone(), None).unwrap();
        let mut sizes = Vec::new();
        loop {
            let (messages, next) = page(&sessions, &mut reader, limits).await;
            sizes.push(messages.len());
            if next.is_none() {
                break;
            }
        }
        assert_eq!(sizes, [10, 10, 10, 10, 10, 10, 0], "the last page finds the end");
    }
    let nothing = MessageFilters { export_filter: filter("~hay ~needle"), ..MessageFilters::default() };
    assert_eq!(walk(&sessions, &sources, &nothing, SortOrder::Asc, pages_of(5)).await, []);
}

#[tokio::test]
async fn a_page_ends_at_its_limit_of_bytes_or_time() {
    let store = Store::new().await;
    store.execute(MANY).await;
    let sessions = sessions(&store);
    let sources = channel_source(Snowflake::new(1));
    let columns = vec![Column::ChannelId, Column::MessageId];
    // Each message counts as one byte.
    let limits = PageLimits { bytes: 5, ..pages_of(1000) };
    let mut reader =
        PageReader::new(sources.clone(), MessageFilters::default(), SortOrder::Asc, columns.clone(), None)
            .unwrap();
    for _ in 0..3 {
        assert_eq!(page(&sessions, &mut reader, limits).await.0.len(), 5);
    }
    let limits = PageLimits { time: Duration::ZERO, ..pages_of(1000) };
    let rare = MessageFilters { text: Some("nothing at all".into()), ..MessageFilters::default() };
    let mut reader = PageReader::new(sources, rare, SortOrder::Asc, columns, None).unwrap();
    let (messages, next) = page(&sessions, &mut reader, limits).await;
    assert!(messages.is_empty() && next.is_some(), "a window, and no more");
    let mut windows = 1;
    while page(&sessions, &mut reader, limits).await.1.is_some() {
        windows += 1;
    }
    assert!((2..10).contains(&windows), "{windows}");
}

#[test]
fn a_start_in_another_channel_is_refused() {
    let position = dce_core::store::reading::messages::Position {
        timestamp: Snowflake::new(NINETEEN_DIGITS).time(),
        message_id: Snowflake::new(1),
    };
    let start = Some(PageStart { channel_id: Snowflake::new(2), position });
    let reader = PageReader::new(
        channel_source(Snowflake::new(1)),
        MessageFilters::default(),
        SortOrder::Asc,
        Vec::new(),
        start,
    );
    assert!(reader.is_none());
}
