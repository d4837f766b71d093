//! Scaling straight from a decoder's planes. Every plane is reduced by itself, rows first (long, contiguous,
//! vectorised sums) and columns after, and only the small result is converted to RGB: a 1280×720 frame costs
//! one pass over its bytes and nothing full-sized is ever allocated.
//!
//! Up to a factor of two, bilinear weights already touch every pixel (at exactly two they *are* the mean of
//! two pixels); beyond that each result is the mean of the area it covers ([`Sampling::Area`]), so that small
//! faces neither vanish between the samples nor flicker from frame to frame.

use super::opencv_linear::{self, LinearPlan};
use super::{ImageView, PixelFormat, YuvToRgb};
use crate::geometry::Rect;

/// From this factor on, plain bilinear weights would skip pixels.
const AREA_FROM_FACTOR: f32 = 2.0;

/// What a result is made of when a picture is reduced to less than half.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sampling {
    /// Every pixel of the area it covers.
    Area,
    /// The four pixels around its middle: of packed pictures bit for bit as OpenCV's `INTER_LINEAR`.
    Bilinear,
}

/// Tables and rows that are kept from one picture to the next, so that a stream allocates only once.
#[derive(Debug, Default)]
pub struct ScaleScratch {
    luma: PlanePlan,
    chroma: PlanePlan,
    linear: LinearPlan,
    sums: Vec<f32>,
    rows: [Vec<f32>; 3],
}

/// The taps of both axes of one plane.
#[derive(Debug, Default)]
struct PlanePlan {
    columns: AxisPlan,
    rows: AxisPlan,
}

impl PlanePlan {
    fn prepare(&mut self, columns: Axis, rows: Axis) {
        self.columns.prepare(columns);
        self.rows.prepare(rows);
    }
}

/// One axis to be scaled: `window` of `length` pixels becomes `results` pixels.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Axis {
    length: usize,
    window_start: f32,
    window_length: f32,
    results: usize,
    sampling: Sampling,
}

/// For each result, the pixels it is made of and their weights: always the same number of them, so that the
/// inner loops are straight.
#[derive(Debug, Default)]
struct AxisPlan {
    axis: Option<Axis>,
    taps: usize,
    first: Vec<u32>,
    weights: Vec<f32>,
}

impl AxisPlan {
    fn prepare(&mut self, axis: Axis) {
        if self.axis == Some(axis) {
            return;
        }
        let factor = axis.window_length / axis.results as f32;
        let is_area = axis.sampling == Sampling::Area && factor > AREA_FROM_FACTOR;
        let reach = if is_area { factor.ceil() as usize + 1 } else { 2 };
        self.taps = reach.min(axis.length);
        self.first.clear();
        self.weights.clear();
        self.weights.resize(self.taps * axis.results, 0.0);
        for result in 0..axis.results {
            let weights = &mut self.weights[result * self.taps..(result + 1) * self.taps];
            let first = if is_area {
                area_taps(axis, factor, result, weights)
            } else {
                bilinear_taps(axis, factor, result, weights)
            };
            self.first.push(first as u32);
        }
        self.drop_idle_taps();
        self.axis = Some(axis);
    }

    /// Removes last taps that no result uses: a whole factor needs one tap fewer than a broken one, and a
    /// picture at its own size just one.
    fn drop_idle_taps(&mut self) {
        let is_idle =
            |tap: usize| self.weights.iter().skip(tap).step_by(self.taps).all(|weight| *weight == 0.0);
        let mut used = self.taps;
        while used > 1 && is_idle(used - 1) {
            used -= 1;
        }
        if used < self.taps {
            let kept: Vec<f32> =
                self.weights.chunks_exact(self.taps).flat_map(|weights| &weights[..used]).copied().collect();
            self.weights = kept;
            self.taps = used;
        }
    }

    /// First pixel and weights of a result.
    fn result(&self, index: usize) -> (usize, &[f32]) {
        (self.first[index] as usize, &self.weights[index * self.taps..(index + 1) * self.taps])
    }

    /// The pixels any result is made of.
    fn span(&self) -> std::ops::Range<usize> {
        let start = self.first.iter().min().copied().unwrap_or(0) as usize;
        let end = self.first.iter().max().copied().unwrap_or(0) as usize + self.taps;
        start..end
    }
}

/// Adds a weight to the tap of a pixel, which is moved to the edge when it lies beyond it.
fn add_tap(first: usize, weights: &mut [f32], pixel: isize, length: usize, weight: f32) {
    let pixel = pixel.clamp(0, length as isize - 1) as usize;
    weights[(pixel - first).min(weights.len() - 1)] += weight;
}

