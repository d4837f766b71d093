//! Names as masks of pixels, from bitmap fonts that are part of the program: nothing needs to be installed.

use embedded_graphics::Drawable as _;
use embedded_graphics::mono_font::mapping::GlyphMapping;
use embedded_graphics::mono_font::{self, MonoFont, MonoTextStyle};
use embedded_graphics::pixelcolor::BinaryColor;
use embedded_graphics::prelude::{DrawTarget, OriginDimensions, Point, Size};
use embedded_graphics::text::{Baseline, Text};

use super::canvas::Mask;

/// No name is drawn longer than this.
const MAX_CHARS: usize = 40;

/// Letters of one size, for every script there is.
struct Typeface {
    glyph_width: usize,
    glyph_height: usize,
    /// One font a script, with what tells whether a letter is among its own.
    fonts: [(&'static MonoFont<'static>, &'static dyn GlyphMapping); 6],
}

macro_rules! typeface {
    ($width:literal, $height:literal, $font:ident) => {
        Typeface {
            glyph_width: $width,
            glyph_height: $height,
            fonts: [
                (&mono_font::iso_8859_1::$font, &mono_font::mapping::ISO_8859_1),
                (&mono_font::iso_8859_2::$font, &mono_font::mapping::ISO_8859_2),
                (&mono_font::iso_8859_5::$font, &mono_font::mapping::ISO_8859_5),
                (&mono_font::iso_8859_7::$font, &mono_font::mapping::ISO_8859_7),
                (&mono_font::iso_8859_9::$font, &mono_font::mapping::ISO_8859_9),
                (&mono_font::iso_8859_13::$font, &mono_font::mapping::ISO_8859_13),
            ],
        }
    };
}

/// Made smaller, strokes of one pixel break: letters are drawn at their size or larger.
const SMALL: Typeface = typeface!(6, 12, FONT_6X12);
const LARGE: Typeface = typeface!(10, 20, FONT_10X20);

/// A text as a mask of the given height in pixels.
pub(super) fn mask(text: &str, height: usize) -> Mask {
    let typeface = if height < LARGE.glyph_height { SMALL } else { LARGE };
    let text: String = text.chars().filter(|letter| !letter.is_control()).take(MAX_CHARS).collect();
    let (width, rows) = (text.chars().count() * typeface.glyph_width, typeface.glyph_height);
    let mut bitmap = Bitmap { width, rows, lit: vec![0; width * rows] };
    for (index, letter) in text.chars().enumerate() {
        // At most `MAX_CHARS` letters of ten pixels.
        let at = Point::new((index * typeface.glyph_width) as i32, 0);
        let style = MonoTextStyle::new(typeface.font_for(letter), BinaryColor::On);
        let mut buffer = [0; 4];
        let letter = letter.encode_utf8(&mut buffer);
        // Drawing on memory cannot fail.
        let _ = Text::with_baseline(letter, at, style, Baseline::Top).draw(&mut bitmap);
    }
    bitmap.scaled(height.max(1))
}

impl Typeface {
    /// The first font that has the letter; any shows a question mark for a letter nobody has.
    fn font_for(&self, letter: char) -> &'static MonoFont<'static> {
        let question_mark = |mapping: &dyn GlyphMapping| mapping.index('?');
        let has =
            |mapping: &dyn GlyphMapping| letter == '?' || mapping.index(letter) != question_mark(mapping);
        self.fonts.iter().find(|(_, mapping)| has(*mapping)).map_or(self.fonts[0].0, |(font, _)| font)
    }
}

struct Bitmap {
    width: usize,
    rows: usize,
    lit: Vec<u8>,
}

impl OriginDimensions for Bitmap {
    fn size(&self) -> Size {
        // Small numbers both.
        Size::new(self.width as u32, self.rows as u32)
    }
}

impl DrawTarget for Bitmap {
    type Color = BinaryColor;
    type Error = std::convert::Infallible;

    fn draw_iter<I>(&mut self, pixels: I) -> Result<(), Self::Error>
    where
        I: IntoIterator<Item = embedded_graphics::Pixel<BinaryColor>>,
    {
        for embedded_graphics::Pixel(at, colour) in pixels {
            let (Ok(x), Ok(y)) = (usize::try_from(at.x), usize::try_from(at.y)) else { continue };
            if x < self.width
                && let Some(pixel) = self.lit.get_mut(y * self.width + x)
            {
                *pixel = if colour.is_on() { 255 } else { 0 };
            }
        }
        Ok(())
    }
}

impl Bitmap {
    /// The bitmap at another height, edges smoothed.
    fn scaled(&self, height: usize) -> Mask {
        let scale = self.rows as f32 / height as f32;
        let width = (self.width as f32 / scale).round() as usize;
        let mut opacity = Vec::with_capacity(width * height);
        for row in 0..height {
            for column in 0..width {
                let x = (column as f32 + 0.5) * scale - 0.5;
                let y = (row as f32 + 0.5) * scale - 0.5;
                opacity.push(self.between(x, y));
            }
        }
        Mask { width, height, opacity }
    }

    /// The opacity at a place between pixels.
    fn between(&self, x: f32, y: f32) -> u8 {
        let (left, top) = (x.floor(), y.floor());
        let (share_x, share_y) = (x - left, y - top);
        let upper = self.at(left, top) * (1.0 - share_x) + self.at(left + 1.0, top) * share_x;
        let lower = self.at(left, top + 1.0) * (1.0 - share_x) + self.at(left + 1.0, top + 1.0) * share_x;
        (upper * (1.0 - share_y) + lower * share_y).round() as u8
    }

    fn at(&self, x: f32, y: f32) -> f32 {
        let inside = x >= 0.0 && y >= 0.0 && (x as usize) < self.width;
        let index = y.max(0.0) as usize * self.width + x.max(0.0) as usize;
        self.lit.get(index).filter(|_| inside).copied().map_or(0.0, f32::from)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ink(text: &str, height: usize) -> u64 {
        mask(text, height).opacity.iter().map(|opacity| u64::from(*opacity)).sum()
    }

    #[test]
    fn text_has_the_asked_height_and_some_ink() {
        let small = mask("Ada", 10);
        assert_eq!((small.width, small.height, small.opacity.len()), (15, 10, 150));
        let large = mask("Ada", 40);
        assert_eq!((large.width, large.height), (60, 40));
        assert!(ink("Ada", 20) > 0);
        assert_eq!(ink("   ", 20), 0);
        assert_eq!(mask("", 20).opacity.len(), 0);
    }

    #[test]
    fn letters_of_several_scripts_are_no_question_marks() {
        for height in [12, 20] {
            let question_mark = mask("?", height).opacity;
            for letter in ["é", "ł", "Ж", "λ", "ş"] {
                assert_ne!(mask(letter, height).opacity, question_mark, "{letter}");
            }
            assert_eq!(mask("漢", height).opacity, question_mark);
        }
    }

    #[test]
    fn endless_names_are_cut() {
        assert_eq!(mask(&"x".repeat(1000), 20).width, MAX_CHARS * LARGE.glyph_width);
    }
}
