//! The OpenAPI document: collected from the handlers, completed from the table of routes and the table of problems.
//!
//! A handler describes only what is specific to it. For an error it names the status and, in backticks, the possible codes;
//! body, example and headers follow from those. Path parameters and responses that many routes share are added here.

mod export_request;
mod parameters;

use actix_web::http::{Method, StatusCode};
use serde_json::{Map, Value, json};
use utoipa::OpenApi as _;
use utoipa::openapi::OpenApi;

use crate::auth::Access;
use crate::endpoint::Endpoint;
use crate::problem::{Code, Document as ProblemDocument};

#[derive(utoipa::OpenApi)]
#[openapi(
    info(
        title = "dce-service",
        description = "Exports Discord channels to Postgres and reads the archive. Ids are strings of digits; times are \
                       RFC 3339 in UTC. Errors are `application/problem+json` (RFC 9457): programs compare `code`, which never \
                       changes; `type` links to a page about it."
    ),
    components(schemas(ProblemDocument<'static>)),
    tags(
        (name = "exports", description = "Create exports and follow them."),
        (name = "archive", description = "Read the archive."),
        (name = "service", description = "Check that the service is alive and able to work."),
    )
)]
struct Frame;

/// Name of the security scheme in the document.
const SCHEME: &str = "key";

/// The complete document. `handlers` is what the handlers themselves declare.
fn document(endpoints: &[Endpoint], handlers: OpenApi) -> Value {
    let mut frame = Frame::openapi();
    frame.merge(handlers);
    let mut document = serde_json::to_value(frame).unwrap_or_default();
    document["components"]["securitySchemes"] = json!({
        SCHEME: {
            "type": "http",
            "scheme": "bearer",
            "description": "A key made by `dce-api keys new NAME`. A service without API_KEYS needs none."
        }
    });
    let schemas = &mut document["components"]["schemas"];
    schemas[export_request::NAME] = export_request::schema();
    // The parameter `fields` decides which members a message has.
    if let Some(message) = schemas.get_mut("Message").and_then(Value::as_object_mut) {
        message.remove("required");
    }
    for endpoint in endpoints.iter().filter(|endpoint| endpoint.is_documented) {
        let method = endpoint.method.as_str().to_ascii_lowercase();
        let operation = document["paths"].get_mut(endpoint.path).and_then(|methods| methods.get_mut(&method));
        if let Some(operation) = operation.and_then(Value::as_object_mut) {
            complete(operation, endpoint);
        }
    }
    document
}

/// The document as JSON.
pub fn json(endpoints: &[Endpoint], handlers: OpenApi) -> String {
    let mut text = serde_json::to_string_pretty(&document(endpoints, handlers)).unwrap_or_default();
    text.push('\n');
    text
}

fn complete(operation: &mut Map<String, Value>, endpoint: &Endpoint) {
    if endpoint.access != Access::Public {
        operation.insert("security".to_owned(), json!([{ SCHEME: [] }]));
    }
    let placeholders = endpoint.path.split(['{', '}']).skip(1).step_by(2);
    let mut all: Vec<Value> = placeholders.filter_map(parameters::in_path).collect();
    if let Some(Value::Array(declared)) = operation.remove("parameters") {
        all.extend(declared);
    }
    let has_query = all.iter().any(|parameter| parameter["in"] == "query");
    for parameter in &mut all {
        // Parameters outside the path are optional, never null.
        if parameter["in"] != "path" {
            parameter["required"] = false.into();
        }
        if let Some(types) = parameter["schema"]["type"].as_array() {
            parameter["schema"]["type"] = types.first().cloned().unwrap_or_default();
        }
        if let Some(schema) = parameter["name"].as_str().and_then(parameters::schema) {
            parameter["schema"] = schema;
        }
    }
    if !all.is_empty() {
        operation.insert("parameters".to_owned(), all.into());
    }
    if endpoint.path == "/exports" && endpoint.method == Method::POST {
        operation["requestBody"]["content"]["application/json"]["schema"] =
            json!({ "$ref": format!("#/components/schemas/{}", export_request::NAME) });
    }
    let Some(responses) = operation.get_mut("responses").and_then(Value::as_object_mut) else { return };
    for code in common_errors(endpoint, has_query) {
        let status = code.status().as_str().to_owned();
        let response = responses.entry(status).or_insert_with(|| json!({ "description": "" }));
        add_code(response, code);
    }
    let text = json!({ "type": "string" });
    for (status, response) in responses {
        let content = response.get_mut("content");
        if let Some(events) = content.and_then(|content| content.get_mut("text/event-stream")) {
            events["schema"] = parameters::event();
        }
        if let Ok(status) = status.parse::<StatusCode>()
            && (status.is_client_error() || status.is_server_error())
        {
            describe_error(response, status);
        }
        if endpoint.path == "/exports" && endpoint.method == Method::POST {
            header(response, "RateLimit-Policy", "The limit, and its window in seconds.", &text);
            header(
                response,
                "RateLimit",
                "Creations left, and the seconds until the next one is available.",
                &text,
            );
        }
        header(response, "X-Request-Id", "The request's id: the client's own, or a new one.", &text);
    }
}

