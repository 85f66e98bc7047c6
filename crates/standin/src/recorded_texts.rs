//! DCE's output, taken from recordings of it.

use dce_standin::header::Header;
use dce_standin::scenario::DceVersion;

/// A recorded stream of DCE 2.47.
macro_rules! recorded {
    ($path:literal) => {
        include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/recordings/", $path))
    };
}

/// A recorded stream of DCE 2.48.
macro_rules! recorded_2_48 {
    ($path:literal) => {
        include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/recordings-2.48/", $path))
    };
}

/// The texts that differ between the versions, most of them in the lines of their stack traces.
#[derive(Debug)]
pub(crate) struct RecordedTexts {
    pub(crate) version: &'static str,
    help_export: &'static str,
    pub(crate) invalid_token: &'static str,
    pub(crate) dropped: &'static str,
    pub(crate) no_intent: &'static str,
    pub(crate) unreadable: &'static str,
    pub(crate) cancelled: &'static str,
    forbidden: &'static str,
    unknown: &'static str,
    unavailable: &'static str,
    rate_limited: &'static str,
    bad_request: &'static str,
}

const TEXTS_2_47: RecordedTexts = RecordedTexts {
    version: recorded!("version/stdout"),
    help_export: recorded!("help-export/stdout"),
    invalid_token: recorded!("bad-token/stderr"),
    dropped: recorded!("dies/stderr"),
    no_intent: recorded!("no-intent/stderr"),
    unreadable: recorded!("lone-surrogate/stderr"),
    cancelled: recorded!("sigint-between/stderr"),
    forbidden: recorded!("forbidden/stderr"),
    unknown: recorded!("unknown/stderr"),
    unavailable: recorded!("bad500/stderr"),
    rate_limited: recorded!("limited/stderr"),
    bad_request: recorded!("cloudflare-400/stderr"),
};

const TEXTS_2_48: RecordedTexts = RecordedTexts {
    version: recorded_2_48!("version/stdout"),
    help_export: recorded_2_48!("help-export/stdout"),
    invalid_token: recorded_2_48!("bad-token/stderr"),
    dropped: recorded_2_48!("dies/stderr"),
    no_intent: recorded_2_48!("no-intent/stderr"),
    unreadable: recorded_2_48!("lone-surrogate/stderr"),
    cancelled: recorded_2_48!("sigint-between/stderr"),
    forbidden: recorded_2_48!("forbidden/stderr"),
    unknown: recorded_2_48!("unknown/stderr"),
    unavailable: recorded_2_48!("bad500/stderr"),
    rate_limited: recorded_2_48!("limited/stderr"),
    bad_request: recorded_2_48!("cloudflare-400/stderr"),
};

// Of these there is no recording of 2.48.
pub(crate) const GUIDE: &str = recorded!("guide/stdout");
pub(crate) const UNREACHABLE: &str = recorded!("discord-down/stderr");
/// What a DCE that is killed by a second SIGINT has printed before.
pub(crate) const CANCELLED_FIRST_LINES: &str = recorded!("sigint-twice/stderr");
const BANNER_AND_MORE: &str = recorded!("banner/stdout");
const DISK_FULL: &str = recorded!("disk-full/stderr");
const SEVERAL_IN_ONE_FILE: &str = recorded!("category-one-file/stderr");

// What 2.48 prints of a value that its option does not accept.
const BAD_BOUND: &str = recorded_2_48!("after-nonsense/stderr");
const BAD_CHANNEL: &str = recorded_2_48!("bad-channel/stderr");
const BAD_FILTER: &str = recorded_2_48!("filter-bad/stderr");

/// What the recording of a permanent 500 prints between the request and the stack trace.
const UNAVAILABLE_REASON_AND_BODY: &str = "failed: internal server error.\nResponse content: {\"message\": \"500: Internal Server Error\", \"code\": 0}\n";
/// The failed request in every recording of one that failed.
const RECORDED_PAGE: &str = "/messages?limit=100&after=1258046000988160199'";

