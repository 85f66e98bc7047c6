//! What the API says of itself: its OpenAPI document, a page to try it from, a page about errors. Served from the program,
//! without any other server.

use std::sync::{Arc, LazyLock};

use actix_web::http::header::LOCATION;
use actix_web::{HttpResponse, web};
use pulldown_cmark::{CowStr, Event, HeadingLevel, Parser, Tag, html};
use utoipa_swagger_ui::Config;

use crate::openapi;
use crate::problem::{Code, Problem};

/// The page about errors as it stands in the repository.
const ERRORS: &str = include_str!("../../../../docs/errors.md");

/// `GET /openapi.json`.
pub(super) async fn openapi() -> HttpResponse {
    static DOCUMENT: LazyLock<String> = LazyLock::new(openapi::json);
    HttpResponse::Ok().content_type("application/json").body(DOCUMENT.as_str())
}

/// `GET /docs`: leads to the page.
pub(super) async fn index() -> HttpResponse {
    HttpResponse::PermanentRedirect().insert_header((LOCATION, "/docs/")).finish()
}

/// `GET /docs/…`: the files of Swagger UI.
pub(super) async fn file(path: web::Path<String>) -> Result<HttpResponse, Problem> {
    static CONFIG: LazyLock<Arc<Config<'static>>> =
        LazyLock::new(|| Arc::new(Config::from("/openapi.json").try_it_out_enabled(true)));
    match utoipa_swagger_ui::serve(&path, Arc::clone(&CONFIG)) {
        Ok(Some(file)) => {
            Ok(HttpResponse::Ok().content_type(file.content_type).body(file.bytes.into_owned()))
        }
        _ => Err(Problem::new(Code::NotFound, "The documentation has no such file.")),
    }
}

/// `GET /docs/errors`: where `type` of every problem leads.
pub(super) async fn errors() -> HttpResponse {
    static PAGE: LazyLock<String> = LazyLock::new(|| page(ERRORS));
    HttpResponse::Ok().content_type("text/html; charset=utf-8").body(PAGE.as_str())
}

/// The page in HTML. Headings get their text as `id`, which is what links to a code name.
fn page(markdown: &str) -> String {
    let mut body = String::new();
    let mut events: Vec<Event<'_>> = Parser::new(markdown).collect();
    for index in 1..events.len() {
        if let (Event::Start(Tag::Heading { level, id, .. }), Event::Text(text)) = two(&mut events, index) {
            let name = if *level == HeadingLevel::H1 { "top" } else { &**text };
            *id = Some(CowStr::from(name.to_lowercase().replace(' ', "-")));
        }
    }
    html::push_html(&mut body, events.into_iter());
    format!(
        "<!doctype html><html lang=\"en\"><head><meta charset=\"utf-8\"><title>Errors</title>\
         <meta name=\"viewport\" content=\"width=device-width\"><style>\
         body{{font:16px/1.5 system-ui,sans-serif;max-width:46rem;margin:2rem auto;padding:0 1rem}}\
         code,pre{{background:#8882;border-radius:4px;padding:.1em .3em}}pre{{padding:1em;overflow:auto}}\
         :target{{background:#fd48}}:root{{color-scheme:light dark}}</style></head><body>{body}</body></html>"
    )
}

/// The event before this one, and this one.
fn two<'a, 'b>(events: &'b mut [Event<'a>], index: usize) -> (&'b mut Event<'a>, &'b mut Event<'a>) {
    let (before, after) = events.split_at_mut(index);
    (&mut before[index - 1], &mut after[0])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_code_has_a_place_on_the_page() {
        let page = page(ERRORS);
        for code in Code::ALL {
            assert!(page.contains(&format!("id=\"{}\"", code.as_str())), "{code:?}");
        }
    }
}
