//! From documents to rows in Postgres: one façade for live attempts and imports.
//!
//! [`read`] turns a source's bytes into batches on threads of its own, [`write`] commits them. The ingest does not know who
//! writes the documents: a [`Source`] hands over bytes, and a callback learns which parts are committed.

pub mod read;
pub mod write;

use std::io;
use std::sync::OnceLock;

use dce_core::store::transitions::{Checkpoint, ClaimedRun};
use dce_filter::Filter;
use dce_ingest::copy::batch::Origin;
use tokio::sync::mpsc;

use read::delivery::{Documents, Read, ReadError};
use read::message_filter::MessageFilter;
use read::message_order::ReadStart;
use read::reader::DocumentReader;
use read::source::{Author, Source};
use read::summary::ReadSummary;
use write::checkpoint::CheckpointWriter;
use write::error::WriteError;
use write::sessions::Sessions;
use write::window_end::WindowEnd;
use write::{BatchWriter, parallel_writer};

/// Batches between reader and writer, besides the one being filled and those being written.
const BATCHES_WAITING: usize = 2;

/// The ingest of one attempt.
#[derive(Debug)]
pub struct Ingest<'a> {
    run: &'a ClaimedRun,
    author: Author,
    filter: Option<Filter>,
    writer: BatchWriter<'a>,
    summary: OnceLock<ReadSummary>,
}

/// How reading and writing ended.
#[derive(Debug)]
pub struct Ingested {
    pub read: Result<Documents, ReadError>,
    pub written: Result<(), WriteError>,
}

impl<'a> Ingest<'a> {
    /// The ingest of the attempt that owns `run`. `filter`: only matching messages are stored.
    pub fn new(sessions: &'a Sessions, run: &'a ClaimedRun, author: Author, filter: Option<Filter>) -> Self {
        let writer = BatchWriter::new(sessions, run, author);
        Self { run, author, filter, writer, summary: OnceLock::new() }
    }

    /// Reads the source to its end and commits all of it, or stops at the first batch that cannot be written. Calls
    /// `part_committed` for each part whose messages are all committed.
    pub async fn run(
        &self,
        source: impl Source + Send + 'static,
        part_committed: impl FnMut(u32),
    ) -> Ingested {
        let (deliveries, delivered) = mpsc::channel(BATCHES_WAITING);
        let (recycle, recycled) = mpsc::channel(BATCHES_WAITING + 1);
        let ClaimedRun { channel_id, job_id, .. } = *self.run;
        let reader = DocumentReader {
            source,
            author: self.author,
            origin: Origin { channel_id, job_id, exported_at: None },
            start: ReadStart::from(self.run),
            filter: self.filter.clone().map(MessageFilter::from),
            deliveries,
            recycled,
        };
        let reading = tokio::task::spawn_blocking(move || reader.read());
        let written = parallel_writer::write_all(&self.writer, delivered, recycle, part_committed).await;
        // Without a receiver the reader stops soon.
        let Read { documents, summary } = reading.await.unwrap_or_else(|panic| Read {
            documents: Err(ReadError::Io(io::Error::other(panic))),
            summary: ReadSummary::default(),
        });
        self.summary.get_or_init(|| summary);
        Ingested { read: documents, written }
    }

    /// What [`Self::run`] has read; nothing before it has returned.
    pub fn read_summary(&self) -> &ReadSummary {
        self.summary.get_or_init(ReadSummary::default)
    }

    /// Writes the checkpoint of the last batches. Messages out of order stay above the cursor.
    pub async fn flush(&self) -> Result<(), WriteError> {
        self.writer.finish(false).await
    }

    /// Marks archived messages between the last message and the window's end as missing. Only for a source that was read to
    /// the end of the window; may be repeated.
    pub async fn mark_rest(&self, end: &WindowEnd) -> Result<(), WriteError> {
        self.writer.mark_rest(self.read_summary(), end).await
    }

    /// The run's last checkpoint, once its source was read to the end and [`Self::flush`] has succeeded: nothing comes below
    /// the last message any more, so messages out of order count, too.
    pub async fn final_checkpoint(&self) -> Checkpoint {
        self.writer.checkpoints().completed().await
    }

    /// Writes the last checkpoint of a source that was read to its end: messages out of order count, too.
    pub async fn finish(&self) -> Result<(), WriteError> {
        self.writer.finish(true).await
    }

    /// The run's position as the database knows it.
    pub const fn checkpoints(&self) -> &CheckpointWriter {
        self.writer.checkpoints()
    }
}
