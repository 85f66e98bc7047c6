//! `dce-api index search`: builds or drops the index on the text of messages (docs/search.md).

use std::time::Instant;

use clap::Args;
use dce_core::db::{DatabaseUrl, connect_index_build};
use dce_core::store::search_index::{self, IndexState};

use crate::command_output::{CommandError, print};

#[derive(Debug, Clone, PartialEq, Eq, Args)]
#[command(after_help = "Needs DATABASE_URL.")]
pub struct SearchIndexArguments {
    /// Drop the index instead of building it. Imports and exports are faster without it
    #[arg(long)]
    drop: bool,
}

/// Builds or drops the index and prints each step.
pub async fn run(url: &DatabaseUrl, arguments: &SearchIndexArguments) -> Result<(), CommandError> {
    let connection = &mut connect_index_build(url, "dce-api index").await?;
    let found = search_index::state(connection).await?;
    if arguments.drop {
        search_index::drop(connection).await?;
        print(match found {
            IndexState::Missing => "There is no index messages_content_trgm.",
            IndexState::Valid | IndexState::Invalid => "Dropped the index messages_content_trgm.",
        });
        return Ok(());
    }
    match found {
        IndexState::Valid => {
            print("The index messages_content_trgm exists already.");
            return Ok(());
        }
        IndexState::Invalid => print("Dropping the remains of an interrupted build."),
        IndexState::Missing => {}
    }
    print(
        "Building the index messages_content_trgm on the text of messages. Reads and writes continue meanwhile.",
    );
    let started = Instant::now();
    search_index::create(connection).await?;
    print(&format!("Built in {} s. `dce-api index search --drop` drops it.", started.elapsed().as_secs()));
    Ok(())
}