/// The first tap so that all of them lie within the axis.
fn first_tap(pixel: isize, taps: usize, length: usize) -> usize {
    pixel.clamp(0, (length - taps) as isize) as usize
}

fn bilinear_taps(axis: Axis, factor: f32, result: usize, weights: &mut [f32]) -> usize {
    let position = axis.window_start + (result as f32 + 0.5) * factor - 0.5;
    let pixel = position.floor() as isize;
    let fraction = position - position.floor();
    let first = first_tap(pixel, weights.len(), axis.length);
    add_tap(first, weights, pixel, axis.length, 1.0 - fraction);
    add_tap(first, weights, pixel + 1, axis.length, fraction);
    first
}

fn area_taps(axis: Axis, factor: f32, result: usize, weights: &mut [f32]) -> usize {
    let start = axis.window_start + result as f32 * factor;
    let end = start + factor;
    let (first_pixel, end_pixel) = (start.floor() as isize, end.ceil() as isize);
    let first = first_tap(first_pixel, weights.len(), axis.length);
    for pixel in first_pixel..end_pixel {
        let covered = (end.min(pixel as f32 + 1.0) - start.max(pixel as f32)).max(0.0);
        // Slivers come from rounding the borders, not from the picture.
        if covered > 1e-3 {
            add_tap(first, weights, pixel, axis.length, covered);
        }
    }
    let sum: f32 = weights.iter().sum();
    if sum > 0.0 {
        weights.iter_mut().for_each(|weight| *weight /= sum);
    } else {
        weights[0] = 1.0;
    }
    first
}

/// Scales the part of a picture within `rect` to `size` and hands over each row as red, green and blue from
/// 0 to 255. What lies outside the picture repeats its edge.
pub(crate) fn scale_rgb(
    view: &ImageView,
    rect: Rect,
    size: (u32, u32),
    sampling: Sampling,
    scratch: &mut ScaleScratch,
    mut write_row: impl FnMut(usize, &[f32], &[f32], &[f32]),
) {
    let rect = sane_window(view, rect);
    if let (Sampling::Bilinear, Some(layout)) = (sampling, view.packed_layout())
        && rect == view.bounds()
    {
        let ScaleScratch { linear, rows, .. } = scratch;
        return opencv_linear::resize(view, layout, size, linear, rows, write_row);
    }
    let results = (size.0 as usize, size.1 as usize);
    let (width, height) = (view.width() as usize, view.height() as usize);
    let (columns, rows) = axes(rect, (width, height), results, 1.0, sampling);
    scratch.luma.prepare(columns, rows);
    let has_chroma = matches!(view.format(), PixelFormat::I420 | PixelFormat::Nv12);
    if has_chroma {
        let chroma_size = (width.div_ceil(2), height.div_ceil(2));
        let (columns, rows) = axes(rect, chroma_size, results, 0.5, sampling);
        scratch.chroma.prepare(columns, rows);
    }
    with_wide_registers(
        #[inline(always)]
        || scale_planes(view, size, scratch, &mut write_row),
    );
}

/// Makes every row of the result, by the taps that were prepared.
#[inline(always)]
fn scale_planes(
    view: &ImageView,
    size: (u32, u32),
    scratch: &mut ScaleScratch,
    write_row: &mut impl FnMut(usize, &[f32], &[f32], &[f32]),
) {
    let (results_x, results_y) = (size.0 as usize, size.1 as usize);
    let colour = YuvToRgb::new(view.colour().0, view.colour().1);
    let ScaleScratch { luma, chroma, sums, rows, .. } = scratch;
    for row in rows.iter_mut() {
        row.resize(results_x, 0.0);
    }
    let [red, green, blue] = rows;
    for y in 0..results_y {
        match (view.format(), view.packed_layout()) {
            (PixelFormat::I420, _) => {
                scale_row(&PlaneRows::new(view, 0, 1), luma, y, sums, [(0, &mut *red)]);
                scale_row(&PlaneRows::new(view, 1, 1), chroma, y, sums, [(0, &mut *green)]);
                scale_row(&PlaneRows::new(view, 2, 1), chroma, y, sums, [(0, &mut *blue)]);
                colour.convert_row(red, green, blue);
            }
            (PixelFormat::Nv12, _) => {
                scale_row(&PlaneRows::new(view, 0, 1), luma, y, sums, [(0, &mut *red)]);
                let both = [(0, &mut *green), (1, &mut *blue)];
                scale_row(&PlaneRows::new(view, 1, 2), chroma, y, sums, both);
                colour.convert_row(red, green, blue);
            }
            (_, Some(layout)) => {
                let [at_red, at_green, at_blue] = layout.offsets;
                let targets = [(at_red, &mut *red), (at_green, &mut *green), (at_blue, &mut *blue)];
                scale_row(&PlaneRows::new(view, 0, layout.bytes_per_pixel), luma, y, sums, targets);
            }
            (_, None) => {
                scale_row(&PlaneRows::new(view, 0, 1), luma, y, sums, [(0, &mut *red)]);
                for value in red.iter_mut() {
                    *value = colour.luma(*value).clamp(0.0, 255.0);
                }
                green.copy_from_slice(red);
                blue.copy_from_slice(red);
            }
        }
        write_row(y, red, green, blue);
    }
}

