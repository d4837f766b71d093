//! Scaling, cropping and warping against plain arithmetic, in every format and at odd sizes.

#![allow(clippy::unwrap_used)]

use super::*;
use crate::align::SimilarityTransform;
use crate::geometry::Point;

/// A picture's planes, to be viewed in any format; every row has some bytes of padding.
struct Planes {
    format: PixelFormat,
    width: u32,
    height: u32,
    planes: Vec<(Vec<u8>, usize)>,
}

impl Planes {
    /// Makes a picture of `format` from a colour for each pixel, full range.
    fn new(format: PixelFormat, width: u32, height: u32, colour: impl Fn(u32, u32) -> [u8; 3]) -> Self {
        const PADDING: usize = 5;
        let luma = |[r, g, b]: [u8; 3]| {
            (0.299 * f32::from(r) + 0.587 * f32::from(g) + 0.114 * f32::from(b)).round() as u8
        };
        let chroma = |x: u32, y: u32| {
            let [r, g, b] = colour(x, y).map(f32::from);
            let y = 0.299 * r + 0.587 * g + 0.114 * b;
            let offset = |value: f32| (value + 128.0).round().clamp(0.0, 255.0) as u8;
            [offset((b - y) / 1.772), offset((r - y) / 1.402)]
        };
        let plane = |width: u32, height: u32, pixel: &dyn Fn(u32, u32) -> Vec<u8>| {
            let rows = (0..height).map(|y| (0..width).flat_map(|x| pixel(x, y)).collect::<Vec<u8>>());
            let rows: Vec<Vec<u8>> = rows.collect();
            let stride = rows[0].len() + PADDING;
            (rows.into_iter().flat_map(|row| [row, vec![0xee; PADDING]].concat()).collect(), stride)
        };
        let (half_width, half_height) = (width.div_ceil(2), height.div_ceil(2));
        let packed = |order: [usize; 3], more: usize| {
            let pixel = |x: u32, y: u32| {
                let colour = colour(x, y);
                let mut bytes: Vec<u8> = order.iter().map(|at| colour[*at]).collect();
                bytes.extend(vec![0x55; more]);
                bytes
            };
            vec![plane(width, height, &pixel)]
        };
        let luma_plane = || plane(width, height, &|x, y| vec![luma(colour(x, y))]);
        let planes = match format {
            PixelFormat::I420 => vec![
                luma_plane(),
                plane(half_width, half_height, &|x, y| vec![chroma(2 * x, 2 * y)[0]]),
                plane(half_width, half_height, &|x, y| vec![chroma(2 * x, 2 * y)[1]]),
            ],
            PixelFormat::Nv12 => {
                vec![luma_plane(), plane(half_width, half_height, &|x, y| chroma(2 * x, 2 * y).to_vec())]
            }
            PixelFormat::Gray8 => vec![luma_plane()],
            PixelFormat::Rgb => packed([0, 1, 2], 0),
            PixelFormat::Bgr => packed([2, 1, 0], 0),
            PixelFormat::Rgba | PixelFormat::Rgbx => packed([0, 1, 2], 1),
            PixelFormat::Bgra | PixelFormat::Bgrx => packed([2, 1, 0], 1),
        };
        Self { format, width, height, planes }
    }

    fn view(&self) -> ImageView<'_> {
        let planes: Vec<Plane> =
            self.planes.iter().map(|(data, stride)| Plane { data, stride: *stride }).collect();
        ImageView::new(self.format, self.width, self.height, &planes)
            .unwrap()
            .with_colour(ColourMatrix::Bt601, ColourRange::Full)
    }
}

const FORMATS: [PixelFormat; 9] = [
    PixelFormat::I420,
    PixelFormat::Nv12,
    PixelFormat::Rgb,
    PixelFormat::Bgr,
    PixelFormat::Rgba,
    PixelFormat::Bgra,
    PixelFormat::Rgbx,
    PixelFormat::Bgrx,
    PixelFormat::Gray8,
];

fn tensor_of(view: &ImageView, content: (u32, u32), size: (u32, u32)) -> Vec<f32> {
    let layout = TensorLayout { order: ChannelOrder::Rgb, mean: 0.0, scale: 1.0 };
    let mut tensor = Vec::new();
    let mut scratch = ScaleScratch::default();
    fill_tensor(view, view.bounds(), content, size, layout, Sampling::Area, &mut scratch, &mut tensor);
    tensor
}

