//! `dce-api index search`: builds or drops the index on the text of messages (docs/search.md).

use std::io::Write;
use std::time::Instant;

use clap::Args;
use dce_core::db::{DatabaseUrl, DbError, connect_index_build};
use dce_core::store::StoreError;
use dce_core::store::search_index::{self, IndexState};

/// Arguments of the command.
#[derive(Debug, Clone, PartialEq, Eq, Args)]
pub struct SearchIndexArguments {
    /// Drop the index: imports and exports are faster without it
    #[arg(long)]
    drop: bool,
}

/// Why there is no index. The command can be repeated.
#[derive(Debug, thiserror::Error)]
pub enum SearchIndexError {
    /// The database is away.
    #[error(transparent)]
    Connect(#[from] DbError),
    /// Nobody ran the migrations.
    #[error("the database's schema is not up to date: run `dce-api migrate` first")]
    SchemaMissing(#[source] StoreError),
    /// A statement failed.
    #[error("the database failed; the command can be repeated: {0}")]
    Store(#[source] StoreError),
}

impl From<StoreError> for SearchIndexError {
    fn from(error: StoreError) -> Self {
        if error.is_schema_missing() { Self::SchemaMissing(error) } else { Self::Store(error) }
    }
}

/// Does it, and says what it does.
pub async fn run(url: &DatabaseUrl, arguments: &SearchIndexArguments) -> Result<(), SearchIndexError> {
    let connection = &mut connect_index_build(url, "dce-api index").await?;
    let found = search_index::state(connection).await?;
    if arguments.drop {
        search_index::drop(connection).await?;
        tell(match found {
            IndexState::Missing => "There is no index messages_content_trgm.",
            IndexState::Valid | IndexState::Invalid => "Dropped the index messages_content_trgm.",
        });
        return Ok(());
    }
    match found {
        IndexState::Valid => {
            tell("The index messages_content_trgm is there already.");
            return Ok(());
        }
        IndexState::Invalid => tell("Dropping what an interrupted build has left."),
        IndexState::Missing => {}
    }
    tell(
        "Building the index messages_content_trgm on the text of messages. Reads and writes go on meanwhile.",
    );
    let began = Instant::now();
    search_index::create(connection).await?;
    tell(&format!("Built in {} s. `dce-api index search --drop` drops it.", began.elapsed().as_secs()));
    Ok(())
}

/// A result. Nobody reads what a closed pipe would have taken; the exit code still tells.
fn tell(line: &str) {
    let _ = writeln!(std::io::stdout(), "{line}");
}