impl RecordedTexts {
    pub(crate) fn for_version(version: DceVersion) -> &'static Self {
        match version {
            DceVersion::V2_47 => &TEXTS_2_47,
            DceVersion::V2_48 => &TEXTS_2_48,
        }
    }

    /// Help of `export`, with the current folder as the default output.
    pub(crate) fn help_export(&self, current_dir: &str) -> String {
        self.help_export
            .replace("\"OUT\"", &format!("\"{current_dir}\""))
            .replace("<OUT>", &format!("<{current_dir}>"))
    }

    /// 403 on the channel itself.
    pub(crate) fn forbidden(&self, channel: &str) -> String {
        self.refused(&format!("channels/{channel}"), true)
    }

    /// 404 on the channel itself.
    pub(crate) fn unknown(&self, channel: &str) -> String {
        self.refused(&format!("channels/{channel}"), false)
    }

    /// A request that was refused with 403, or else 404.
    pub(crate) fn refused(&self, request: &str, is_forbidden: bool) -> String {
        let (text, recorded) = if is_forbidden {
            (self.forbidden, "'channels/900000000000001004'")
        } else {
            (self.unknown, "'channels/900000000000001005'")
        };
        text.replace(recorded, &format!("'{request}'"))
    }

    /// Another status on a request, with the body of the answer.
    pub(crate) fn failed(&self, request: &str, reason: &str, body: &str) -> String {
        let (start, frames) =
            self.unavailable.split_once(UNAVAILABLE_REASON_AND_BODY).unwrap_or((self.unavailable, ""));
        let text = about_request(start, "900000000000001010", request);
        format!("{text}failed: {reason}.\nResponse content: {body}\n{frames}")
    }

    /// Permanent 500 on this request for messages (`channels/…`, without quotes).
    pub(crate) fn unavailable(&self, request: &str) -> String {
        about_request(self.unavailable, "900000000000001010", request)
    }

    /// Permanent 429.
    pub(crate) fn rate_limited(&self, request: &str) -> String {
        about_request(self.rate_limited, "900000000000001017", request)
    }

    /// 400 with an HTML page.
    pub(crate) fn bad_request(&self, request: &str) -> String {
        about_request(self.bad_request, "900000000000001018", request)
    }
}

fn about_request(text: &str, recorded_channel: &str, request: &str) -> String {
    text.replace(&format!("'channels/{recorded_channel}{RECORDED_PAGE}"), &format!("'{request}'"))
}

/// The banner with the empty line below it.
pub(crate) fn banner() -> &'static str {
    BANNER_AND_MORE.split_once("Resolving").map_or("", |(banner, _)| banner)
}

/// What 2.48 prints of a value that `option` does not accept. Options that were not recorded get the frames that all
/// recorded ones have.
pub(crate) fn bad_value(option: &str, exception: &str, reason: &str) -> String {
    const COMMON: &str = "  at CliFx.Activation.InputConverter`1";
    let (recorded, first_frame) = match option {
        "--after" => (BAD_BOUND, "  at "),
        "-c|--channel" => (BAD_CHANNEL, "  at "),
        "--filter" => (BAD_FILTER, "  at "),
        _ => (BAD_BOUND, COMMON),
    };
    let frames = recorded.find(first_frame).map_or("", |at| &recorded[at..]);
    format!("ERROR\n{exception}: {reason}\n{frames}")
}

/// A failure inside the export of a message: its text is that of the inner exception.
pub(crate) fn failed_message(id: u64, header: &Header, inner: &str) -> String {
    let (channel, guild) = (&header.channel, &header.guild);
    let inner = inner.strip_prefix("ERROR\n").unwrap_or(inner);
    let inner = inner.split_inclusive('\n').flat_map(|line| ["    ", line]).collect::<String>();
    format!(
        "ERROR\nDiscordChatExporter.Core.Exceptions.DiscordChatExporterException: Failed to export message #{id} in \
         channel '{}' (#{}) of guild '{} (#{})'.\n{inner}",
        channel.name, channel.id, guild.name, guild.id
    )
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
    use super::{TEXTS_2_47, TEXTS_2_48};

    #[test]
    fn every_recorded_name_is_replaced() {
        let request = "channels/7/messages?limit=1";
        for texts in [TEXTS_2_47, TEXTS_2_48] {
            for text in [texts.unavailable(request), texts.rate_limited(request), texts.bad_request(request)]
            {
                assert!(text.contains("Request to 'channels/7/messages?limit=1' failed: "), "{text}");
            }
            assert_eq!(
                texts.failed(
                    request,
                    "internal server error",
                    r#"{"message": "500: Internal Server Error", "code": 0}"#
                ),
                texts.unavailable(request)
            );
            assert!(
                texts
                    .failed(request, "bad gateway", "<html>")
                    .contains("messages?limit=1' failed: bad gateway.\n")
            );
            for text in [texts.forbidden("7"), texts.unknown("7")] {
                assert!(text.contains("Request to 'channels/7' failed: "), "{text}");
            }
            let help = texts.help_export("/some/where");
            assert!(help.contains("Default: \"/some/where\".") || help.contains("Default: </some/where>."));
            assert!(texts.cancelled.starts_with(super::CANCELLED_FIRST_LINES));
        }
        assert!(super::disk_full("/x.json").contains("'/x.json'"));
        assert!(super::several_in_one_file("/x.json").contains("'/x.json'"));
        assert!(super::banner().ends_with("┘\n\n"));
    }

    #[test]
    fn options_that_were_not_recorded_get_no_frames_of_others() {
        let text = super::bad_value("--partition", "System.FormatException", "Invalid partition limit 'x'.");
        assert!(text.starts_with(
            "ERROR\nSystem.FormatException: Invalid partition limit 'x'.\n  at CliFx.Activation.InputConverter`1"
        ));
        assert!(!text.contains("Snowflake"));
    }
}
