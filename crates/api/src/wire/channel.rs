//! An archived channel.

use chrono::{DateTime, Utc};
use dce_core::store::reading::channels::ArchivedChannel;

use super::body;

body! {
    /// An archived channel or thread. Field names are column names.
    #[schema(as = ChannelView)]
    Channel from channel: ArchivedChannel {
        #[schema(example = "102938475647382910")]
        channel_id: String,
        /// The guild; `0` for direct messages.
        guild_id: Option<String>,
        guild_name: Option<String>,
        name: Option<String>,
        /// DiscordChatExporter's name of the channel type, or a number.
        #[schema(example = "GuildTextChat")]
        r#type: Option<String>,
        topic: Option<String>,
        /// The parent: the channel or forum of a thread, the category of a channel.
        category_id: Option<String>,
        /// The parent's name.
        category: Option<String>,
        /// Number of archived messages.
        archived_count: i64,
        /// The archive has no gap up to this message.
        covered_to_id: Option<String>,
        /// When this row was last written.
        updated_at: DateTime<Utc>,
    }
}
