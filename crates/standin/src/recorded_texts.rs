//! DCE's output, taken from recordings of it.

/// A recorded stream.
macro_rules! recorded {
    ($path:literal) => {
        include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/recordings/", $path))
    };
}

pub(crate) const VERSION: &str = recorded!("version/stdout");
pub(crate) const GUIDE: &str = recorded!("guide/stdout");
const HELP_EXPORT: &str = recorded!("help-export/stdout");
const BANNER_AND_MORE: &str = recorded!("banner/stdout");

pub(crate) const INVALID_TOKEN: &str = recorded!("bad-token/stderr");
pub(crate) const DROPPED: &str = recorded!("dies/stderr");
pub(crate) const UNREACHABLE: &str = recorded!("discord-down/stderr");
pub(crate) const NO_INTENT: &str = recorded!("no-intent/stderr");
pub(crate) const UNREADABLE: &str = recorded!("lone-surrogate/stderr");
pub(crate) const CANCELLED: &str = recorded!("sigint-between/stderr");
/// What a DCE that is killed by a second SIGINT has printed before.
pub(crate) const CANCELLED_FIRST_LINES: &str = recorded!("sigint-twice/stderr");
const DISK_FULL: &str = recorded!("disk-full/stderr");
const FORBIDDEN: &str = recorded!("forbidden/stderr");
const UNKNOWN: &str = recorded!("unknown/stderr");
const UNAVAILABLE: &str = recorded!("bad500/stderr");
const RATE_LIMITED: &str = recorded!("limited/stderr");
const BAD_REQUEST: &str = recorded!("cloudflare-400/stderr");
const SEVERAL_IN_ONE_FILE: &str = recorded!("category-one-file/stderr");

/// The failed request in every recording of one that failed.
const RECORDED_PAGE: &str = "/messages?limit=100&after=1258046000988160199'";

/// Help of `export`, with the current folder as the default output.
pub(crate) fn help_export(current_dir: &str) -> String {
    HELP_EXPORT.replace("\"OUT\"", &format!("\"{current_dir}\""))
}

/// The banner with the empty line below it.
pub(crate) fn banner() -> &'static str {
    BANNER_AND_MORE.split_once("Resolving").map_or("", |(banner, _)| banner)
}

/// 403 on the channel itself.
pub(crate) fn forbidden(channel: &str) -> String {
    FORBIDDEN.replace("900000000000001004", channel)
}

/// 404 on the channel itself.
pub(crate) fn unknown(channel: &str) -> String {
    UNKNOWN.replace("900000000000001005", channel)
}

/// Permanent 500 on this request for messages (`channels/…`, without quotes).
pub(crate) fn unavailable(request: &str) -> String {
    about_request(UNAVAILABLE, "900000000000001010", request)
}

/// Permanent 429.
pub(crate) fn rate_limited(request: &str) -> String {
    about_request(RATE_LIMITED, "900000000000001017", request)
}

/// 400 with an HTML page.
pub(crate) fn bad_request(request: &str) -> String {
    about_request(BAD_REQUEST, "900000000000001018", request)
}

fn about_request(text: &str, recorded_channel: &str, request: &str) -> String {
    text.replace(&format!("'channels/{recorded_channel}{RECORDED_PAGE}"), &format!("'{request}'"))
}

/// A forum's own channel has no messages.
pub(crate) fn forum(channel: &str, guild: &str) -> String {
    format!(
        "Channel '{channel}' of guild '{guild}' is a forum and cannot be exported directly. \
         You need to pull its threads and export them individually."
    )
}

/// No space left for this file.
pub(crate) fn disk_full(path: &str) -> String {
    DISK_FULL.replace("OUT/part.json", path)
}

/// Several channels for one file.
pub(crate) fn several_in_one_file(path: &str) -> String {
    SEVERAL_IN_ONE_FILE.replace("OUT/part.json", path)
}

/// An error of the file system that was not recorded, in the form of those that were.
pub(crate) fn io_error(path: &str, error: &std::io::Error) -> String {
    format!("ERROR\nSystem.IO.IOException: {error} : '{path}'\n")
}

#[cfg(test)]
mod tests {
    #[test]
    fn every_recorded_name_is_replaced() {
        let request = "channels/7/messages?limit=1";
        for text in [super::unavailable(request), super::rate_limited(request), super::bad_request(request)] {
            assert!(text.contains("Request to 'channels/7/messages?limit=1' failed: "), "{text}");
        }
        for text in [super::forbidden("7"), super::unknown("7")] {
            assert!(text.contains("Request to 'channels/7' failed: "), "{text}");
        }
        assert!(super::disk_full("/x.json").contains("'/x.json'"));
        assert!(super::several_in_one_file("/x.json").contains("'/x.json'"));
        assert!(super::help_export("/some/where").contains("Default: \"/some/where\"."));
        assert!(super::banner().ends_with("┘\n\n"));
    }
}
