//! `Ostler:AccessLog`: a line for each exchange.

use crate::diagnostics::Diagnostics;
use crate::keys;
use crate::reader::Reader;
use crate::tree::Section;

/// `Ostler:AccessLog`, where its `Format` is not `Off`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AccessLogConfig {
    /// `Format`: what a line looks like.
    pub format: AccessLogFormat,
    /// `Path`: the file that lines are appended to. Absent is standard output.
    pub path: Option<String>,
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
    let path = reader.text("Path").filter(|path| !path.is_empty());
    reader.finish();
    let format = format.flatten()?;
    Some(AccessLogConfig { format, path })
}
