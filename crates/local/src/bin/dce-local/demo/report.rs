//! Prints the archived messages, read from the tables themselves.

use std::io::Write;
use std::process::Stdio;

use anyhow::{Context, bail};
use dce_local::PrivatePostgres;

/// Ids are text and compared as numbers: by length, then by digits.
const FIRST_MESSAGES: &str = r#"
\pset footer off
\pset pager off
SELECT count(*) AS count FROM messages WHERE channel_id = :'channel' \gset
\echo '\nTable messages holds' :count 'messages of the channel; the first of them:'
SELECT to_char("timestamp" AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI:SS') AS "time (UTC)",
       author_name AS author, left(regexp_replace(content, '\s+', ' ', 'g'), 60) AS content
FROM messages WHERE channel_id = :'channel' ORDER BY length(message_id), message_id LIMIT 5;
"#;

/// Prints how many messages of the channel are archived, and the first of them.
pub(super) fn messages(postgres: &PrivatePostgres, channel_id: &str) -> anyhow::Result<()> {
    let mut psql = postgres
        .psql("postgres")
        .args(["--quiet", "--set=ON_ERROR_STOP=1", "--set", &format!("channel={channel_id}")])
        .stdin(Stdio::piped())
        .spawn()
        .context("cannot run psql")?;
    if let Some(mut input) = psql.stdin.take() {
        input.write_all(FIRST_MESSAGES.as_bytes())?;
    }
    let status = psql.wait()?;
    if !status.success() {
        bail!("psql could not read the archived messages ({status})");
    }
    Ok(())
}