/// Scales the part of a picture within `rect` to `size`, in brightness alone: 0 (black) to 255, row by row in
/// `target`.
pub(crate) fn scale_luma(
    view: &ImageView,
    rect: Rect,
    size: (u32, u32),
    scratch: &mut ScaleScratch,
    target: &mut Vec<f32>,
) {
    target.clear();
    if view.packed_layout().is_some() {
        scale_rgb(view, rect, size, Sampling::Area, scratch, |_, red, green, blue| {
            let row = red.iter().zip(green).zip(blue);
            target.extend(row.map(|((red, green), blue)| 0.299 * red + 0.587 * green + 0.114 * blue));
        });
        return;
    }
    let rect = sane_window(view, rect);
    let results = (size.0 as usize, size.1 as usize);
    let (columns, rows) =
        axes(rect, (view.width() as usize, view.height() as usize), results, 1.0, Sampling::Area);
    scratch.luma.prepare(columns, rows);
    let colour = YuvToRgb::new(view.colour().0, view.colour().1);
    let ScaleScratch { luma, sums, rows: [row, ..], .. } = scratch;
    row.resize(results.0, 0.0);
    with_wide_registers(
        #[inline(always)]
        || {
            for y in 0..results.1 {
                scale_row(&PlaneRows::new(view, 0, 1), luma, y, sums, [(0, &mut *row)]);
                target.extend(row.iter().map(|value| colour.luma(*value).clamp(0.0, 255.0)));
            }
        },
    );
}

/// Runs `work`, compiled for AVX2 where the processor has it: scaling takes a fifth less time then, and comes out the same to
/// the bit, since nothing is fused or reordered.
fn with_wide_registers(work: impl FnOnce()) {
    #[cfg(target_arch = "x86_64")]
    {
        #[target_feature(enable = "avx2")]
        fn with_avx2(work: impl FnOnce()) {
            work();
        }
        if std::arch::is_x86_feature_detected!("avx2") {
            #[allow(unsafe_code, reason = "what a processor can do is known only while running")]
            // SAFETY: the processor has what the function is compiled for.
            return unsafe { with_avx2(work) };
        }
    }
    work();
}

/// A window that is made of numbers and not absurdly far away; anything else becomes the whole picture.
fn sane_window(view: &ImageView, rect: Rect) -> Rect {
    let far = 16.0 * super::MAX_SIDE as f32;
    let is_near = [rect.x, rect.y, rect.right(), rect.bottom()].iter().all(|edge| edge.abs() <= far);
    if rect.is_empty() || !is_near { view.bounds() } else { rect }
}

fn axes(
    rect: Rect,
    size: (usize, usize),
    results: (usize, usize),
    subsampling: f32,
    sampling: Sampling,
) -> (Axis, Axis) {
    let axis = |length, start: f32, window: f32, results| Axis {
        length,
        window_start: start * subsampling,
        window_length: window * subsampling,
        results,
        sampling,
    };
    (axis(size.0, rect.x, rect.width, results.0), axis(size.1, rect.y, rect.height, results.1))
}

/// The rows of a plane, and how many bytes lie from one pixel to the next.
struct PlaneRows<'a, 'b> {
    view: &'b ImageView<'a>,
    plane: usize,
    bytes_per_pixel: usize,
}

impl<'a, 'b> PlaneRows<'a, 'b> {
    fn new(view: &'b ImageView<'a>, plane: usize, bytes_per_pixel: usize) -> Self {
        Self { view, plane, bytes_per_pixel }
    }

    fn bytes(&self, row: usize, columns: &std::ops::Range<usize>) -> &'a [u8] {
        let row = self.view.plane(self.plane).row(row, columns.end * self.bytes_per_pixel);
        row.get(columns.start * self.bytes_per_pixel..).unwrap_or(&[])
    }
}

/// Makes one row of the result: for every channel given (its place within a pixel, and where it goes).
#[inline(always)]
fn scale_row<const CHANNELS: usize>(
    plane: &PlaneRows,
    plan: &PlanePlan,
    result_row: usize,
    sums: &mut Vec<f32>,
    targets: [(usize, &mut Vec<f32>); CHANNELS],
) {
    let columns = plan.columns.span();
    let step = plane.bytes_per_pixel;
    let (first_row, row_weights) = plan.rows.result(result_row);
    sum_rows(sums, columns.len() * step, row_weights, |tap| plane.bytes(first_row + tap, &columns));
    for (channel, target) in targets {
        sum_columns(sums, &plan.columns, columns.start, step, channel, target);
    }
}

