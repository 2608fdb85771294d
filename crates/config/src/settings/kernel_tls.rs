//! `Ostler:KernelTls`: whether the kernel may encrypt for clients whose sockets are handed to targets.

use crate::reader::Reader;

/// `Ostler:KernelTls`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum KernelTls {
    /// Where the kernel can, exchanges over TLS are delegated.
    #[default]
    Auto,
    /// Never: they are relayed.
    Off,
}

pub(super) fn read(reader: &mut Reader<'_, '_>) -> KernelTls {
    let read = reader.parsed("KernelTls", |text| {
        match text.trim().to_ascii_lowercase().as_str() {
            "auto" => Ok(KernelTls::Auto),
            "off" => Ok(KernelTls::Off),
            _ => Err(format!("{text:?} is neither \"auto\" nor \"off\"")),
        }
    });
    read.unwrap_or_default()
}
