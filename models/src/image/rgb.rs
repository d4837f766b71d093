//! A picture of our own: what crops and decoded photos are, and what is written as JPEG.

use ::image::ExtendedColorType;
use ::image::codecs::jpeg::JpegEncoder;

use super::{ImageError, ImageView, MAX_SIDE, PixelFormat, Plane};
use crate::geometry::{Polygon, Rect};

/// An RGB picture without gaps between its rows. Its sides are never nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RgbImage {
    width: u32,
    height: u32,
    data: Vec<u8>,
}

impl RgbImage {
    /// A picture from its bytes: three for each pixel, row by row.
    pub fn from_bytes(width: u32, height: u32, data: Vec<u8>) -> Result<Self, ImageError> {
        if !(1..=MAX_SIDE).contains(&width) || !(1..=MAX_SIDE).contains(&height) {
            return Err(ImageError::Dimensions { width, height });
        }
        let needed = 3 * width as usize * height as usize;
        if data.len() != needed {
            return Err(ImageError::PlaneTooShort { plane: 0, length: data.len(), needed });
        }
        Ok(Self { width, height, data })
    }

    /// A black picture; the caller answers for sides within 1..=[`MAX_SIDE`].
    pub(crate) fn black(width: u32, height: u32) -> Self {
        Self { width, height, data: vec![0; 3 * width as usize * height as usize] }
    }

    /// Width in pixels.
    pub fn width(&self) -> u32 {
        self.width
    }

    /// Height in pixels.
    pub fn height(&self) -> u32 {
        self.height
    }

    /// The bytes: red, green, blue, row by row.
    pub fn as_bytes(&self) -> &[u8] {
        &self.data
    }

    /// The bytes, to paint on.
    pub fn as_bytes_mut(&mut self) -> &mut [u8] {
        &mut self.data
    }

    /// Red, green and blue of a pixel; nothing outside the picture.
    pub fn pixel(&self, x: u32, y: u32) -> Option<[u8; 3]> {
        if x >= self.width || y >= self.height {
            return None;
        }
        let at = 3 * (y as usize * self.width as usize + x as usize);
        self.data.get(at..at + 3)?.try_into().ok()
    }

    /// Makes what shows something of `polygon` black, if the picture shows the rectangle `shown`.
    pub fn blacken(&mut self, polygon: &Polygon, shown: Rect) {
        let width = self.width as usize;
        polygon.cover(shown, (self.width, self.height), |row, columns| {
            let row = &mut self.data[3 * row * width..];
            row[3 * columns.start..3 * columns.end].fill(0);
        });
    }

    /// The picture as a view.
    pub fn view(&self) -> ImageView<'_> {
        let plane = Plane { data: &self.data, stride: 3 * self.width as usize };
        let view = ImageView::new(PixelFormat::Rgb, self.width, self.height, &[plane]);
        #[expect(
            clippy::expect_used,
            reason = "the constructors keep the sides in range and the bytes complete"
        )]
        view.expect("an RGB picture is always a valid view")
    }

    /// Writes the picture as JPEG, without any metadata. `quality` is cut to 1..=100.
    pub fn to_jpeg(&self, quality: u8) -> Result<Vec<u8>, ImageError> {
        let mut bytes = Vec::with_capacity(self.data.len() / 8);
        JpegEncoder::new_with_quality(&mut bytes, quality.clamp(1, 100))
            .encode(&self.data, self.width, self.height, ExtendedColorType::Rgb8)
            .map_err(|error| ImageError::Encode(error.to_string()))?;
        Ok(bytes)
    }

    pub(crate) fn write_row(&mut self, row: usize, red: &[f32], green: &[f32], blue: &[f32]) {
        let stride = 3 * self.width as usize;
        let target = &mut self.data[row * stride..(row + 1) * stride];
        for (((pixel, red), green), blue) in target.chunks_exact_mut(3).zip(red).zip(green).zip(blue) {
            // `as` cuts off at 0 and 255.
            pixel.copy_from_slice(&[(red + 0.5) as u8, (green + 0.5) as u8, (blue + 0.5) as u8]);
        }
    }
}
