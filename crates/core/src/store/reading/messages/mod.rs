//! Reads of archived messages, in pages and in the order of time.
//!
//! The order is (timestamp, id as a number). A page starts after a position: messages that are added or deleted meanwhile
//! neither repeat nor hide others, and a deep page costs as much as the first. No session is held between pages.

mod bounds;
mod columns;
mod page_reader;
mod query;
mod sessions;
mod sources;
mod statement;
mod text_search;

pub use columns::{Column, Row, Value};
pub use page_reader::{Page, PageLimits, PageReader, RowSink, read_message};
pub use query::{Bound, Has, MessageFilters, PageStart, Position, SortOrder};
pub use sessions::Sessions;
pub use sources::{ExportSources, Source, channel_source, export_sources};
