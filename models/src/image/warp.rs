//! Reading a picture through a similarity transform, straight from the decoder's planes: only the pixels that
//! are needed are looked at, and only the result is converted to RGB.

use super::{ImageView, PixelFormat, YuvToRgb};
use crate::align::SimilarityTransform;

/// Rows that are kept from one face to the next.
#[derive(Debug, Default)]
pub struct WarpScratch {
    rows: [Vec<f32>; 3],
    positions: Vec<(f32, f32)>,
}

/// Makes a square picture: its pixel (x, y) is what lies at `to_frame` of (x, y) in the frame, between four
/// pixels bilinearly, black outside. Rows come as red, green and blue from 0 to 255.
pub(crate) fn warp_rgb(
    view: &ImageView,
    to_frame: &SimilarityTransform,
    side: u32,
    scratch: &mut WarpScratch,
    mut write_row: impl FnMut(usize, &[f32], &[f32], &[f32]),
) {
    let WarpScratch { rows, positions } = scratch;
    for row in rows.iter_mut() {
        row.resize(side as usize, 0.0);
    }
    let [red, green, blue] = rows;
    let colour = YuvToRgb::new(view.colour().0, view.colour().1);
    let is_inside = corners_are_inside(view, to_frame, side);
    for y in 0..side {
        positions.clear();
        positions.extend((0..side).map(|x| {
            let (x, y) = to_frame.apply(f64::from(x), f64::from(y));
            (x as f32, y as f32)
        }));
        match (view.format(), view.packed_layout()) {
            (PixelFormat::I420, _) => {
                sample(&Samples::of(view, 0, 1, 0), positions, red);
                sample(&Samples::of(view, 1, 1, 0).halved(), positions, green);
                sample(&Samples::of(view, 2, 1, 0).halved(), positions, blue);
                colour.convert_row(red, green, blue);
            }
            (PixelFormat::Nv12, _) => {
                sample(&Samples::of(view, 0, 1, 0), positions, red);
                sample(&Samples::of(view, 1, 2, 0).halved(), positions, green);
                sample(&Samples::of(view, 1, 2, 1).halved(), positions, blue);
                colour.convert_row(red, green, blue);
            }
            (_, Some(layout)) => {
                for (target, offset) in [&mut *red, &mut *green, &mut *blue].into_iter().zip(layout.offsets) {
                    sample(&Samples::of(view, 0, layout.bytes_per_pixel, offset), positions, target);
                }
            }
            (_, None) => {
                sample(&Samples::of(view, 0, 1, 0), positions, red);
                for value in red.iter_mut() {
                    *value = colour.luma(*value).clamp(0.0, 255.0);
                }
                green.copy_from_slice(red);
                blue.copy_from_slice(red);
            }
        }
        if !is_inside {
            darken_outside(view, positions, [&mut *red, &mut *green, &mut *blue]);
        }
        write_row(y as usize, red, green, blue);
    }
}

/// Whether every position lies within the picture: a square maps to a square, so its corners tell.
fn corners_are_inside(view: &ImageView, to_frame: &SimilarityTransform, side: u32) -> bool {
    let last = f64::from(side - 1);
    let (right, bottom) = (f64::from(view.width() - 1), f64::from(view.height() - 1));
    [(0.0, 0.0), (last, 0.0), (0.0, last), (last, last)].into_iter().all(|(x, y)| {
        let (x, y) = to_frame.apply(x, y);
        (0.0..=right).contains(&x) && (0.0..=bottom).contains(&y)
    })
}

/// Blends with black what lies between the picture's edge and the first pixel outside it, and blackens the rest.
fn darken_outside(view: &ImageView, positions: &[(f32, f32)], rows: [&mut Vec<f32>; 3]) {
    let (width, height) = (view.width() as f32, view.height() as f32);
    let [red, green, blue] = rows;
    for (((position, red), green), blue) in positions.iter().zip(red).zip(green).zip(blue) {
        let inside = |position: f32, length: f32| (position + 1.0).min(length - position).clamp(0.0, 1.0);
        let share = inside(position.0, width) * inside(position.1, height);
        *red *= share;
        *green *= share;
        *blue *= share;
    }
}

/// One channel of one plane.
struct Samples<'a> {
    data: &'a [u8],
    stride: usize,
    step: usize,
    width: usize,
    height: usize,
    /// From the picture's coordinates to the plane's.
    scale: f32,
    shift: f32,
}

impl<'a> Samples<'a> {
    fn of(view: &ImageView<'a>, plane: usize, step: usize, offset: usize) -> Self {
        let plane = view.plane(plane);
        Self {
            data: plane.data.get(offset..).unwrap_or(&[]),
            stride: plane.stride,
            step,
            width: view.width() as usize,
            height: view.height() as usize,
            scale: 1.0,
            shift: 0.0,
        }
    }

    /// The same for a plane of half the size, whose pixels lie in the middle of four.
    fn halved(self) -> Self {
        let (width, height) = (self.width.div_ceil(2), self.height.div_ceil(2));
        Self { width, height, scale: 0.5, shift: -0.25, ..self }
    }
}

/// The values at the positions; beyond the edge the edge is repeated.
fn sample(plane: &Samples, positions: &[(f32, f32)], target: &mut [f32]) {
    let (limit_x, limit_y) = ((plane.width - 1) as f32, (plane.height - 1) as f32);
    for (value, position) in target.iter_mut().zip(positions) {
        // A position that is no number becomes 0 here: `max` prefers the number.
        let x = (position.0 * plane.scale + plane.shift).max(0.0).min(limit_x);
        let y = (position.1 * plane.scale + plane.shift).max(0.0).min(limit_y);
        let (column, row) = (x as usize, y as usize);
        let (part_x, part_y) = (x - column as f32, y - row as f32);
        let right = if column + 1 < plane.width { plane.step } else { 0 };
        let below = if row + 1 < plane.height { plane.stride } else { 0 };
        let at = row * plane.stride + column * plane.step;
        let upper = mix(pixel(plane.data, at), pixel(plane.data, at + right), part_x);
        let lower = mix(pixel(plane.data, at + below), pixel(plane.data, at + below + right), part_x);
        *value = mix(upper, lower, part_y);
    }
}

#[inline]
fn mix(a: f32, b: f32, part: f32) -> f32 {
    a + (b - a) * part
}

/// The view was checked when it was made, so the pixel is there; a panic for want of a proof costs more.
#[inline]
fn pixel(data: &[u8], at: usize) -> f32 {
    f32::from(data.get(at).copied().unwrap_or(0))
}