/// The errors that every route of this kind can return.
fn common_errors(endpoint: &Endpoint, has_query: bool) -> Vec<Code> {
    let mut codes = vec![Code::BadRequest];
    let not_found = [
        ("{job_id}", Code::ExportNotFound),
        ("{message_id}", Code::MessageNotFound),
        ("{channel_id}", Code::ChannelNotFound),
    ];
    codes.extend(not_found.iter().find(|(name, _)| endpoint.path.contains(name)).map(|(_, code)| *code));
    if has_query || endpoint.method == Method::POST {
        codes.push(Code::ValidationFailed);
    }
    if endpoint.access != Access::Public {
        codes.extend([Code::Unauthorized, Code::Internal]);
        codes.extend([Code::DatabaseUnavailable, Code::SchemaMissing]);
    }
    if endpoint.access == Access::Write {
        codes.extend([Code::InsufficientScope, Code::DatabaseReadOnly]);
    }
    if endpoint.method == Method::POST {
        codes.extend([
            Code::RequestTimeout,
            Code::BodyTooLarge,
            Code::UnsupportedMediaType,
            Code::MalformedJson,
            Code::NotAnObject,
        ]);
    }
    codes
}

/// Adds a code to the description, unless the handler has named it.
fn add_code(response: &mut Value, code: Code) {
    let quoted = format!("`{}`", code.as_str());
    let description = response["description"].as_str().unwrap_or_default();
    if !description.contains(&quoted) {
        let separator = if description.is_empty() { "" } else { ", " };
        response["description"] = format!("{description}{separator}{quoted}").into();
    }
}

/// Adds body, examples and headers of an error according to the codes in its description.
fn describe_error(response: &mut Value, status: StatusCode) {
    let description = response["description"].as_str().unwrap_or_default();
    let examples: Map<String, Value> = Code::ALL
        .iter()
        .filter(|code| description.contains(&format!("`{}`", code.as_str())))
        .map(|code| (code.as_str().to_owned(), json!({ "value": ProblemDocument::example(*code) })))
        .collect();
    response["content"] = json!({
        "application/problem+json": { "schema": { "$ref": "#/components/schemas/Problem" }, "examples": examples }
    });
    let text = json!({ "type": "string" });
    match status {
        StatusCode::UNAUTHORIZED => {
            header(response, "WWW-Authenticate", "The required authentication scheme.", &text);
        }
        StatusCode::SERVICE_UNAVAILABLE | StatusCode::TOO_MANY_REQUESTS => {
            let seconds = json!({ "type": "integer", "minimum": 0 });
            header(response, "Retry-After", "Seconds after which to retry.", &seconds);
        }
        _ => {}
    }
}

fn header(response: &mut Value, name: &str, description: &str, schema: &Value) {
    response["headers"][name] = json!({ "description": description, "schema": schema });
}