#[test]
fn every_format_scales_to_the_same_colours() {
    // Four coloured quarters: far from the borders every format must give the quarter's own colour.
    let colour = |x: u32, y: u32| match (x < 32, y < 24) {
        (true, true) => [200, 40, 30],
        (false, true) => [30, 180, 60],
        (true, false) => [20, 60, 220],
        (false, false) => [240, 240, 235],
    };
    for format in FORMATS {
        let planes = Planes::new(format, 64, 48, colour);
        for content in [(64, 48), (32, 24), (40, 30), (16, 12), (13, 9), (128, 96)] {
            let tensor = tensor_of(&planes.view(), content, content);
            let length = (content.0 * content.1) as usize;
            for (quarter_x, quarter_y) in [(0, 0), (1, 0), (0, 1), (1, 1)] {
                let (x, y) = ((1 + 2 * quarter_x) * content.0 / 4, (1 + 2 * quarter_y) * content.1 / 4);
                let at = (y * content.0 + x) as usize;
                let mut wanted = colour(quarter_x * 32, quarter_y * 24).map(f32::from);
                if format == PixelFormat::Gray8 {
                    wanted = [0.299 * wanted[0] + 0.587 * wanted[1] + 0.114 * wanted[2]; 3];
                }
                for channel in 0..3 {
                    let got = tensor[channel * length + at];
                    assert!((got - wanted[channel]).abs() < 2.5, "{format:?} {content:?}: {got} {wanted:?}");
                }
            }
        }
    }
}

#[test]
fn the_mean_brightness_survives_any_reduction() {
    // A pattern that nearest-pixel sampling would get grossly wrong.
    let planes =
        Planes::new(PixelFormat::Gray8, 120, 90, |x, y| if (x + y) % 2 == 0 { [255; 3] } else { [0; 3] });
    for content in [(60, 45), (40, 30), (30, 45), (17, 13), (7, 5), (1, 1)] {
        let tensor = tensor_of(&planes.view(), content, content);
        for value in &tensor {
            assert!((value - 127.5).abs() < 20.0, "{content:?}: {value}");
        }
    }
}

#[test]
fn halving_is_the_mean_of_four_and_a_broken_factor_is_bilinear() {
    let planes = Planes::new(PixelFormat::Gray8, 6, 2, |x, y| [(10 * x + 3 * y) as u8; 3]);
    let halved = tensor_of(&planes.view(), (3, 1), (3, 1));
    assert_eq!(halved[..3], [6.0, 26.0, 46.0], "6.5, 26.5 and 46.5, rounded to even numbers");
    // 6 to 4 by 1.5: positions 0.25, 1.75, 3.25, 4.75; as OpenCV's INTER_LINEAR.
    let broken = tensor_of(&planes.view(), (4, 2), (4, 2));
    assert_eq!(broken[..4], [2.0, 18.0, 32.0, 48.0], "2.5, 17.5, 32.5 and 47.5, rounded to even numbers");
    // Threefold: the mean of three, or the one in the middle.
    let thirds = tensor_of(&planes.view(), (2, 2), (2, 2));
    assert_eq!(thirds[..2], [10.0, 40.0]);
}

#[test]
fn the_rest_of_a_tensor_is_black_in_the_networks_numbers() {
    let planes = Planes::new(PixelFormat::Rgb, 4, 2, |_, _| [10, 20, 30]);
    let layout = TensorLayout { order: ChannelOrder::Bgr, mean: 127.5, scale: 1.0 / 128.0 };
    let (mut scratch, mut tensor) = (ScaleScratch::default(), vec![99.0; 7]);
    for _ in 0..2 {
        fill_tensor(
            &planes.view(),
            planes.view().bounds(),
            (4, 2),
            (8, 4),
            layout,
            Sampling::Area,
            &mut scratch,
            &mut tensor,
        );
        assert_eq!(tensor.len(), 3 * 32);
        assert_eq!((tensor[0], tensor[32], tensor[64]), (-97.5 / 128.0, -107.5 / 128.0, -117.5 / 128.0));
        for at in [4, 7, 16, 31, 63, 95] {
            assert_eq!(tensor[at], -127.5 / 128.0, "{at}");
        }
    }
}

