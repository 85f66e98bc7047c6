//! How the export of a channel ends when a request fails.

use dce_standin::header::Header;
use dce_standin::snowflake::Snowflake;

use crate::channel_export::{ChannelExport, ExportError};
use crate::discord::{HttpError, RequestError};
use crate::ending::{ChannelOutcome, conclude};
use crate::process_exit::ProcessExit;
use crate::recorded_texts::{self, RecordedTexts};

/// Why the export of a channel stops.
#[derive(Debug, thiserror::Error)]
pub(super) enum AskedExportError {
    #[error(transparent)]
    Request(#[from] RequestError),
    /// Before a message was written, for the sake of it.
    #[error("message {}: {source}", id.0)]
    Message { id: Snowflake, source: RequestError },
    /// While a message was being written, which has been cut.
    #[error("message {}: {source}", id.0)]
    CutMessage { id: Snowflake, source: RequestError },
    #[error(transparent)]
    Export(#[from] ExportError),
    #[error("message {} has no field `dce`: this program exports from a fake Discord only", .0.0)]
    NotAFake(Snowflake),
}

/// Closes the document, unless a message was cut in it, and tells how the export ended.
pub(super) fn close(
    export: &mut ChannelExport<'_>,
    header: &Header,
    result: Result<ChannelOutcome, AskedExportError>,
) -> anyhow::Result<ChannelOutcome> {
    let texts = export.texts;
    match result {
        Ok(outcome) => Ok(outcome),
        Err(AskedExportError::Export(error)) => conclude(export, Err(error)),
        Err(AskedExportError::Request(error)) => {
            let closed = export.writer.finish().map_err(ExportError::from);
            conclude(export, closed.map(|()| request_outcome(&error, texts)))
        }
        Err(AskedExportError::Message { id, source }) => {
            let closed = export.writer.finish().map_err(ExportError::from);
            conclude(export, closed.map(|()| message_outcome(id, &source, texts, header)))
        }
        Err(AskedExportError::CutMessage { id, source }) => Ok(message_outcome(id, &source, texts, header)),
        Err(error @ AskedExportError::NotAFake(_)) => Err(error.into()),
    }
}

/// How a failed request ends the export of a channel.
pub(super) fn request_outcome(error: &RequestError, texts: &'static RecordedTexts) -> ChannelOutcome {
    match error {
        RequestError::Refused { .. } => ChannelOutcome::Failed(error.to_string()),
        _ => ChannelOutcome::Fatal(fatal(error, texts)),
    }
}

fn message_outcome(
    id: Snowflake,
    error: &RequestError,
    texts: &'static RecordedTexts,
    header: &Header,
) -> ChannelOutcome {
    match request_outcome(error, texts) {
        ChannelOutcome::Fatal(ProcessExit::Exit(code, text)) => {
            let text = recorded_texts::failed_message(id.0, header, &text);
            ChannelOutcome::Fatal(ProcessExit::Exit(code, text))
        }
        other => other,
    }
}

/// How a failed request ends the process.
pub(crate) fn fatal(error: &RequestError, texts: &'static RecordedTexts) -> ProcessExit {
    ProcessExit::error(match error {
        RequestError::Http(HttpError::Interrupted) => return ProcessExit::Cancelled(texts),
        RequestError::Http(HttpError::Dropped) => texts.dropped.to_owned(),
        RequestError::Http(HttpError::Unreachable) => recorded_texts::UNREACHABLE.to_owned(),
        RequestError::InvalidToken => texts.invalid_token.to_owned(),
        RequestError::NoIntent => texts.no_intent.to_owned(),
        RequestError::Unreadable { .. } => texts.unreadable.to_owned(),
        RequestError::Refused { request, is_forbidden } => texts.refused(request, *is_forbidden),
        RequestError::Failed { request, reason, body } => texts.failed(request, reason, body),
    })
}
