//! Pages for people: Swagger UI and the page about errors. The program contains them; no other server is needed.

use std::sync::{Arc, LazyLock};

use actix_web::http::header::LOCATION;
use actix_web::{HttpResponse, web};
use pulldown_cmark::{CowStr, Event, HeadingLevel, Options, Parser, Tag, html};
use utoipa_swagger_ui::Config;

use crate::problem::{Code, Problem};

const ERRORS: &str = include_str!("../../../../docs/errors.md");

/// `GET /docs`: redirects to Swagger UI.
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

/// `GET /docs/errors`: the page that `type` of every problem links to.
pub(super) async fn errors() -> HttpResponse {
    static PAGE: LazyLock<String> = LazyLock::new(|| render(ERRORS));
    HttpResponse::Ok().content_type("text/html; charset=utf-8").body(PAGE.as_str())
}

/// Renders Markdown as an HTML page. Each heading gets its text as `id`, so that links to a code work.
fn render(markdown: &str) -> String {
    let mut body = String::new();
    let mut events: Vec<Event<'_>> = Parser::new_ext(markdown, Options::ENABLE_TABLES).collect();
    for index in 1..events.len() {
        if let (Event::Start(Tag::Heading { level, id, .. }), Event::Text(text)) =
            adjacent(&mut events, index)
        {
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
fn adjacent<'a, 'b>(events: &'b mut [Event<'a>], index: usize) -> (&'b mut Event<'a>, &'b mut Event<'a>) {
    let (before, after) = events.split_at_mut(index);
    (&mut before[index - 1], &mut after[0])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_code_has_an_anchor_on_the_page() {
        let page = render(ERRORS);
        for code in Code::ALL {
            assert!(page.contains(&format!("id=\"{}\"", code.as_str())), "{code:?}");
        }
    }

    #[test]
    fn the_tables_of_the_page_are_tables() {
        let page = render(ERRORS);
        assert!(page.contains("<table>") && !page.contains("|---"));
    }
}
