//! `POST /exports`: creates an export, once per idempotency key and within the client's rate limit.

use std::collections::HashMap;

use actix_web::http::header::{HeaderName, HeaderValue};
use actix_web::{HttpRequest, HttpResponse, web};
use chrono::{DateTime, Utc};
use dce_core::export::rate_limit::Quota;
use dce_core::export::request::{ExportRequest, FORMAT};
use dce_core::ids::Snowflake;
use dce_core::store;
use dce_core::store::clients::idempotency_keys::{self as keys, IdempotencyKey};
use dce_core::store::clients::rate_limits;
use dce_core::store::transitions::{CreatedExport, NewExport, Submission, SubmissionOutcome};
use serde::Serialize;
use serde_json::{Map, Value};
use tracing::Span;
use utoipa::ToSchema;
use uuid::Uuid;

use super::accepted::{Links, accepted, json};
use crate::auth::Caller;
use crate::problem::{Code, Problem};
use crate::request_id::RequestId;
use crate::state::{AppState, in_time};
use crate::{idempotency, rate_limit, request_body};

/// Marks a replayed response.
const REPLAYED: HeaderName = HeaderName::from_static("idempotency-replayed");

/// Create an export
///
/// The response is sent once the export and its first tasks are committed. From then on the export will complete even if
/// processes crash. With an `Idempotency-Key` the request can be repeated for a day without creating a second export: the
/// response is the same, and the repetition does not count against the rate limit.
#[utoipa::path(post, path = "/exports", tag = "exports",
    params(("Idempotency-Key" = Option<String>, Header, min_length = 1, max_length = 255, pattern = "^[!-~]+$",
            description = "The client's own name for this creation, such as a UUID: 1 to 255 visible ASCII characters.")),
    request_body(content = Value,
        example = json!({ "channel_id": "900000000000001004", "start_at": "2024-07-03T18:50:40+09:00" })),
    responses(
        (status = 202, description = "The export is accepted.", body = Accepted,
         headers(
            ("Location" = String, description = "The export."),
            ("Retry-After" = u32, description = "Seconds after which to poll the export."),
            ("Idempotency-Replayed" = Option<bool>, description = "`true` if this repeats an earlier response."),
         ),
         example = json!({ "job_id": "01990f3e-6a3b-7c51-9e54-1f2a3b4c5d6e", "status": "pending", "channel_id": "900000000000001004",
                           "channel_ids": ["900000000000001004"], "created_at": "2026-11-23T08:38:01.247217Z",
                           "links": { "self": "/exports/01990f3e-6a3b-7c51-9e54-1f2a3b4c5d6e" } })),
        (status = 400, description = "`unsupported_format`, `idempotency_key_malformed`"),
        (status = 403, description = "`channel_not_allowed`"),
        (status = 422, description = "`validation_failed`, `invalid_filter`, `idempotency_key_reused`"),
        (status = 429, description = "`rate_limit_exceeded`"),
    ))]
pub(in crate::routes) async fn create(
    request: HttpRequest,
    payload: web::Payload,
    id: web::ReqData<RequestId>,
    caller: web::ReqData<Caller>,
    state: web::Data<AppState>,
) -> Result<HttpResponse, Problem> {
    let client = Client { caller: caller.into_inner(), request_id: id.into_inner(), state: &state };
    let (result, quota) = match client.create(&request, payload).await {
        Ok(WithQuota { value, quota }) => (Ok(value), quota),
        Err(WithQuota { value, quota }) => (Err(value), quota),
    };
    // Every response of the route reports the quota, even one that consumed none. After a failure of the database nobody
    // waits for it a second time.
    let has_failed = result.as_ref().is_err_and(|problem| problem.code().status().is_server_error());
    let quota = match (quota, state.rate_limit) {
        (None, Some(limit)) if !has_failed => {
            in_time(rate_limits::remaining(&state.pool, &client.caller.identity(), limit)).await.ok()
        }
        (quota, _) => quota,
    };
    let headers = quota.as_ref().map(rate_limit::headers).into_iter().flatten();
    match result {
        Ok(mut response) => {
            headers.for_each(|(name, value)| {
                response.headers_mut().insert(name, value);
            });
            Ok(response)
        }
        Err(problem) => Err(headers.fold(problem, |problem, (name, value)| problem.with_header(name, value))),
    }
}

/// A result with the client's remaining quota, where the creation has determined it.
struct WithQuota<T> {
    value: T,
    quota: Option<Quota>,
}

impl<T> From<T> for WithQuota<T> {
    fn from(value: T) -> Self {
        Self { value, quota: None }
    }
}

type Outcome = Result<WithQuota<HttpResponse>, WithQuota<Problem>>;

/// The client that creates the export.
struct Client<'a> {
    caller: Caller,
    request_id: RequestId,
    state: &'a AppState,
}

