//! `POST /exports`: takes an export, once for each key, as many as a client may create.

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

use super::exports::{Links, accepted, json};
use crate::auth::Caller;
use crate::problem::{Code, Problem};
use crate::request_id::RequestId;
use crate::state::{AppState, in_time};
use crate::{body, idempotency, rate_limit};

/// On an answer that was given before.
const REPLAYED: HeaderName = HeaderName::from_static("idempotency-replayed");

/// Submit an export
///
/// Answered once the export and its first tasks are committed: from then on it is done, whatever dies when. With an
/// `Idempotency-Key` the request can be repeated for a day without a second export: the answer is the same, and the
/// repetition does not count against the limit.
#[utoipa::path(post, path = "/exports", tag = "exports",
    params(("Idempotency-Key" = Option<String>, Header, min_length = 1, max_length = 255, pattern = "^[!-~]+$",
            description = "The client's own name for this creation, such as a UUID: 1 to 255 visible ASCII characters.")),
    request_body(content = Value,
        example = json!({ "channel_id": "900000000000001004", "start_at": "2024-07-03T18:50:40+09:00" })),
    responses(
        (status = 202, description = "It is taken.", body = Accepted,
         headers(
            ("Location" = String, description = "The export."),
            ("Retry-After" = u32, description = "Seconds after which to look what became of it."),
            ("Idempotency-Replayed" = Option<bool>, description = "`true` where the request was answered before."),
         ),
         example = json!({ "job_id": "01990f3e-6a3b-7c51-9e54-1f2a3b4c5d6e", "status": "pending", "channel_id": "900000000000001004",
                           "channel_ids": ["900000000000001004"], "created_at": "2026-11-23T08:38:01.247217Z",
                           "links": { "self": "/exports/01990f3e-6a3b-7c51-9e54-1f2a3b4c5d6e" } })),
        (status = 400, description = "`unsupported_format`, `idempotency_key_malformed`"),
        (status = 403, description = "`channel_not_allowed`"),
        (status = 422, description = "`validation_failed`, `idempotency_key_reused`"),
        (status = 429, description = "`rate_limit_exceeded`"),
    ))]
pub(crate) async fn create(
    request: HttpRequest,
    payload: web::Payload,
    id: web::ReqData<RequestId>,
    caller: web::ReqData<Caller>,
    state: web::Data<AppState>,
) -> Result<HttpResponse, Problem> {
    let client = Client { caller: caller.into_inner(), request_id: id.into_inner(), state: &state };
    let mut quota = None;
    let answer = client.answer(&request, payload, &mut quota).await;
    // On every answer of the route, whether it used one or not. Where the database has just failed nobody waits for it again.
    let has_failed = answer.as_ref().is_err_and(|problem| problem.code().status().is_server_error());
    if quota.is_none()
        && !has_failed
        && let Some(limit) = state.rate_limit
    {
        quota = in_time(rate_limits::remaining(&state.pool, &client.caller.identity(), limit)).await.ok();
    }
    let headers = quota.as_ref().map(rate_limit::headers).into_iter().flatten();
    match answer {
        Ok(mut response) => {
            headers.for_each(|(name, value)| {
                response.headers_mut().insert(name, value);
            });
            Ok(response)
        }
        Err(problem) => Err(headers.fold(problem, |problem, (name, value)| problem.with_header(name, value))),
    }
}

/// Who submits.
struct Client<'a> {
    caller: Caller,
    request_id: RequestId,
    state: &'a AppState,
}

impl Client<'_> {
    /// `quota`: what the answer leaves to the client, where it is known.
    async fn answer(
        &self,
        request: &HttpRequest,
        payload: web::Payload,
        quota: &mut Option<Quota>,
    ) -> Result<HttpResponse, Problem> {
        let key = idempotency::key(request)?;
        let body = body::json_object(request, payload).await?;
        let digest = idempotency::payload(&body);
        let key = key.as_deref().map(|key| IdempotencyKey { key, payload: &digest });
        // Before anything else is judged: what was answered stays answered, whatever the settings are now.
        if let Some(key) = key
            && let Some(answered) =
                in_time(keys::find(&self.state.pool, &self.caller.identity(), key.key)).await?
        {
            return again(&answered, &digest);
        }
        self.submit(&body, key, quota).await
    }

    async fn submit(
        &self,
        body: &Map<String, Value>,
        key: Option<IdempotencyKey<'_>>,
        quota: &mut Option<Quota>,
    ) -> Result<HttpResponse, Problem> {
        let state = self.state;
        let wanted = ExportRequest::parse(body, state.channels.default_channel())?;
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
            SubmissionOutcome::Created { created, quota: left } => {
                *quota = left;
                Span::current().record("job_id", tracing::field::display(created.job_id));
                tracing::info!(channels = new.channels.len(), "export.created");
                Ok(accepted(created.job_id, answer(&created)))
            }
            SubmissionOutcome::Repeated(answered) => again(&answered, key.map_or(&[], |key| key.payload)),
            SubmissionOutcome::RateLimited(left) => {
                *quota = Some(left);
                Err(rate_limit::exceeded(&left))
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

/// The answer that was given under the key, if the request is the same.
fn again(answered: &keys::StoredAnswer, payload: &[u8]) -> Result<HttpResponse, Problem> {
    if answered.payload != payload {
        return Err(idempotency::reused());
    }
    Span::current().record("job_id", tracing::field::display(answered.job_id));
    let mut response = accepted(answered.job_id, answered.answer.clone());
    response.headers_mut().insert(REPLAYED, HeaderValue::from_static("true"));
    Ok(response)
}

/// Refuses channels that the settings do not allow. Only for those not named there a parent can help.
async fn check_channels(state: &AppState, channels: &[Snowflake]) -> Result<(), Problem> {
    let unnamed = state.channels.not_listed(channels);
    let parents = match unnamed.as_slice() {
        [] => HashMap::new(),
        unnamed => in_time(store::reading::channels::parents(&state.pool, unnamed)).await?,
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

/// What is answered to a creation.
#[derive(Serialize, ToSchema)]
struct Accepted<'a> {
    /// The export.
    job_id: Uuid,
    /// `pending`.
    status: &'static str,
    /// The only channel of a single-channel export.
    #[schema(value_type = Option<String>)]
    channel_id: Option<&'a Snowflake>,
    /// What is exported.
    #[schema(value_type = Vec<String>)]
    channel_ids: &'a [Snowflake],
    /// When it was taken.
    created_at: DateTime<Utc>,
    /// Where to go from here.
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
            links: Links::of(created.job_id),
        }
    }
}
