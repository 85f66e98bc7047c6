//! Replays a recording of the real DCE: its files, its output, its exit.

use std::fs;
use std::io;
use std::path::Path;

use anyhow::Context as _;
use nix::sys::signal::Signal;
use serde::Deserialize;

use crate::channel_export::{ChannelExport, ExportError};
use crate::console::{print_error, print_line};
use crate::ending::{ChannelOutcome, conclude};
use crate::export_context::ExportContext;
use crate::partition::PartitionLimit;
use crate::process_exit::ProcessExit;
use dce_standin::source::{Document, DocumentEnd, WindowPosition, recorded_documents};

/// End of the last line that DCE prints before it opens a file.
const BEFORE_FILES: &str = "channel(s)...\n";

/// The fields of `case.json` that matter here.
#[derive(Deserialize)]
struct Case {
    exit: RecordedExit,
    /// DCE did not end by itself.
    killed_by_recorder_after_s: Option<f64>,
}

/// `1`, or `"signal 9"`.
#[derive(Deserialize)]
#[serde(untagged)]
enum RecordedExit {
    Code(u8),
    Text(String),
}

/// Plays the recording in `dir`: the requested ones of its messages, in parts as requested or else as recorded; then its
/// stdout, stderr and exit. It waits only where the recorded DCE never ended by itself.
pub(crate) fn play(context: &ExportContext<'_>, dir: &Path) -> anyhow::Result<ProcessExit> {
    let read = |name: &str| match fs::read_to_string(dir.join(name)) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(String::new()),
        text => text.with_context(|| format!("cannot read {name} of the recording {}", dir.display())),
    };
    let case: Case = serde_json::from_str(&read("case.json")?)
        .with_context(|| format!("{} is not a recording", dir.display()))?;
    let (stdout, stderr) = (read("stdout")?, read("stderr")?);
    let begun = stdout.rfind(BEFORE_FILES).map_or(0, |at| at + BEFORE_FILES.len());
    let (before, after) = stdout.split_at(begun);
    print(before);

    for documents in recorded_documents(&dir.join("out"))?.into_values() {
        let Some(first) = documents.first() else { continue };
        let ids = || documents.iter().flat_map(|document| &document.messages).map(|(id, _)| *id);
        let ends = ids().next().zip(ids().next_back());
        let mut export = context.channel_export(&first.header, ends, None);
        let never_ends = case.killed_by_recorder_after_s.is_some();
        let parts_as_recorded = context.options.partition == PartitionLimit::None;
        let written = write_documents(&mut export, &documents, parts_as_recorded, never_ends);
        if let ChannelOutcome::Fatal(exit) = conclude(&mut export, written)? {
            return Ok(exit);
        }
    }
    print(after);
    let given = context.options.output.as_deref().unwrap_or(".");
    let stderr = stderr.replace("'OUT/part.json'", &format!("'{given}'"));
    let signal = |text: &str| text.strip_prefix("signal ")?.parse::<i32>().ok();
    Ok(match case.exit {
        RecordedExit::Code(code) => ProcessExit::Exit(code, stderr),
        RecordedExit::Text(text) => {
            print_error(&stderr);
            let number = signal(&text).with_context(|| format!("unknown exit `{text}`"))?;
            ProcessExit::Killed(Signal::try_from(number)?)
        }
    })
}

fn write_documents(
    export: &mut ChannelExport<'_>,
    documents: &[Document],
    parts_as_recorded: bool,
    never_ends: bool,
) -> Result<ChannelOutcome, ExportError> {
    for (index, document) in documents.iter().enumerate() {
        if index > 0 && parts_as_recorded {
            export.writer.close_part()?;
        }
        for (id, message) in &document.messages {
            // A thread's starter has the thread's id; it was written in place of a placeholder, which had a later one.
            let is_starter = id.0.to_string() == document.header.channel.id;
            let is_selected = is_starter || export.window.position(*id) == WindowPosition::Inside;
            if is_selected && export.passes_filter(message)? {
                export.write(*id, message)?;
                export.writer.flush()?;
            }
        }
    }
    match documents.last().map(|document| &document.end) {
        _ if never_ends => export.hang()?,
        Some(DocumentEnd::Cut(id, beginning)) if export.window.position(*id) == WindowPosition::Inside => {
            export.writer.cut_message(beginning)?;
        }
        Some(DocumentEnd::Torn(beginning)) => export.writer.torn_message(beginning)?,
        Some(DocumentEnd::Open | DocumentEnd::Cut(..)) => export.writer.flush()?,
        Some(DocumentEnd::Closed) | None => export.writer.finish()?,
    }
    Ok(ChannelOutcome::Exported)
}

/// Prints text that ends with a line break.
fn print(text: &str) {
    if let Some(lines) = text.strip_suffix('\n') {
        print_line(lines);
    }
}