/// The weighted sum of rows, as numbers.
#[inline(always)]
fn sum_rows<'a>(sums: &mut Vec<f32>, length: usize, weights: &[f32], row: impl Fn(usize) -> &'a [u8]) {
    sums.resize(length, 0.0);
    match *weights {
        [_] => fill(sums, row(0), |value| value),
        [a, b] => weigh_rows(sums, [row(0), row(1)], [a, b]),
        [a, b, c] => weigh_rows(sums, [row(0), row(1), row(2)], [a, b, c]),
        [a, b, c, d] => weigh_rows(sums, [row(0), row(1), row(2), row(3)], [a, b, c, d]),
        [a, b, c, d, e] => weigh_rows(sums, [row(0), row(1), row(2), row(3), row(4)], [a, b, c, d, e]),
        _ => {
            for (tap, weight) in weights.iter().enumerate() {
                if tap == 0 {
                    fill(sums, row(tap), |value| weight * value);
                } else {
                    for (sum, value) in sums.iter_mut().zip(row(tap)) {
                        *sum += weight * f32::from(*value);
                    }
                }
            }
        }
    }
}

/// The weighted sum of a few rows in one go: each sum is written once and never read.
#[inline(always)]
fn weigh_rows<const ROWS: usize>(sums: &mut [f32], rows: [&[u8]; ROWS], weights: [f32; ROWS]) {
    let length = rows.iter().map(|row| row.len()).fold(sums.len(), usize::min);
    let rows = rows.map(|row| &row[..length]);
    for (index, sum) in sums[..length].iter_mut().enumerate() {
        let mut total = weights[0] * f32::from(rows[0][index]);
        for row in 1..ROWS {
            total += weights[row] * f32::from(rows[row][index]);
        }
        *sum = total;
    }
}

#[inline(always)]
fn fill(sums: &mut [f32], row: &[u8], weigh: impl Fn(f32) -> f32) {
    for (sum, value) in sums.iter_mut().zip(row) {
        *sum = weigh(f32::from(*value));
    }
}

/// The weighted sums of columns of one channel. The usual numbers of taps get loops of their own.
#[inline(always)]
fn sum_columns(sums: &[f32], plan: &AxisPlan, start: usize, step: usize, channel: usize, target: &mut [f32]) {
    match (plan.taps, step) {
        // A picture at its own size.
        (1, _) if plan.first.len() * step == sums.len() => {
            for (result, value) in target.iter_mut().zip(sums.iter().skip(channel).step_by(step)) {
                *result = *value;
            }
        }
        (2, 1) if plan.is_pairwise() => {
            for (result, pair) in target.iter_mut().zip(sums.chunks_exact(2)) {
                *result = 0.5 * (pair[0] + pair[1]);
            }
        }
        (1, _) => sum_taps::<1>(sums, plan, start, step, channel, target),
        (2, _) => sum_taps::<2>(sums, plan, start, step, channel, target),
        (3, _) => sum_taps::<3>(sums, plan, start, step, channel, target),
        (4, _) => sum_taps::<4>(sums, plan, start, step, channel, target),
        (taps, _) => {
            for (index, result) in target.iter_mut().enumerate() {
                let (first, weights) = plan.result(index);
                let at = (first - start) * step + channel;
                let window = &sums[at..at + (taps - 1) * step + 1];
                *result =
                    window.iter().step_by(step).zip(weights).map(|(value, weight)| value * weight).sum();
            }
        }
    }
}

#[inline(always)]
fn sum_taps<const TAPS: usize>(
    sums: &[f32],
    plan: &AxisPlan,
    start: usize,
    step: usize,
    channel: usize,
    target: &mut [f32],
) {
    let taps = plan.weights.chunks_exact(TAPS);
    for ((result, first), weights) in target.iter_mut().zip(&plan.first).zip(taps) {
        let at = (*first as usize - start) * step + channel;
        let window = &sums[at..at + (TAPS - 1) * step + 1];
        *result = (0..TAPS).map(|tap| window[tap * step] * weights[tap]).sum();
    }
}

impl AxisPlan {
    /// Whether every result is the mean of the next two pixels.
    fn is_pairwise(&self) -> bool {
        let halves = self.weights.iter().all(|weight| *weight == 0.5);
        halves && self.first.iter().enumerate().all(|(index, first)| *first as usize == 2 * index)
    }
}
