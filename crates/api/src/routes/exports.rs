//! `/exports`: takes them, shows them.

use std::collections::HashMap;

use actix_web::http::header::{LOCATION, RETRY_AFTER};
use actix_web::{HttpRequest, HttpResponse, web};
use chrono::{DateTime, Utc};
use dce_core::export::request::{ExportRequest, FORMAT, Fault, FaultCode};
use dce_core::ids::Snowflake;
use dce_core::store::{self, Created, ExportView, NewExport};
use serde::Serialize;
use tracing::Span;
use utoipa::ToSchema;
use uuid::Uuid;

use super::new_export::NewExportBody;
use crate::body;
use crate::problem::{Code, Problem};
use crate::request_id::RequestId;
use crate::state::{AppState, in_time};

/// A header that would make retries safe, and must not be taken for one that does.
const IDEMPOTENCY_KEY: &str = "Idempotency-Key";
/// Seconds after which a client may look what became of its export.
const POLL_AFTER: u32 = 1;

/// Submit an export
///
/// Answered once the export and its first tasks are committed: from then on it is done, whatever dies when. With
/// `Idempotency-Key` the request can be repeated without a second export.
#[utoipa::path(post, path = "/exports", tag = "exports", request_body(content = NewExportBody,
        example = json!({ "channel_id": "900000000000001004", "start_at": "2024-07-03T18:50:40+09:00" })),
    responses(
        (status = 202, description = "It is taken.", body = Accepted,
         headers(("Location" = String, description = "The export."), ("Retry-After" = u32, description = "Seconds after which to look what became of it.")),
         example = json!({ "job_id": "01990f3e-6a3b-7c51-9e54-1f2a3b4c5d6e", "status": "pending", "channel_id": "900000000000001004",
                           "channel_ids": ["900000000000001004"], "created_at": "2026-11-23T08:38:01.247217Z",
                           "links": { "self": "/exports/01990f3e-6a3b-7c51-9e54-1f2a3b4c5d6e" } })),
        (status = 400, description = "`unsupported_format`"),
        (status = 403, description = "`channel_not_allowed`"),
        (status = 422, description = "`validation_failed`"),
    ))]
pub(crate) async fn create(
    request: HttpRequest,
    payload: web::Payload,
    id: web::ReqData<RequestId>,
    state: web::Data<AppState>,
) -> Result<HttpResponse, Problem> {
    let body = body::json_object(&request, payload).await?;
    let mut faults = header_faults(&request);
    let wanted = match ExportRequest::parse(&body, state.channels.default_channel()) {
        Ok(wanted) if faults.is_empty() => wanted,
        Ok(_) => return Err(faults.into()),
        Err(more) => {
            faults.extend(more);
            return Err(faults.into());
        }
    };
    check_channels(&state, &wanted.channels).await?;

    let new = new_export(wanted, &id, &state);
    let created = in_time(store::exports::create(&state.pool, &new, state.limit)).await?;
    Span::current().record("job_id", tracing::field::display(created.job_id));
    tracing::info!(channels = new.channels.len(), "export.created");

    let links = Links::of(created.job_id);
    Ok(accepted(&links, &Accepted::new(&created, &new.channels, &links)))
}

/// Look at an export
///
/// Its state, counts and runs.
#[utoipa::path(get, path = "/exports/{job_id}", tag = "exports",
    params(("job_id" = Uuid, Path, description = "The export.")),
    responses(
        (status = 200, description = "The export.", body = ExportView, example = json!({})),
        (status = 404, description = "`export_not_found`"),
    ))]
pub(crate) async fn show(
    job_id: web::Path<String>,
    state: web::Data<AppState>,
) -> Result<HttpResponse, Problem> {
    let job_id = known(&job_id)?;
    let view = in_time(store::view::find(&state.pool, job_id)).await?.ok_or_else(not_found)?;
    Ok(HttpResponse::Ok().json(view))
}

/// The id in the path. Ids are UUIDs that the service makes itself: another text is the id of nothing.
pub(super) fn known(job_id: &str) -> Result<Uuid, Problem> {
    let job_id = Uuid::parse_str(job_id).map_err(|_| not_found())?;
    Span::current().record("job_id", tracing::field::display(job_id));
    Ok(job_id)
}

/// No export has the id.
pub(super) fn not_found() -> Problem {
    Problem::new(Code::ExportNotFound, "No export has this job_id.")
}

/// A 202: the work goes on, its state is to be looked for.
pub(super) fn accepted(links: &Links, body: &impl Serialize) -> HttpResponse {
    HttpResponse::Accepted()
        .insert_header((LOCATION, links.itself.as_str()))
        .insert_header((RETRY_AFTER, POLL_AFTER))
        .json(body)
}

fn header_faults(request: &HttpRequest) -> Vec<Fault> {
    let sent = request.headers().contains_key(IDEMPOTENCY_KEY);
    let detail = "is not available yet: without it a repeated request creates a second export";
    sent.then(|| Fault::in_header(IDEMPOTENCY_KEY, FaultCode::NotAvailable, detail)).into_iter().collect()
}

/// Refuses channels that the settings do not allow. Only for those not named there a parent can help.
async fn check_channels(state: &AppState, channels: &[Snowflake]) -> Result<(), Problem> {
    let unnamed = state.channels.not_named(channels);
    let parents = match unnamed.as_slice() {
        [] => HashMap::new(),
        unnamed => in_time(store::channels::parents(&state.pool, unnamed)).await?,
    };
    let refused = state.channels.refused(&unnamed, &parents);
    if refused.is_empty() {
        return Ok(());
    }
    let refused: Vec<String> = refused.iter().map(Snowflake::to_string).collect();
    let detail =
        format!("Not allowed by DEFAULT_CHANNEL_ID and ALLOWED_CHANNEL_IDS: {}.", refused.join(", "));
    Err(Problem::new(Code::ChannelNotAllowed, detail))
}

fn new_export(wanted: ExportRequest, id: &RequestId, state: &AppState) -> NewExport {
    NewExport {
        job_id: Uuid::now_v7(),
        options: wanted.options(),
        channels: wanted.channels,
        start_at: wanted.start_at,
        end_at: wanted.end_at,
        format: FORMAT.to_owned(),
        media: false,
        request_id: Some(id.as_str().to_owned()),
        requested_by: None,
        max_attempts: state.max_attempts,
    }
}

/// What is answered to a creation.
#[derive(Serialize, ToSchema)]
struct Accepted<'a> {
    job_id: Uuid,
    status: &'static str,
    /// The only channel of a single-channel export.
    #[schema(value_type = Option<String>)]
    channel_id: Option<&'a Snowflake>,
    #[schema(value_type = Vec<String>)]
    channel_ids: &'a [Snowflake],
    created_at: DateTime<Utc>,
    links: &'a Links,
}

/// Where to go from here.
#[derive(Serialize, ToSchema)]
pub(super) struct Links {
    #[serde(rename = "self")]
    itself: String,
}

impl Links {
    /// Of an export.
    pub(super) fn of(job_id: Uuid) -> Self {
        Self { itself: format!("/exports/{job_id}") }
    }
}

impl<'a> Accepted<'a> {
    fn new(created: &Created, channel_ids: &'a [Snowflake], links: &'a Links) -> Self {
        Self {
            job_id: created.job_id,
            status: created.status.as_str(),
            channel_id: if let [only] = channel_ids { Some(only) } else { None },
            channel_ids,
            created_at: created.created_at,
            links,
        }
    }
}
