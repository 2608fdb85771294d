//! The keys that encrypt session affinity: from the configuration, or from files it names.

use anyhow::Context as _;
use ostler_config::{ProtectionKeyConfig, Settings};
use ostler_model::ProxyModel;
use ostler_model::session_affinity::ProtectionKey;

use crate::files;

/// The keys of `Ostler:DataProtection`, files read; `None` where there are none, and the random one
/// stays.
pub(crate) fn read(settings: &Settings) -> anyhow::Result<Option<Vec<ProtectionKey>>> {
    let configured = &settings.ostler.data_protection.keys;
    let keys = configured.iter().enumerate().map(|(at, key)| {
        let path = format!("Ostler:DataProtection:Keys:{at}");
        let bytes = match key {
            ProtectionKeyConfig::Bytes(bytes) => *bytes,
            ProtectionKeyConfig::File(file) => {
                let text = files::read_text(file)
                    .with_context(|| format!("{path}:KeyFile: cannot read {file}"))?;
                ProtectionKeyConfig::decode(&text)
                    .map_err(|message| anyhow::anyhow!("{path}:KeyFile: {file}: {message}"))?
            }
        };
        ProtectionKey::new(&bytes).with_context(|| format!("{path}: no key can be made"))
    });
    let keys = keys.collect::<anyhow::Result<Vec<_>>>()?;
    Ok((!keys.is_empty()).then_some(keys))
}

/// Has affinity policies use these keys; without any they keep those they have.
pub(crate) fn put_in_force(model: &ProxyModel, keys: Option<Vec<ProtectionKey>>) {
    if let Some(keys) = keys {
        model.registry().keys().replace(keys);
    }
}
