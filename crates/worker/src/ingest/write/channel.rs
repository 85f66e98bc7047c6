//! A document's description of its channel as a row of `channels`.

use dce_core::store::batches::channel::Channel;
use dce_ingest::document::header::Header;

pub(super) fn channel(header: Header) -> Channel {
    let (guild_id, guild_name) =
        header.guild.map_or((None, None), |guild| (Some(guild.id.to_string()), guild.name));
    Channel {
        channel_id: header.channel.id,
        guild_id,
        guild_name,
        name: header.channel.name,
        kind: header.channel.kind,
        topic: header.channel.topic,
        category_id: header.channel.category_id.map(|id| id.to_string()),
        category: header.channel.category,
    }
}
