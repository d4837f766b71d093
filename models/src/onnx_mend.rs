//! Placeholder while being written.
pub(crate) fn mend(bytes: Vec<u8>) -> Result<Vec<u8>, std::convert::Infallible> {
    Ok(bytes)
}
