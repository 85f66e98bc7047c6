//! The context of one call of `export`, and the export of a channel in it.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Instant;

use crate::channel_export::{ChannelExport, Pace};
use crate::command_line::ExportOptions;
use crate::loaded_scenario::LoadedScenario;
use crate::output_path::{self, Naming};
use crate::part_writer::{Clock, Frame, Layout, PartWriter};
use crate::progress_printer::ProgressPrinter;
use crate::recorded_texts::RecordedTexts;
use crate::sigint::Sigint;
use dce_standin::header::Header;
use dce_standin::snowflake::Snowflake;
use dce_standin::source::Window;

pub(crate) struct ExportContext<'a> {
    pub(crate) loaded: &'a LoadedScenario,
    pub(crate) options: &'a ExportOptions,
    /// The number of this attempt at each channel.
    pub(crate) attempts: &'a BTreeMap<String, u64>,
    pub(crate) sigint: &'a Sigint,
    pub(crate) clock: Clock,
    pub(crate) current_dir: PathBuf,
    /// `DISCORD_API_URL`
    pub(crate) discord: Option<String>,
}

impl ExportContext<'_> {
    pub(crate) fn channel_export(
        &self,
        header: &Header,
        ends: Option<(Snowflake, Snowflake)>,
        rate: Option<u32>,
    ) -> ChannelExport<'_> {
        let ExportOptions { after, before, partition, .. } = *self.options;
        let frame = Frame { header: header.clone(), after, before, clock: self.clock };
        let layout = Layout { partition, write_each: rate.is_some() };
        let start = Instant::now();
        let (first, last) = ends.unzip();
        ChannelExport {
            version: self.loaded.scenario.version,
            texts: self.texts(),
            after,
            writer: PartWriter::new(self.output_file(header), Some(frame), layout),
            window: Window::new(after, before),
            filter: self.options.filter.as_ref(),
            pace: Pace::new(start, rate),
            // From the first to the last existing message, wherever the window's bounds lie.
            progress: ProgressPrinter::new(header.label(), after.max(first), least(before, last), start),
            sigint: self.sigint,
            last: None,
            read: 0,
            written: 0,
        }
    }

    /// The texts of the imitated version.
    pub(crate) fn texts(&self) -> &'static RecordedTexts {
        RecordedTexts::for_version(self.loaded.scenario.version)
    }

    /// The file (part 1) for a channel.
    pub(crate) fn output_file(&self, header: &Header) -> PathBuf {
        let today = (self.clock)().format("%Y-%m-%d").to_string();
        let ExportOptions { after, before, .. } = *self.options;
        let naming = Naming { header, after, before, today: &today };
        output_path::resolve(self.output(), &self.current_dir, &naming)
    }

    /// File or folder of the output.
    pub(crate) fn output(&self) -> &str {
        self.options.output.as_deref().unwrap_or(".")
    }
}

/// The lower of two bounds; `Option`'s own order puts `None` first.
fn least(one: Option<Snowflake>, other: Option<Snowflake>) -> Option<Snowflake> {
    one.into_iter().chain(other).min()
}
