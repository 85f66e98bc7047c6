//! The OpenAPI document: gathered from the handlers, completed from the table of routes and the table of problems.
//!
//! A handler describes what is its own. Of an error it names the status and, in backticks, the codes that it comes with;
//! body, example and headers follow from these. What every route answers is said here, once.

pub(crate) mod parameters;

use actix_web::http::{Method, StatusCode};
use serde_json::{Map, Value, json};
use utoipa::OpenApi;

use crate::auth::Need;
use crate::problem::{Code, Document as ProblemDocument};
use crate::routes::{self, Endpoint, new_export};

#[derive(OpenApi)]
#[openapi(
    info(
        title = "dce-service",
        description = "Exports Discord channels to Postgres and reads the archive back. Ids are strings of digits; times are \
                       RFC 3339 in UTC. Errors are `application/problem+json` (RFC 9457): programs compare `code`, which never \
                       changes; `type` leads to a page about it."
    ),
    paths(
        crate::routes::health::health,
        crate::routes::health::alive,
        crate::routes::health::ready,
        crate::routes::submit::create,
        crate::routes::listing::list,
        crate::routes::show::show,
        crate::routes::events::events,
        crate::routes::control::cancel,
        crate::routes::control::retry,
        crate::routes::channels::list,
        crate::routes::channels::show,
        crate::routes::messages::of_channel,
        crate::routes::messages::show,
        crate::routes::messages::of_export,
    ),
    components(schemas(ProblemDocument<'static>)),
    tags(
        (name = "exports", description = "Submit exports and follow them."),
        (name = "archive", description = "Read what is archived."),
        (name = "service", description = "Whether the service lives and works."),
    )
)]
struct Document;

/// The name of the scheme in the document.
const SCHEME: &str = "key";

/// The document, complete.
pub fn document() -> Value {
    let mut document = serde_json::to_value(Document::openapi()).unwrap_or_default();
    document["components"]["securitySchemes"] = json!({
        SCHEME: {
            "type": "http",
            "scheme": "bearer",
            "description": "A key made by `dce-api keys new NAME`. A service without API_KEYS needs none."
        }
    });
    let schemas = &mut document["components"]["schemas"];
    schemas[new_export::NAME] = new_export::schema();
    // Which members a message has is a matter of `fields`.
    if let Some(message) = schemas.get_mut("Message").and_then(Value::as_object_mut) {
        message.remove("required");
    }
    for endpoint in routes::table() {
        let path = endpoint.path.split(':').next().unwrap_or_default();
        let method = endpoint.method.as_str().to_ascii_lowercase();
        let operations = document["paths"].get_mut(path);
        let operation = operations.and_then(|operations| operations.get_mut(&method));
        if let Some(operation) = operation.and_then(Value::as_object_mut) {
            complete(operation, &endpoint);
        }
    }
    document
}

/// The document as JSON.
pub fn json() -> String {
    let mut text = serde_json::to_string_pretty(&document()).unwrap_or_default();
    text.push('\n');
    text
}

fn complete(operation: &mut Map<String, Value>, endpoint: &Endpoint) {
    if endpoint.need != Need::Nothing {
        operation.insert("security".to_owned(), json!([{ SCHEME: [] }]));
    }
    for parameter in operation.get_mut("parameters").and_then(Value::as_array_mut).into_iter().flatten() {
        // Parameters outside of the path can be left out, and are texts where they are not.
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
    if endpoint.path == "/exports" && endpoint.method == Method::POST {
        operation["requestBody"]["content"]["application/json"]["schema"] =
            json!({ "$ref": format!("#/components/schemas/{}", new_export::NAME) });
    }
    let Some(responses) = operation.get_mut("responses").and_then(Value::as_object_mut) else { return };
    for code in common(endpoint) {
        let status = code.status().as_str().to_owned();
        let response = responses.entry(status).or_insert_with(|| json!({ "description": "" }));
        name(response, code);
    }
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
            let text = json!({ "type": "string" });
            header(response, "RateLimit-Policy", "How many a window of so many seconds may have.", &text);
            header(response, "RateLimit", "How many are left, and seconds until there is one more.", &text);
        }
        header(
            response,
            "X-Request-Id",
            "The id of the request: the client's own, or a new one.",
            &json!({ "type": "string" }),
        );
    }
}

/// What every route of this kind may answer.
fn common(endpoint: &Endpoint) -> Vec<Code> {
    let mut codes = vec![Code::BadRequest];
    if endpoint.need != Need::Nothing {
        codes.extend([Code::Unauthorized, Code::Internal]);
        codes.extend([Code::DatabaseUnavailable, Code::SchemaMissing]);
    }
    if endpoint.need == Need::Write {
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
fn name(response: &mut Value, code: Code) {
    let quoted = format!("`{}`", code.as_str());
    let description = response["description"].as_str().unwrap_or_default();
    if !description.contains(&quoted) {
        let separator = if description.is_empty() { "" } else { ", " };
        response["description"] = format!("{description}{separator}{quoted}").into();
    }
}

/// Body, example and headers of an error from the codes that its description names.
fn describe_error(response: &mut Value, status: StatusCode) {
    let description = response["description"].as_str().unwrap_or_default().to_owned();
    let codes: Vec<Code> = Code::ALL
        .iter()
        .copied()
        .filter(|code| description.contains(&format!("`{}`", code.as_str())))
        .collect();
    let examples: Map<String, Value> = codes
        .iter()
        .map(|code| (code.as_str().to_owned(), json!({ "value": ProblemDocument::example(*code) })))
        .collect();
    response["content"] = json!({
        "application/problem+json": { "schema": { "$ref": "#/components/schemas/Problem" }, "examples": examples }
    });
    let text = json!({ "type": "string" });
    match status {
        StatusCode::UNAUTHORIZED => {
            header(response, "WWW-Authenticate", "How to ask.", &text);
        }
        StatusCode::METHOD_NOT_ALLOWED => {
            header(response, "Allow", "The methods that the path takes.", &text);
        }
        StatusCode::SERVICE_UNAVAILABLE | StatusCode::TOO_MANY_REQUESTS => {
            header(
                response,
                "Retry-After",
                "Seconds after which to try again.",
                &json!({ "type": "integer", "minimum": 0 }),
            );
        }
        _ => {}
    }
}

fn header(response: &mut Value, name: &str, description: &str, schema: &Value) {
    response["headers"][name] = json!({ "description": description, "schema": schema });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_route_is_in_the_document() {
        let document = document();
        for endpoint in routes::table() {
            if endpoint.path.starts_with("/docs") || endpoint.path == "/openapi.json" {
                continue; // pages for people
            }
            let operation = &document["paths"][endpoint.path][endpoint.method.as_str().to_ascii_lowercase()];
            assert!(operation.is_object(), "{} {}", endpoint.method, endpoint.path);
            assert!(operation["summary"].is_string(), "{operation}");
            for (status, response) in operation["responses"].as_object().unwrap() {
                assert!(
                    response["description"].as_str().is_some_and(|text| !text.is_empty()),
                    "{status} {response}"
                );
                if let Some(content) = response["content"].as_object() {
                    for (media_type, content) in content {
                        let examples = content["examples"].as_object().is_some_and(|all| !all.is_empty());
                        assert!(
                            examples || !content["example"].is_null(),
                            "{} {status} {media_type} has no example",
                            endpoint.path
                        );
                    }
                }
            }
        }
    }

    #[test]
    fn the_document_in_the_repository_is_this_one() {
        let there = include_str!("../../../../docs/openapi.json");
        assert!(there == json(), "docs/openapi.json is out of date: run scripts/openapi.sh");
    }
}
