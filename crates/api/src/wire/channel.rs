//! An archived channel.

use chrono::{DateTime, Utc};
use dce_core::store::reading::channels::ArchivedChannel;

use super::body;

body! {
    /// An archived channel or thread; field names are column names.
    #[schema(as = ChannelView)]
    Channel from channel: ArchivedChannel {
        /// Its id.
        #[schema(example = "102938475647382910")]
        channel_id: String,
        /// Its server; `0` for direct messages.
        guild_id: Option<String>,
        /// The server's name.
        guild_name: Option<String>,
        /// Its name.
        name: Option<String>,
        /// DCE's name for its type, or a number.
        #[schema(example = "GuildTextChat")]
        r#type: Option<String>,
        /// Its topic.
        topic: Option<String>,
        /// Its parent: a thread's channel or forum, a channel's category.
        category_id: Option<String>,
        /// The parent's name.
        category: Option<String>,
        /// Messages that are archived.
        archived_count: i64,
        /// Archived without a gap up to this message.
        covered_to_id: Option<String>,
        /// When this was written last.
        updated_at: DateTime<Utc>,
    }
}