#[test]
fn one_scratch_serves_pictures_of_changing_sizes() {
    let layout = TensorLayout { order: ChannelOrder::Rgb, mean: 0.0, scale: 1.0 };
    let (mut scratch, mut tensor) = (ScaleScratch::default(), Vec::new());
    for (width, height) in [(64, 48), (1, 1), (7, 3), (640, 2), (3, 500), (64, 48)] {
        for format in FORMATS {
            let planes = Planes::new(format, width, height, |_, _| [90, 90, 90]);
            fill_tensor(
                &planes.view(),
                planes.view().bounds(),
                (20, 10),
                (32, 32),
                layout,
                Sampling::Area,
                &mut scratch,
                &mut tensor,
            );
            for row in 0..10 {
                for value in &tensor[row * 32..row * 32 + 20] {
                    assert!((value - 90.0).abs() < 1.0, "{format:?} {width}×{height}: {value}");
                }
            }
            assert_eq!((tensor[20], tensor[10 * 32]), (0.0, 0.0));
        }
    }
}

#[test]
fn crops_show_their_part_and_repeat_the_edge() {
    let planes = Planes::new(PixelFormat::Rgb, 20, 10, |x, y| [(10 * x) as u8, (20 * y) as u8, 7]);
    let view = planes.view();
    let crop = view.crop_rgb(Rect::new(4.0, 2.0, 8.0, 6.0), 8, 6);
    assert_eq!((crop.pixel(0, 0), crop.pixel(7, 5)), (Some([40, 40, 7]), Some([110, 140, 7])));
    let outside = view.crop_rgb(Rect::new(-50.0, -50.0, 10.0, 10.0), 3, 3);
    assert_eq!(outside.pixel(1, 1), Some([0, 0, 7]));
    assert_eq!(view.to_rgb().pixel(19, 9), Some([190, 180, 7]));
    // Rectangles that are none show the whole picture instead.
    for rect in [Rect::default(), Rect::new(f32::NAN, 0.0, 5.0, 5.0), Rect::new(0.0, 0.0, 1e30, 1e30)] {
        assert_eq!(view.crop_rgb(rect, 20, 10), view.to_rgb());
    }
    assert_eq!(view.crop_rgb(view.bounds(), 0, 0).as_bytes().len(), 3);
}

#[test]
fn a_crop_is_written_as_jpeg_and_read_again() {
    let planes = Planes::new(PixelFormat::Nv12, 33, 17, |_, _| [120, 80, 60]);
    let jpeg = planes.view().to_rgb().to_jpeg(95).unwrap();
    let photo = crate::Photo::decode(&jpeg).unwrap();
    let pixel = photo.image().pixel(16, 8).unwrap();
    assert!(pixel.iter().zip([120, 80, 60]).all(|(got, wanted)| got.abs_diff(wanted) < 5), "{pixel:?}");
}

/// A transform that shifts by whole and broken pixels.
fn shift(by: (f32, f32)) -> SimilarityTransform {
    let points = [(0.0, 0.0), (9.0, 0.0), (0.0, 9.0), (9.0, 9.0), (4.0, 5.0)].map(|(x, y)| Point::new(x, y));
    let moved = points.map(|point| Point::new(point.x + by.0, point.y + by.1));
    SimilarityTransform::estimate(&points, &moved).unwrap()
}

#[test]
fn warping_reads_between_pixels_in_every_format() {
    // A gentle slope: bilinear sampling is exact on it.
    for format in FORMATS {
        let planes = Planes::new(format, 41, 31, |x, y| [(50 + 2 * x + 3 * y) as u8; 3]);
        warp_rgb(
            &planes.view(),
            &shift((10.25, 7.5)),
            8,
            &mut WarpScratch::default(),
            |row, red, green, blue| {
                for (x, value) in red.iter().enumerate() {
                    let wanted = 50.0 + 2.0 * (x as f32 + 10.25) + 3.0 * (row as f32 + 7.5);
                    assert!((value - wanted).abs() < 1.5, "{format:?} {row} {x}: {value} {wanted}");
                    assert!((value - green[x]).abs() < 1.5 && (value - blue[x]).abs() < 1.5);
                }
            },
        );
    }
}

