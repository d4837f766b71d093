//! Whole, broken, huge and hostile files.

#![allow(clippy::unwrap_used)]

use ::image::{ImageEncoder, codecs::png::PngEncoder, codecs::webp::WebPEncoder};

use super::*;

/// Red on the left, blue on the right, 32×16.
fn picture() -> RgbImage {
    let row = [[200_u8, 20, 20]; 16].into_iter().chain([[20, 20, 200]; 16]).flatten();
    let bytes: Vec<u8> = std::iter::repeat_n(row.collect::<Vec<u8>>(), 16).flatten().collect();
    RgbImage::from_bytes(32, 16, bytes).unwrap()
}

fn is_near(pixel: Option<[u8; 3]>, wanted: [u8; 3]) -> bool {
    pixel.unwrap().iter().zip(wanted).all(|(value, wanted)| value.abs_diff(wanted) < 40)
}

fn png(colour: ::image::ExtendedColorType, bytes: &[u8]) -> Vec<u8> {
    let mut file = Vec::new();
    PngEncoder::new(&mut file).write_image(bytes, 32, 16, colour).unwrap();
    file
}

/// The JPEG with an EXIF segment that holds nothing but the orientation.
fn with_orientation(jpeg: &[u8], orientation: u8) -> Vec<u8> {
    let mut exif = b"Exif\0\0MM\0\x2a\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0".to_vec();
    exif.extend([orientation, 0, 0, 0, 0, 0, 0]);
    let length = u16::try_from(exif.len() + 2).unwrap().to_be_bytes();
    [&jpeg[..2], &[0xff, 0xe1], &length, &exif, &jpeg[2..]].concat()
}

#[test]
fn jpeg_png_and_webp_are_read_whatever_their_colours() {
    let image = picture();
    let mut webp = Vec::new();
    WebPEncoder::new_lossless(&mut webp)
        .encode(image.as_bytes(), 32, 16, ::image::ExtendedColorType::Rgb8)
        .unwrap();
    let with_opacity: Vec<u8> =
        image.as_bytes().chunks_exact(3).flat_map(|pixel| [pixel[0], pixel[1], pixel[2], 255]).collect();
    let lossless = png(::image::ExtendedColorType::Rgb8, image.as_bytes());
    for file in [&webp, &lossless, &png(::image::ExtendedColorType::Rgba8, &with_opacity)] {
        assert_eq!(*Photo::decode(file).unwrap().image(), image);
    }
    let grey = Photo::decode(&png(::image::ExtendedColorType::L8, &[77; 512])).unwrap();
    assert_eq!(grey.image().pixel(3, 3), Some([77; 3]));
    let jpeg = Photo::decode(&image.to_jpeg(90).unwrap()).unwrap();
    assert!(is_near(jpeg.image().pixel(4, 8), [200, 20, 20]));
    assert!(is_near(jpeg.image().pixel(28, 8), [20, 20, 200]));
}

#[test]
fn the_orientation_of_the_camera_is_honoured_and_then_gone() {
    let jpeg = picture().to_jpeg(90).unwrap();
    // Orientation, size upright, and where the red half is then.
    for (orientation, size, red_at) in [
        (1, (32, 16), (4, 8)),
        (2, (32, 16), (28, 8)),
        (3, (32, 16), (28, 8)),
        (6, (16, 32), (8, 4)),
        (8, (16, 32), (8, 28)),
    ] {
        let photo = Photo::decode(&with_orientation(&jpeg, orientation)).unwrap();
        assert_eq!((photo.width(), photo.height()), size, "{orientation}");
        assert!(is_near(photo.image().pixel(red_at.0, red_at.1), [200, 20, 20]), "{orientation}");
        let written = photo.to_jpeg(90).unwrap();
        assert!(!written.windows(4).any(|bytes| bytes == b"Exif"));
        assert_eq!(Photo::decode(&written).unwrap().width(), size.0);
    }
    // An orientation nobody defined is none.
    assert_eq!(Photo::decode(&with_orientation(&jpeg, 77)).unwrap().width(), 32);
}

#[test]
fn what_is_no_picture_says_so() {
    assert_eq!(Photo::decode(b""), Err(PhotoError::Empty));
    for text in [
        &b"hello"[..],
        b"<svg xmlns='http://www.w3.org/2000/svg'/>",
        b"GIF89a\x01\0\x01\0",
        b"%PDF-1.7",
        b"\0",
    ] {
        assert_eq!(Photo::decode(text), Err(PhotoError::Unsupported));
    }
}

#[test]
fn every_truncation_is_an_error_and_none_a_panic() {
    let image = picture();
    let mut webp = Vec::new();
    WebPEncoder::new_lossless(&mut webp)
        .encode(image.as_bytes(), 32, 16, ::image::ExtendedColorType::Rgb8)
        .unwrap();
    let jpeg = with_orientation(&image.to_jpeg(90).unwrap(), 6);
    let png = png(::image::ExtendedColorType::Rgb8, image.as_bytes());
    for (name, file, harmless_tail) in [("jpeg", jpeg, 0), ("png", png, 16), ("webp", webp, 1)] {
        for length in 1..file.len() - harmless_tail {
            let decoded = Photo::decode(&file[..length]);
            assert!(decoded.is_err(), "{name} cut to {length} of {} bytes was read", file.len());
        }
        assert!(Photo::decode(&file).is_ok());
    }
}

#[test]
fn a_thumbnails_end_is_not_the_pictures_and_what_follows_the_end_does_not_matter() {
    let jpeg = picture().to_jpeg(90).unwrap();
    let thumbnail = picture().to_jpeg(50).unwrap();
    let length = u16::try_from(thumbnail.len() + 2).unwrap().to_be_bytes();
    let whole = [&jpeg[..2], &[0xff, 0xe5], &length, &thumbnail, &jpeg[2..]].concat();
    assert!(Photo::decode(&whole).is_ok());
    assert!(matches!(Photo::decode(&whole[..whole.len() - 20]), Err(PhotoError::Corrupt { .. })));
    assert!(Photo::decode(&[&jpeg[..], b"a video of the same moment"].concat()).is_ok());
}

#[test]
fn a_huge_picture_is_refused_from_its_header_alone() {
    // A PNG header that promises 20000×10000 pixels, and nothing behind it.
    let header = |width: u32, height: u32, depth: u8, colour: u8| {
        let mut chunk = b"IHDR".to_vec();
        chunk.extend(width.to_be_bytes());
        chunk.extend(height.to_be_bytes());
        chunk.extend([depth, colour, 0, 0, 0]);
        let mut file = b"\x89PNG\r\n\x1a\n\0\0\0\x0d".to_vec();
        file.extend(&chunk);
        file.extend(crc32(&chunk).to_be_bytes());
        file.extend(b"\0\0\0\x08IDAT");
        file
    };
    for (width, height, depth, colour) in
        [(20_000, 10_000, 8, 2), (60_000, 10, 8, 0), (u32::MAX >> 1, 1, 8, 0), (7_000, 7_000, 16, 6)]
    {
        assert_eq!(
            Photo::decode(&header(width, height, depth, colour)),
            Err(PhotoError::TooLarge { width, height })
        );
    }
    assert!(matches!(Photo::decode(&header(100, 100, 8, 2)), Err(PhotoError::Corrupt { .. })));
}

fn crc32(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(!0_u32, |crc, byte| {
        (0..8).fold(crc ^ u32::from(*byte), |crc, _| (crc >> 1) ^ (0xedb8_8320 & (crc & 1).wrapping_neg()))
    })
}
