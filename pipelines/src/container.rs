//! Whether a video file is all there, told from the sizes its container states.
//!
//! A demuxer that reaches the end of a file which breaks off reports a plain end of stream, so a recording cut in half
//! would look like a short one. MP4, Matroska and AVI state in their headers how long their parts are; adding those up
//! shows what is missing without reading the pictures.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::path::Path;

/// A fragmented recording has two boxes per fragment; more than this many are not looked at.
const MOST_BOXES: usize = 200_000;

/// How many bytes the container promises beyond the end of the file: 0 when it is all there or does not say.
///
/// # Errors
/// When the file cannot be read.
pub fn missing_bytes(path: &Path) -> io::Result<u64> {
    let mut file = File::open(path)?;
    let length = file.metadata()?.len();
    let mut head = Vec::with_capacity(64);
    (&mut file).take(64).read_to_end(&mut head)?;
    let promised = match &head[..] {
        [_, _, _, _, kind @ ..] if is_mp4(kind) => mp4_end(&mut file, length)?,
        [b'R', b'I', b'F', b'F', a, b, c, d, b'A', b'V', b'I', b' ', ..] => {
            Some(u64::from(u32::from_le_bytes([*a, *b, *c, *d])) + 8)
        }
        [0x1a, 0x45, 0xdf, 0xa3, ..] => matroska_end(&head),
        _ => None,
    };
    Ok(promised.unwrap_or(length).saturating_sub(length))
}

/// Whether what follows the first four bytes is the type of a box an MP4 or QuickTime file begins with.
fn is_mp4(kind: &[u8]) -> bool {
    let first = [b"ftyp", b"moov", b"mdat", b"free", b"wide", b"skip", b"styp", b"pnot"];
    first.iter().any(|name| kind.starts_with(&name[..]))
}

/// Where the last box of an MP4 ends; `None` if it runs to the end of the file whatever that is.
fn mp4_end(file: &mut File, length: u64) -> io::Result<Option<u64>> {
    let mut position = 0;
    let mut has_index = false;
    for _ in 0..MOST_BOXES {
        if position >= length {
            break;
        }
        // A header that breaks off itself means at least its own 8 bytes.
        if length - position < 8 {
            return Ok(Some(position + 8));
        }
        file.seek(SeekFrom::Start(position))?;
        let mut header = [0; 16];
        let read = read_some(file, &mut header)?;
        let [a, b, c, d, e, f, g, h, wide @ ..] = header;
        has_index |= matches!(&[e, f, g, h], b"moov" | b"moof");
        let size = match u32::from_be_bytes([a, b, c, d]) {
            0 => return Ok(None),
            1 if read == header.len() => u64::from_be_bytes(wide),
            1 => return Ok(Some(position + 16)),
            size => u64::from(size),
        };
        if size < 8 {
            return Ok(None);
        }
        position = position.saturating_add(size);
    }
    // Without its index a file cannot be played; how long the index was to be nobody knows.
    Ok(Some(if has_index { position } else { position.max(length + 1) }))
}

/// Where a Matroska segment ends; `None` if it was recorded without stating it.
fn matroska_end(head: &[u8]) -> Option<u64> {
    let (header_size, size_length) = ebml_size(head.get(4..)?)?;
    let segment = usize::try_from(header_size).ok()?.checked_add(4 + size_length)?;
    let rest = head.get(segment..)?.strip_prefix(&[0x18, 0x53, 0x80, 0x67])?;
    let (segment_size, size_length) = ebml_size(rest)?;
    segment_size.checked_add((segment + 4 + size_length) as u64)
}

/// An EBML size and how many bytes state it; `None` for the reserved value that means unknown.
fn ebml_size(bytes: &[u8]) -> Option<(u64, usize)> {
    let first = *bytes.first()?;
    let length = first.leading_zeros() as usize + 1;
    let rest = bytes.get(1..length)?;
    let marker = 0x80_u8.checked_shr(length as u32 - 1)?;
    let value = rest.iter().fold(u64::from(first & !marker & (marker.wrapping_sub(1))), |value, byte| {
        value << 8 | u64::from(*byte)
    });
    let unknown = (1_u64 << (7 * length)) - 1;
    (value != unknown).then_some((value, length))
}

/// Fills as much of `buffer` as the file still holds.
fn read_some(file: &mut File, buffer: &mut [u8]) -> io::Result<usize> {
    let mut read = 0;
    while read < buffer.len() {
        match file.read(&mut buffer[read..])? {
            0 => break,
            more => read += more,
        }
    }
    Ok(read)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn missing(bytes: &[u8]) -> u64 {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), bytes).unwrap();
        missing_bytes(file.path()).unwrap()
    }

    fn boxed(kind: &[u8; 4], content: usize) -> Vec<u8> {
        let mut bytes = (content as u32 + 8).to_be_bytes().to_vec();
        bytes.extend_from_slice(kind);
        bytes.resize(content + 8, 0);
        bytes
    }

    #[test]
    fn an_mp4_that_breaks_off_is_found_out() {
        let whole = [boxed(b"ftyp", 16), boxed(b"moov", 100), boxed(b"mdat", 1000)].concat();
        assert_eq!(missing(&whole), 0);
        assert_eq!(missing(&whole[..whole.len() - 300]), 300);
        let without_index = [boxed(b"ftyp", 16), boxed(b"mdat", 1000)].concat();
        assert!(missing(&without_index) > 0);
        let mut open_end = [boxed(b"ftyp", 16), boxed(b"moov", 8), boxed(b"mdat", 50)].concat();
        open_end[40..44].copy_from_slice(&[0; 4]);
        assert_eq!(missing(&open_end), 0, "a box of size 0 runs to the end");
    }

    #[test]
    fn avi_and_matroska_state_their_length() {
        let avi = [&b"RIFF"[..], &100_u32.to_le_bytes(), b"AVI ", &[0; 96]].concat();
        assert_eq!(missing(&avi), 0);
        assert_eq!(missing(&avi[..58]), 50);
        let ebml = [0x1a, 0x45, 0xdf, 0xa3, 0x82, 0, 0, 0x18, 0x53, 0x80, 0x67];
        let matroska = [&ebml[..], &[0x40, 100], &[0; 100]].concat();
        assert_eq!(missing(&matroska), 0);
        assert_eq!(missing(&matroska[..93]), 20);
        let unknown = [&ebml[..], &[0xff], &[0; 10]].concat();
        assert_eq!(missing(&unknown), 0);
    }

    #[test]
    fn anything_else_counts_as_whole() {
        for bytes in
            [&b""[..], b"x", b"hello, this is no video", &[0; 40], &[0x1a, 0x45, 0xdf, 0xa3], &[0xff; 64]]
        {
            assert_eq!(missing(bytes), 0, "{bytes:?}");
        }
    }
}