#[test]
fn beyond_the_edge_it_fades_to_black_within_a_pixel() {
    for format in FORMATS {
        let planes = Planes::new(format, 16, 16, |_, _| [200; 3]);
        let mut middle_row = Vec::new();
        warp_rgb(&planes.view(), &shift((-2.5, 4.0)), 6, &mut WarpScratch::default(), |row, red, _, _| {
            if row == 3 {
                middle_row = red.to_vec();
            }
        });
        for (value, wanted) in middle_row.iter().zip([0.0, 0.0, 100.0, 200.0, 200.0, 200.0]) {
            assert!((value - wanted).abs() < 1.0, "{format:?}: {middle_row:?}");
        }
    }
}

#[test]
fn warping_far_away_and_tiny_pictures_is_survived() {
    for format in FORMATS {
        let planes = Planes::new(format, 1, 1, |_, _| [200; 3]);
        for by in [(0.0, 0.0), (1e6, -1e6), (-1e6, 3e5)] {
            warp_rgb(&planes.view(), &shift(by), 4, &mut WarpScratch::default(), |_, red, _, _| {
                assert!(red.iter().all(|value| (0.0..=201.0).contains(value)));
            });
        }
    }
}

fn plane(data: &[u8], stride: usize) -> Plane<'_> {
    Plane { data, stride }
}

#[test]
fn a_view_needs_planes_that_are_long_enough() {
    let data = [0_u8; 64];
    assert!(ImageView::new(PixelFormat::Rgb, 4, 4, &[plane(&data[..48], 12)]).is_ok());
    assert_eq!(
        ImageView::new(PixelFormat::Rgb, 4, 4, &[plane(&data[..47], 12)]).unwrap_err(),
        ImageError::PlaneTooShort { plane: 0, length: 47, needed: 48 }
    );
    assert_eq!(
        ImageView::new(PixelFormat::Rgb, 4, 4, &[plane(&data, 11)]).unwrap_err(),
        ImageError::Stride { plane: 0, stride: 11, needed: 12 }
    );
    // A stride that would overflow the length is an error, not a wrap-around.
    assert!(ImageView::new(PixelFormat::Gray8, 4, 4, &[plane(&data, usize::MAX)]).is_err());
}

#[test]
fn the_last_row_may_lack_its_padding_and_chroma_rounds_up() {
    let data = [0_u8; 64];
    let planes = [plane(&data[..8 * 4 + 5], 8), plane(&data[..4 * 2 + 3], 4), plane(&data[..11], 4)];
    assert!(ImageView::new(PixelFormat::I420, 5, 5, &planes).is_ok());
    let short_chroma = [planes[0], plane(&data[..10], 4), planes[2]];
    assert!(matches!(
        ImageView::new(PixelFormat::I420, 5, 5, &short_chroma),
        Err(ImageError::PlaneTooShort { plane: 1, .. })
    ));
    assert!(ImageView::new(PixelFormat::Nv12, 1, 1, &[plane(&[1], 0), plane(&[2, 3], 0)]).is_ok());
    assert!(ImageView::new(PixelFormat::Nv12, 1, 1, &[plane(&[1], 1), plane(&[2], 2)]).is_err());
}

#[test]
fn empty_huge_and_miscounted_pictures_are_refused() {
    for (width, height) in [(0, 4), (4, 0), (MAX_SIDE + 1, 1), (1, u32::MAX)] {
        assert!(matches!(
            ImageView::new(PixelFormat::Gray8, width, height, &[plane(&[0; 64], 4)]),
            Err(ImageError::Dimensions { .. })
        ));
    }
    assert!(matches!(
        ImageView::new(PixelFormat::Nv12, 2, 2, &[plane(&[0; 64], 2)]),
        Err(ImageError::PlaneCount { expected: 2, actual: 1, .. })
    ));
}

#[test]
fn the_matrix_follows_the_height_unless_told() {
    let data = vec![0_u8; 720 * 2];
    let view = |height| ImageView::new(PixelFormat::Gray8, 2, height, &[plane(&data, 2)]).unwrap();
    assert_eq!(view(720).colour().0, ColourMatrix::Bt709);
    assert_eq!(view(480).colour().0, ColourMatrix::Bt601);
    let told = view(480).with_colour(ColourMatrix::Bt709, ColourRange::Limited);
    assert_eq!(told.colour(), (ColourMatrix::Bt709, ColourRange::Limited));
}
