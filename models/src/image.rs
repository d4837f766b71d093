//! Borrowed views of pictures as decoders hand them out. A view only checks that its planes are as long as
//! they claim to be; everything else (the detector's small picture, the aligned face, the snapshot) is made
//! straight from it, converting no more pixels than the result has.

mod colour;
mod opencv_linear;
mod rgb;
mod scale;
mod tensor;
mod warp;

pub use colour::{ColourMatrix, ColourRange};
pub use rgb::RgbImage;
pub use scale::{Sampling, ScaleScratch};
pub use tensor::{ChannelOrder, TensorLayout, fill_tensor};
pub use warp::WarpScratch;

pub(crate) use colour::YuvToRgb;
pub(crate) use scale::{scale_luma, scale_rgb};
pub(crate) use warp::warp_rgb;

use crate::geometry::Rect;

/// Pictures wider or higher than this are refused: no decoder makes them, and sums over a side stay far from
/// the limits of the number types used.
pub const MAX_SIDE: u32 = 32_768;

/// How the pixels of a view are laid out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum PixelFormat {
    /// Three planes: luma, and two of chroma at half the width and height.
    I420,
    /// Two planes: luma, and one of interleaved chroma at half the width and height.
    Nv12,
    /// Red, green, blue.
    Rgb,
    /// Blue, green, red.
    Bgr,
    /// Red, green, blue, opacity (which is ignored).
    Rgba,
    /// Blue, green, red, opacity (which is ignored).
    Bgra,
    /// Red, green, blue, an unused byte.
    Rgbx,
    /// Blue, green, red, an unused byte.
    Bgrx,
    /// Brightness alone.
    Gray8,
}

impl PixelFormat {
    /// How many planes a picture of this format has.
    pub const fn plane_count(self) -> usize {
        match self {
            Self::I420 => 3,
            Self::Nv12 => 2,
            _ => 1,
        }
    }

    /// Where red, green and blue lie within a pixel, and how many bytes a pixel has; nothing for the
    /// formats that are not packed colour.
    const fn packed_layout(self) -> Option<PackedLayout> {
        let (offsets, bytes_per_pixel) = match self {
            Self::Rgb => ([0, 1, 2], 3),
            Self::Bgr => ([2, 1, 0], 3),
            Self::Rgba | Self::Rgbx => ([0, 1, 2], 4),
            Self::Bgra | Self::Bgrx => ([2, 1, 0], 4),
            Self::I420 | Self::Nv12 | Self::Gray8 => return None,
        };
        Some(PackedLayout { offsets, bytes_per_pixel })
    }

    /// Bytes of a row and rows of the given plane.
    fn plane_extent(self, plane: usize, width: u32, height: u32) -> (usize, usize) {
        let (width, height) = (width as usize, height as usize);
        let (chroma_width, chroma_height) = (width.div_ceil(2), height.div_ceil(2));
        match (self, plane) {
            (Self::I420, 1 | 2) => (chroma_width, chroma_height),
            (Self::Nv12, 1) => (2 * chroma_width, chroma_height),
            _ => (width * self.packed_layout().map_or(1, |layout| layout.bytes_per_pixel), height),
        }
    }
}

/// Byte positions of the colours in a packed pixel.
#[derive(Debug, Clone, Copy)]
pub(crate) struct PackedLayout {
    /// Position of red, green and blue.
    pub(crate) offsets: [usize; 3],
    /// Distance from one pixel to the next.
    pub(crate) bytes_per_pixel: usize,
}

/// One plane of a picture: its bytes and the distance from one row to the next.
#[derive(Debug, Clone, Copy, Default)]
pub struct Plane<'a> {
    /// The bytes, from the first pixel on.
    pub data: &'a [u8],
    /// Bytes from one row's first pixel to the next row's.
    pub stride: usize,
}

impl<'a> Plane<'a> {
    /// The first `length` bytes of a row. The view was checked when it was made, so a row within the plane
    /// is always there; a wrong index gives an empty row, never a panic.
    pub(crate) fn row(&self, row: usize, length: usize) -> &'a [u8] {
        let start = row * self.stride;
        self.data.get(start..start + length).unwrap_or(&[])
    }
}

/// Why a picture cannot be viewed or written.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ImageError {
    /// A side is nothing, or longer than any decoder makes it.
    #[error(
        "a picture of {width}×{height} pixels cannot be analysed: each side must have 1 to {MAX_SIDE} pixels"
    )]
    Dimensions {
        /// Width as given.
        width: u32,
        /// Height as given.
        height: u32,
    },
    /// The wrong number of planes for the format.
    #[error("{format:?} has {expected} planes, but {actual} were given")]
    PlaneCount {
        /// The format of the view.
        format: PixelFormat,
        /// How many planes it needs.
        expected: usize,
        /// How many there were.
        actual: usize,
    },
    /// Rows overlap: the stride is shorter than a row.
    #[error("plane {plane} has a stride of {stride} bytes, but a row needs {needed}")]
    Stride {
        /// Which plane.
        plane: usize,
        /// Its stride.
        stride: usize,
        /// What a row needs.
        needed: usize,
    },
    /// The plane ends before its last row does.
    #[error("plane {plane} has {length} bytes, but the picture needs {needed}: the buffer is cut short")]
    PlaneTooShort {
        /// Which plane.
        plane: usize,
        /// Its bytes.
        length: usize,
        /// What the picture needs.
        needed: usize,
    },
    /// The JPEG encoder refused the picture.
    #[error("the picture could not be written as JPEG: {0}")]
    Encode(String),
}

