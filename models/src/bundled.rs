//! Model files that are part of the programs: small, free for every use, and to be had nowhere in this form. Where each comes
//! from, and under which licence, says `models/bundled/README.md`.

/// Name and bytes of each.
const FILES: [(&str, &[u8]); 1] =
    [("age_gender_ssrnet.onnx", include_bytes!("../bundled/age_gender_ssrnet.onnx"))];

/// The bytes of the file of that name.
pub(crate) fn bytes(name: &str) -> Option<&'static [u8]> {
    FILES.iter().find(|(known, _)| *known == name).map(|(_, bytes)| *bytes)
}
