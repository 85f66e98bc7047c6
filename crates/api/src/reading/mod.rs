//! Reading messages: query parameters, negotiated format, and the response as one page or as a stream of everything.

mod answer;
pub mod negotiation;
mod page;
pub mod parameters;
pub mod sessions;
mod stream;

use actix_web::HttpRequest;
use dce_core::store::reading::messages::Source;

use self::answer::Answer;
use self::negotiation::MessageFormat;
use self::parameters::Parameters;
use self::sessions::ReadSessions;
use crate::problem::Problem;

/// Reads messages from these sources: a page as JSON, everything in the other formats.
pub(crate) async fn read(
    request: &HttpRequest,
    parameters: &Parameters,
    sources: Vec<Source>,
    sessions: &ReadSessions,
) -> Result<Answer, Problem> {
    let reader = parameters.reader(sources)?;
    match parameters.format {
        MessageFormat::Json => page::answer(request, parameters, sessions, reader).await,
        MessageFormat::JsonLines | MessageFormat::Csv => {
            stream::answer(request, parameters, sessions, reader).await
        }
    }
}