/// A picture somebody else owns. Cheap to copy; making one checks every plane once, reading it checks nothing
/// more than slices do.
#[derive(Debug, Clone, Copy)]
pub struct ImageView<'a> {
    format: PixelFormat,
    width: u32,
    height: u32,
    planes: [Plane<'a>; 3],
    matrix: ColourMatrix,
    range: ColourRange,
}

impl<'a> ImageView<'a> {
    /// Views a picture. I420 and NV12 are taken as what decoders make unless [`Self::with_colour`] says
    /// otherwise: limited range, BT.709 above 576 lines and BT.601 below; the other formats have full range.
    pub fn new(
        format: PixelFormat,
        width: u32,
        height: u32,
        planes: &[Plane<'a>],
    ) -> Result<Self, ImageError> {
        if !(1..=MAX_SIDE).contains(&width) || !(1..=MAX_SIDE).contains(&height) {
            return Err(ImageError::Dimensions { width, height });
        }
        let expected = format.plane_count();
        if planes.len() != expected {
            return Err(ImageError::PlaneCount { format, expected, actual: planes.len() });
        }
        let mut checked = [Plane::default(); 3];
        for (index, plane) in planes.iter().enumerate() {
            check_plane(index, plane, format.plane_extent(index, width, height))?;
            checked[index] = *plane;
        }
        let range = match format {
            PixelFormat::I420 | PixelFormat::Nv12 => ColourRange::Limited,
            _ => ColourRange::Full,
        };
        let matrix = ColourMatrix::usual_for_height(height);
        Ok(Self { format, width, height, planes: checked, matrix, range })
    }

    /// The same picture with its colours read by the given matrix and range (they matter to I420, NV12 and,
    /// the range alone, to GRAY8).
    #[must_use]
    pub fn with_colour(mut self, matrix: ColourMatrix, range: ColourRange) -> Self {
        self.matrix = matrix;
        self.range = range;
        self
    }

    /// Width in pixels, at least 1.
    pub fn width(&self) -> u32 {
        self.width
    }

    /// Height in pixels, at least 1.
    pub fn height(&self) -> u32 {
        self.height
    }

    /// How the pixels are laid out.
    pub fn format(&self) -> PixelFormat {
        self.format
    }

    /// The matrix and range its colours are read by.
    pub fn colour(&self) -> (ColourMatrix, ColourRange) {
        (self.matrix, self.range)
    }

    /// The whole picture as a rectangle.
    pub fn bounds(&self) -> Rect {
        Rect::new(0.0, 0.0, self.width as f32, self.height as f32)
    }

    /// The part within `rect`, scaled to the given size without aliasing. What lies outside the picture
    /// repeats its edge; clip the rectangle first where that is not wanted. Sides are cut to 1..=[`MAX_SIDE`].
    pub fn crop_rgb(&self, rect: Rect, width: u32, height: u32) -> RgbImage {
        let mut image = RgbImage::black(width.clamp(1, MAX_SIDE), height.clamp(1, MAX_SIDE));
        let (width, height) = (image.width(), image.height());
        let mut scratch = ScaleScratch::default();
        scale_rgb(self, rect, (width, height), Sampling::Area, &mut scratch, |row, red, green, blue| {
            image.write_row(row, red, green, blue);
        });
        image
    }

    /// The mean brightness, 0 (black) to 255 (white), of each of `size.0` × `size.1` equal parts of `window`, row by row
    /// in `means`.
    pub fn luma_means(
        &self,
        window: Rect,
        size: (u32, u32),
        scratch: &mut ScaleScratch,
        means: &mut Vec<f32>,
    ) {
        scale_luma(self, window, size, scratch, means);
    }

    /// The whole picture in RGB.
    pub fn to_rgb(&self) -> RgbImage {
        self.crop_rgb(self.bounds(), self.width, self.height)
    }

    pub(crate) fn plane(&self, index: usize) -> Plane<'a> {
        self.planes[index]
    }

    pub(crate) fn packed_layout(&self) -> Option<PackedLayout> {
        self.format.packed_layout()
    }
}

fn check_plane(index: usize, plane: &Plane, (row_bytes, rows): (usize, usize)) -> Result<(), ImageError> {
    // A single row needs no stride; some producers leave it at nothing then.
    if rows > 1 && plane.stride < row_bytes {
        return Err(ImageError::Stride { plane: index, stride: plane.stride, needed: row_bytes });
    }
    // The last row may end with its last pixel: many buffers leave its padding out.
    let needed = plane.stride.saturating_mul(rows - 1).saturating_add(row_bytes);
    if plane.data.len() < needed {
        return Err(ImageError::PlaneTooShort { plane: index, length: plane.data.len(), needed });
    }
    Ok(())
}

#[cfg(test)]
mod tests;
