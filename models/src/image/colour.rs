//! From luma and chroma to red, green and blue: the coefficients of the two matrices cameras use, and the
//! conversion of rows that are already as small as they will be.

/// Which weights of red, green and blue make up luma.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ColourMatrix {
    /// ITU-R BT.601, standard definition and JPEG.
    Bt601,
    /// ITU-R BT.709, high definition.
    Bt709,
}

impl ColourMatrix {
    /// What a picture of this height most likely uses when its stream does not say.
    pub fn usual_for_height(height: u32) -> Self {
        if height > 576 { Self::Bt709 } else { Self::Bt601 }
    }

    /// The weights of red and blue in luma.
    const fn luma_weights(self) -> (f32, f32) {
        match self {
            Self::Bt601 => (0.299, 0.114),
            Self::Bt709 => (0.2126, 0.0722),
        }
    }
}

/// Which byte values stand for black and white.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ColourRange {
    /// Luma 16 to 235, chroma 16 to 240: what video decoders make.
    Limited,
    /// 0 to 255: JPEG, and everything that is already RGB.
    Full,
}

/// Coefficients of one matrix and range, ready for rows of numbers.
#[derive(Debug, Clone, Copy)]
pub(crate) struct YuvToRgb {
    luma_offset: f32,
    luma_gain: f32,
    red_from_v: f32,
    green_from_u: f32,
    green_from_v: f32,
    blue_from_u: f32,
}

impl YuvToRgb {
    pub(crate) fn new(matrix: ColourMatrix, range: ColourRange) -> Self {
        let (red, blue) = matrix.luma_weights();
        let green = 1.0 - red - blue;
        let (luma_offset, luma_gain, chroma_gain) = match range {
            ColourRange::Limited => (16.0, 255.0 / 219.0, 255.0 / 224.0),
            ColourRange::Full => (0.0, 1.0, 1.0),
        };
        let (from_u, from_v) = (2.0 * (1.0 - blue) * chroma_gain, 2.0 * (1.0 - red) * chroma_gain);
        Self {
            luma_offset,
            luma_gain,
            red_from_v: from_v,
            green_from_u: -from_u * blue / green,
            green_from_v: -from_v * red / green,
            blue_from_u: from_u,
        }
    }

    /// One pixel; the result lies within 0 to 255.
    #[inline(always)]
    pub(crate) fn convert(&self, y: f32, u: f32, v: f32) -> [f32; 3] {
        let luma = self.luma(y);
        let (u, v) = (u - 128.0, v - 128.0);
        [
            (luma + self.red_from_v * v).clamp(0.0, 255.0),
            (luma + self.green_from_u * u + self.green_from_v * v).clamp(0.0, 255.0),
            (luma + self.blue_from_u * u).clamp(0.0, 255.0),
        ]
    }

    /// Brightness with black at 0 and white at 255, not yet cut off there.
    #[inline(always)]
    pub(crate) fn luma(&self, y: f32) -> f32 {
        (y - self.luma_offset) * self.luma_gain
    }

    /// A whole row in place: luma becomes red, the first chroma green, the second blue.
    #[inline(always)]
    pub(crate) fn convert_row(&self, y: &mut [f32], u: &mut [f32], v: &mut [f32]) {
        for ((y, u), v) in y.iter_mut().zip(u).zip(v) {
            [*y, *u, *v] = self.convert(*y, *u, *v);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rounded(matrix: ColourMatrix, range: ColourRange, yuv: [f32; 3]) -> [i32; 3] {
        YuvToRgb::new(matrix, range).convert(yuv[0], yuv[1], yuv[2]).map(|value| value.round() as i32)
    }

    #[test]
    fn black_white_and_the_primaries_come_out_as_the_standards_say() {
        use ColourMatrix::{Bt601, Bt709};
        use ColourRange::{Full, Limited};
        for matrix in [Bt601, Bt709] {
            assert_eq!(rounded(matrix, Limited, [16.0, 128.0, 128.0]), [0, 0, 0]);
            assert_eq!(rounded(matrix, Limited, [235.0, 128.0, 128.0]), [255, 255, 255]);
            assert_eq!(rounded(matrix, Full, [128.0, 128.0, 128.0]), [128, 128, 128]);
        }
        // The eight-bit codes of pure red, green and blue, from the standards' own tables.
        for (matrix, yuv, rgb) in [
            (Bt601, [81.0, 90.0, 240.0], [254, 0, 0]),
            (Bt601, [145.0, 54.0, 34.0], [0, 255, 1]),
            (Bt601, [41.0, 240.0, 110.0], [0, 0, 255]),
            (Bt709, [63.0, 102.0, 240.0], [255, 0, 0]),
            (Bt709, [173.0, 42.0, 26.0], [0, 255, 0]),
            (Bt709, [32.0, 240.0, 118.0], [0, 0, 255]),
        ] {
            let got = rounded(matrix, Limited, yuv);
            let far = got.iter().zip(rgb).any(|(got, wanted)| (got - wanted).abs() > 2);
            assert!(!far, "{matrix:?} {yuv:?}: {got:?} instead of {rgb:?}");
        }
        // JPEG's red.
        assert_eq!(rounded(Bt601, Full, [76.0, 85.0, 255.0]), [254, 0, 0]);
    }

    #[test]
    fn values_outside_the_range_are_cut_off() {
        assert_eq!(rounded(ColourMatrix::Bt709, ColourRange::Limited, [255.0, 128.0, 128.0]), [255; 3]);
        assert_eq!(rounded(ColourMatrix::Bt709, ColourRange::Limited, [0.0, 128.0, 128.0]), [0; 3]);
    }
}
