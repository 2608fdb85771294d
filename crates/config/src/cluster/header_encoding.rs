//! `HttpClient:RequestHeaderEncoding` and `ResponseHeaderEncoding`: the names, and rule C13.

use crate::nearest::nearest;
use crate::reader::Reader;
use crate::schema::HeaderEncoding;
use crate::tree::key::same;

use HeaderEncoding::{Ascii, Latin1, Utf8};

/// What .NET knows without further providers, UTF-7 left out, which it refuses; `None` is no
/// encoding of a field's value.
const ENCODINGS: [(&str, Option<HeaderEncoding>); 36] = [
    ("utf-8", Some(Utf8)),
    ("unicode-1-1-utf-8", Some(Utf8)),
    ("unicode-2-0-utf-8", Some(Utf8)),
    ("x-unicode-1-1-utf-8", Some(Utf8)),
    ("x-unicode-2-0-utf-8", Some(Utf8)),
    ("utf-16", None),
    ("utf-16le", None),
    ("utf-16be", None),
    ("unicode", None),
    ("unicodeFFFE", None),
    ("ucs-2", None),
    ("iso-10646-ucs-2", None),
    ("utf-32", None),
    ("utf-32le", None),
    ("utf-32be", None),
    ("us-ascii", Some(Ascii)),
    ("ascii", Some(Ascii)),
    ("us", Some(Ascii)),
    ("ansi_x3.4-1968", Some(Ascii)),
    ("ansi_x3.4-1986", Some(Ascii)),
    ("cp367", Some(Ascii)),
    ("csASCII", Some(Ascii)),
    ("IBM367", Some(Ascii)),
    ("iso-ir-6", Some(Ascii)),
    ("ISO646-US", Some(Ascii)),
    ("ISO_646.irv:1991", Some(Ascii)),
    ("iso-8859-1", Some(Latin1)),
    ("iso8859-1", Some(Latin1)),
    ("iso_8859-1", Some(Latin1)),
    ("iso_8859-1:1987", Some(Latin1)),
    ("latin1", Some(Latin1)),
    ("l1", Some(Latin1)),
    ("iso-ir-100", Some(Latin1)),
    ("cp819", Some(Latin1)),
    ("ibm819", Some(Latin1)),
    ("csISOLatin1", Some(Latin1)),
];

/// Reads one of the two.
pub(super) fn read(reader: &mut Reader<'_, '_>, key: &'static str) -> Option<HeaderEncoding> {
    let name = reader.text(key)?;
    let known = ENCODINGS.iter().find(|(known, _)| same(known, &name));
    if let Some((_, Some(encoding))) = known {
        return Some(*encoding);
    }
    let at = reader.section.child(key);
    let (message, remedy) = match known {
        // YARP takes these, and each request then fails.
        Some(_) => (
            format!("no field can be written in {name:?}: plain letters would take several bytes"),
            "name utf-8, iso-8859-1 or us-ascii".to_owned(),
        ),
        None => (
            format!("there is no encoding {name:?}"),
            match nearest(&name, &ENCODINGS.map(|(name, _)| name)) {
                Some(near) => format!("did you mean {near}?"),
                None => "known are utf-8, iso-8859-1 and us-ascii".to_owned(),
            },
        ),
    };
    reader.error(&at, message, Some(remedy));
    None
}
