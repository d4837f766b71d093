//! Photos from strangers: bytes that claim to be a picture become an upright RGB picture, or an error that says
//! what is wrong with them. The size is read from the header and judged before anything is decoded, so
//! that a small file cannot ask for a large amount of memory.

use std::io::Cursor;
use std::panic::{AssertUnwindSafe, catch_unwind};

use ::image::{DynamicImage, ImageDecoder, ImageFormat, ImageReader, Limits};

use crate::image::{ImageError, ImageView, MAX_SIDE, RgbImage};

/// The most pixels a photo may have: more than any phone's usual mode makes.
pub const MAX_PIXELS: u64 = 50_000_000;
/// The most memory a decoder may take, which leaves room for colour with opacity at the most pixels.
const MAX_DECODER_BYTES: u64 = 256 << 20;

/// What is wrong with a photo.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PhotoError {
    /// There are no bytes.
    #[error("the file is empty")]
    Empty,
    /// The bytes do not begin like any format that is read here.
    #[error("the file is not a picture this server reads: send JPEG, PNG or WebP")]
    Unsupported,
    /// They begin like a picture and do not go on like one.
    #[error("the picture is damaged or incomplete: {reason}")]
    Corrupt {
        /// The decoder's own words.
        reason: String,
    },
    /// It would be larger than what is decoded here.
    #[error(
        "the picture has {width}×{height} pixels: send one of at most {} megapixels with sides up to {MAX_SIDE}",
        MAX_PIXELS / 1_000_000
    )]
    TooLarge {
        /// Width, as its header says.
        width: u32,
        /// Height, as its header says.
        height: u32,
    },
}

/// A decoded photo, turned upright.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Photo {
    image: RgbImage,
}

impl Photo {
    /// Decodes JPEG, PNG or WebP, whatever its name said.
    pub fn decode(bytes: &[u8]) -> Result<Self, PhotoError> {
        if bytes.is_empty() {
            return Err(PhotoError::Empty);
        }
        let format = match ::image::guess_format(bytes) {
            Ok(format @ (ImageFormat::Jpeg | ImageFormat::Png | ImageFormat::WebP)) => format,
            _ => return Err(PhotoError::Unsupported),
        };
        if format == ImageFormat::Jpeg && !jpeg_is_complete(bytes) {
            return Err(PhotoError::Corrupt { reason: "the JPEG ends before its picture does".into() });
        }
        // The decoders are large and the bytes may be made to break them: a panic there is the file's fault.
        let decoded = catch_unwind(AssertUnwindSafe(|| decode_upright(bytes, format)));
        let image = decoded.unwrap_or_else(|_| Err(corrupt("the decoder gave up")))?;
        let (width, height) = (image.width(), image.height());
        let image = RgbImage::from_bytes(width, height, image.into_rgb8().into_raw()).map_err(corrupt)?;
        Ok(Self { image })
    }

    /// A photo from a picture at hand.
    pub fn from_image(image: RgbImage) -> Self {
        Self { image }
    }

    /// Width in pixels, upright.
    pub fn width(&self) -> u32 {
        self.image.width()
    }

    /// Height in pixels, upright.
    pub fn height(&self) -> u32 {
        self.image.height()
    }

    /// The picture.
    pub fn image(&self) -> &RgbImage {
        &self.image
    }

    /// The picture as a view.
    pub fn view(&self) -> ImageView<'_> {
        self.image.view()
    }

    /// Writes the photo as JPEG without any metadata: no place, no time, no camera.
    pub fn to_jpeg(&self, quality: u8) -> Result<Vec<u8>, ImageError> {
        self.image.to_jpeg(quality)
    }
}

fn decode_upright(bytes: &[u8], format: ImageFormat) -> Result<DynamicImage, PhotoError> {
    let mut limits = Limits::no_limits();
    limits.max_alloc = Some(MAX_DECODER_BYTES);
    let mut reader = ImageReader::with_format(Cursor::new(bytes), format);
    reader.limits(limits.clone());
    let mut decoder = reader.into_decoder().map_err(|error| refused(error, png_size(bytes)))?;
    let (width, height) = decoder.dimensions();
    let is_bearable = u64::from(width) * u64::from(height) <= MAX_PIXELS && width.max(height) <= MAX_SIDE;
    // Sixteen bits a colour double the memory: only what the decoder would really make counts.
    if !is_bearable || decoder.total_bytes() > MAX_DECODER_BYTES {
        return Err(PhotoError::TooLarge { width, height });
    }
    // Broken metadata does not make a picture unreadable; it is then taken as it lies.
    let orientation = decoder.orientation().ok();
    let mut image =
        DynamicImage::from_decoder(decoder).map_err(|error| refused(error, Some((width, height))))?;
    if let Some(orientation) = orientation {
        image.apply_orientation(orientation);
    }
    Ok(image)
}

/// A decoder's error about a picture of this size.
fn refused(error: ::image::ImageError, size: Option<(u32, u32)>) -> PhotoError {
    match (&error, size) {
        (::image::ImageError::Limits(_), Some((width, height))) => PhotoError::TooLarge { width, height },
        _ => corrupt(error),
    }
}

/// The size a PNG's first chunk gives. The PNG decoder is the one that refuses a size before it tells it.
fn png_size(bytes: &[u8]) -> Option<(u32, u32)> {
    let sides: &[u8; 8] = bytes.strip_prefix(b"\x89PNG\r\n\x1a\n")?.get(8..16)?.first_chunk()?;
    let side = |at: usize| u32::from_be_bytes([sides[at], sides[at + 1], sides[at + 2], sides[at + 3]]);
    Some((side(0), side(4)))
}

fn corrupt(error: impl ToString) -> PhotoError {
    PhotoError::Corrupt { reason: error.to_string() }
}

/// Whether a JPEG has an end. Decoders fill up with grey what is missing, which makes a grey face of half
/// an upload. Segments are skipped by their lengths, so that the end of an embedded thumbnail does not count.
fn jpeg_is_complete(bytes: &[u8]) -> bool {
    const END: u8 = 0xd9;
    let mut at = 2;
    loop {
        // There may be fill bytes in front of a marker, and there are data behind a scan's header.
        let Some(found) = bytes.get(at..).and_then(|rest| rest.windows(2).position(is_marker)) else {
            return false;
        };
        let marker = bytes[at + found + 1];
        at += found + 2;
        if marker == END {
            return true;
        }
        // A scan's header is skipped like any segment; the data behind it hold no markers but restarts.
        let Some(length) = bytes.get(at..).and_then(|rest| rest.first_chunk::<2>()) else { return false };
        at += usize::from(u16::from_be_bytes(*length)).max(2);
    }
}

/// FF 00 is a data byte; 01 and D0 to D8 stand alone and say nothing here; FF FF is filling.
fn is_marker(pair: &[u8]) -> bool {
    pair[0] == 0xff && !matches!(pair[1], 0x00 | 0x01 | 0xd0..=0xd8 | 0xff)
}

#[cfg(test)]
mod tests;