impl Client<'_> {
    async fn create(&self, request: &HttpRequest, payload: web::Payload) -> Outcome {
        let key = idempotency::key(request)?;
        let body = request_body::json_object(request, payload).await?;
        let digest = idempotency::digest(&body);
        let key = key.as_deref().map(|key| IdempotencyKey { key, payload: &digest });
        // Comes before every other check: a repeated request gets the first response, whatever the settings are now.
        if let Some(key) = key
            && let Some(answered) =
                in_time(keys::find(&self.state.pool, &self.caller.identity(), key.key)).await?
        {
            return Ok(replay(&answered, &digest)?.into());
        }
        self.submit(&body, key).await
    }

    async fn submit(&self, body: &Map<String, Value>, key: Option<IdempotencyKey<'_>>) -> Outcome {
        let state = self.state;
        let wanted = ExportRequest::parse(body, state.channels.default_channel()).map_err(Problem::from)?;
        check_channels(state, &wanted.channels).await?;
        let new = self.new_export(wanted);
        let answer = |created: &CreatedExport| json(&Accepted::new(created, &new.channels));
        let submission = Submission {
            new: &new,
            caller: &self.caller.identity(),
            rate_limit: state.rate_limit,
            key,
            answer: &answer,
        };
        match in_time(store::transitions::submit(&state.pool, submission, state.limit)).await? {
            SubmissionOutcome::Created { created, quota } => {
                Span::current().record("job_id", tracing::field::display(created.job_id));
                tracing::info!(channels = new.channels.len(), "export.created");
                Ok(WithQuota { value: accepted(created.job_id, answer(&created)), quota })
            }
            SubmissionOutcome::Repeated(answered) => {
                Ok(replay(&answered, key.map_or(&[], |key| key.payload))?.into())
            }
            SubmissionOutcome::RateLimited(quota) => {
                Err(WithQuota { value: rate_limit::exceeded(&quota), quota: Some(quota) })
            }
        }
    }

    fn new_export(&self, wanted: ExportRequest) -> NewExport {
        NewExport {
            job_id: Uuid::now_v7(),
            options: wanted.options(),
            channels: wanted.channels,
            start_at: wanted.start_at,
            end_at: wanted.end_at,
            format: FORMAT.to_owned(),
            media: false,
            request_id: Some(self.request_id.as_str().to_owned()),
            requested_by: self.caller.key_name().map(str::to_owned),
            max_attempts: self.state.max_attempts,
        }
    }
}

/// The response that was given under the key, if the request is the same.
fn replay(answered: &keys::StoredAnswer, payload: &[u8]) -> Result<HttpResponse, Problem> {
    if answered.payload != payload {
        return Err(idempotency::reused());
    }
    Span::current().record("job_id", tracing::field::display(answered.job_id));
    let mut response = accepted(answered.job_id, answered.answer.clone());
    response.headers_mut().insert(REPLAYED, HeaderValue::from_static("true"));
    Ok(response)
}

/// Refuses channels that the settings do not allow. A channel that they do not list may still be allowed as a thread of
/// one that they do.
async fn check_channels(state: &AppState, channels: &[Snowflake]) -> Result<(), Problem> {
    let unlisted = state.channels.not_listed(channels);
    let parents = match unlisted.as_slice() {
        [] => HashMap::new(),
        unlisted => in_time(store::reading::channels::parents(&state.pool, unlisted)).await?,
    };
    let refused = state.channels.refused(&unlisted, &parents);
    if refused.is_empty() {
        return Ok(());
    }
    let refused: Vec<String> = refused.iter().map(Snowflake::to_string).collect();
    let detail =
        format!("Not allowed by DEFAULT_CHANNEL_ID and ALLOWED_CHANNEL_IDS: {}.", refused.join(", "));
    Err(Problem::new(Code::ChannelNotAllowed, detail))
}

/// The response to a creation.
#[derive(Serialize, ToSchema)]
struct Accepted<'a> {
    job_id: Uuid,
    /// `pending`.
    status: &'static str,
    /// The only channel of a single-channel export.
    #[schema(value_type = Option<String>)]
    channel_id: Option<&'a Snowflake>,
    /// The channels and threads to export.
    #[schema(value_type = Vec<String>)]
    channel_ids: &'a [Snowflake],
    created_at: DateTime<Utc>,
    links: Links,
}

impl<'a> Accepted<'a> {
    fn new(created: &CreatedExport, channel_ids: &'a [Snowflake]) -> Self {
        Self {
            job_id: created.job_id,
            status: created.status.as_str(),
            channel_id: if let [only] = channel_ids { Some(only) } else { None },
            channel_ids,
            created_at: created.created_at,
            links: Links::new(created.job_id),
        }
    }
}
