//! `Ostler:AccessLog`: a line for each exchange.

use std::time::Duration;

use crate::diagnostics::Diagnostics;
use crate::keys;
use crate::leaf;
use crate::reader::Reader;
use crate::tree::Section;

/// `Ostler:AccessLog`, where its `Format` is not `Off`.
#[derive(Debug, Clone, PartialEq)]
pub struct AccessLogConfig {
    /// `Format`: what a line looks like.
    pub format: AccessLogFormat,
    /// `Path`: the file that lines are appended to. Absent is standard output.
    pub path: Option<String>,
    /// Which exchanges have a line.
    pub filter: AccessLogFilter,
}

// A share is a number, and equal to itself.
impl Eq for AccessLogConfig {}

/// Which exchanges have a line: those that one of these takes; all, where none says anything.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct AccessLogFilter {
    /// `StatusFrom`: this status or a higher one, or none.
    pub status_from: Option<u16>,
    /// `SlowerThan`: so long or longer.
    pub slower_than: Option<Duration>,
    /// `Sample`: such a share.
    pub sample: Option<f64>,
}

/// `Ostler:AccessLog:Format`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AccessLogFormat {
    /// The combined format of Apache and nginx.
    Combined,
    /// A JSON object.
    Json,
    /// W3C extended, with the columns of ASP.NET's W3CLogger and more.
    W3C,
}

/// Reads `Ostler:AccessLog`; `None` where there is to be no log.
pub(super) fn read(section: Section<'_>, diagnostics: &mut Diagnostics) -> Option<AccessLogConfig> {
    let mut reader = Reader::new(section, &keys::ACCESS_LOG, diagnostics);
    let format = reader.parsed("Format", |text| {
        match text.trim().to_ascii_lowercase().as_str() {
            "off" => Ok(None),
            "combined" => Ok(Some(AccessLogFormat::Combined)),
            "json" => Ok(Some(AccessLogFormat::Json)),
            "w3c" => Ok(Some(AccessLogFormat::W3C)),
            _ => Err(format!(
                "{text:?} is none of \"Off\", \"Combined\", \"Json\", \"W3C\""
            )),
        }
    });
    let filter = AccessLogFilter {
        status_from: reader.parsed("StatusFrom", |text| match leaf::int32(text)? {
            status @ 100..=599 => Ok(u16::try_from(status).unwrap_or_default()),
            _ => Err(format!("{text:?} is not a status from 100 to 599")),
        }),
        slower_than: reader.positive_time("SlowerThan", true),
        sample: reader.parsed("Sample", |text| match text.trim().parse::<f64>() {
            Ok(share) if (0.0..=1.0).contains(&share) => Ok(share),
            _ => Err(format!("{text:?} is not a number from 0 to 1")),
        }),
    };
    let path = reader.text("Path").filter(|path| !path.is_empty());
    reader.finish();
    let format = format.flatten()?;
    Some(AccessLogConfig {
        format,
        path,
        filter,
    })
}
