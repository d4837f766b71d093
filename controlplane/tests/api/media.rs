//! Photos, broken files and forms to send.

use std::io::Cursor;
use std::path::Path;

use image::{DynamicImage, ImageFormat};
use serde_json::Value;

use crate::app::{Answer, Client, TestApp};

/// Three photos of one person.
pub(crate) const THREE_OF_ONE: [&str; 3] = ["obama.jpg", "obama2.jpg", "obama3.jpg"];
/// Settings of [`with_people`].
pub(crate) const ONE_PHOTO_IS_ENOUGH: &str =
    "security: {force_password_change: false}\nface_recognition: {registration: {min_samples: 1}}\n";

/// A photo of `tests/media`.
pub(crate) fn photo(name: &str) -> Vec<u8> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/media").join(name);
    std::fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

pub(crate) fn jpeg(picture: &DynamicImage) -> Vec<u8> {
    let mut bytes = Cursor::new(Vec::new());
    picture.write_to(&mut bytes, ImageFormat::Jpeg).unwrap();
    bytes.into_inner()
}

/// 48° 51′ 24″ as EXIF writes a latitude: three fractions.
pub(crate) const LATITUDE: [u8; 24] =
    [48, 0, 0, 0, 1, 0, 0, 0, 51, 0, 0, 0, 1, 0, 0, 0, 24, 0, 0, 0, 1, 0, 0, 0];

/// A JPEG with what a phone adds: how it was held, its maker, and where it was (EXIF 2.3, little-endian).
pub(crate) fn with_exif(jpeg: &[u8], orientation: u16) -> Vec<u8> {
    let entry = |tag: u16, kind: u16, count: u32, value: u32| {
        let (tag, kind) = (tag.to_le_bytes(), kind.to_le_bytes());
        [&tag[..], &kind[..], &count.to_le_bytes()[..], &value.to_le_bytes()[..]].concat()
    };
    const ASCII: u16 = 2;
    const SHORT: u16 = 3;
    const LONG: u16 = 4;
    const RATIONAL: u16 = 5;
    let maker = b"secret maker\0";
    // Offsets count from the TIFF header: header (8), three entries (42), the GPS directory (30), then the data.
    let (gps_at, data_at) = (8 + 2 + 3 * 12 + 4, 8 + 42 + 30);
    let tiff = [
        b"II*\0\x08\0\0\0".to_vec(),
        3_u16.to_le_bytes().to_vec(),
        entry(0x010F, ASCII, 13, data_at + 24),
        entry(0x0112, SHORT, 1, orientation.into()),
        entry(0x8825, LONG, 1, gps_at),
        vec![0; 4],
        2_u16.to_le_bytes().to_vec(),
        entry(0x0001, ASCII, 2, u32::from(b'N')),
        entry(0x0002, RATIONAL, 3, data_at),
        vec![0; 4],
        LATITUDE.to_vec(),
        maker.to_vec(),
    ];
    let exif = [b"Exif\0\0".as_slice(), &tiff.concat()].concat();
    let length = u16::try_from(exif.len() + 2).unwrap().to_be_bytes();
    [&jpeg[..2], &[0xFF, 0xE1], &length, &exif, &jpeg[2..]].concat()
}

/// Two photos beside each other, equally high.
pub(crate) fn side_by_side(left: &str, right: &str) -> Vec<u8> {
    let open =
        |name| image::load_from_memory(&photo(name)).unwrap().resize(10_000, 600, image::imageops::Triangle);
    let (left, right) = (open(left), open(right));
    let mut both = image::RgbImage::new(left.width() + right.width(), 600);
    image::imageops::replace(&mut both, &left.to_rgb8(), 0, 0);
    image::imageops::replace(&mut both, &right.to_rgb8(), left.width().into(), 0);
    jpeg(&both.into())
}

/// A PNG of a few bytes whose header promises 20,000 × 10,000 pixels.
pub(crate) fn png_bomb() -> Vec<u8> {
    let mut bytes = Cursor::new(Vec::new());
    image::GrayImage::new(1, 1).write_to(&mut bytes, ImageFormat::Png).unwrap();
    let mut bytes = bytes.into_inner();
    // Signature (8), length and name of the first chunk (8), then width and height.
    bytes[16..20].copy_from_slice(&20_000_u32.to_be_bytes());
    bytes[20..24].copy_from_slice(&10_000_u32.to_be_bytes());
    let checksum = crc32(&bytes[12..29]);
    bytes[29..33].copy_from_slice(&checksum.to_be_bytes());
    bytes
}

/// The checksum of PNG chunks, bit by bit.
fn crc32(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(u32::MAX, |checksum, byte| {
        (0..8).fold(checksum ^ u32::from(*byte), |checksum, _| {
            (checksum >> 1) ^ (0xEDB8_8320 & (checksum & 1).wrapping_neg())
        })
    })
}

/// A form as browsers send it.
#[derive(Default)]
pub(crate) struct Form(Vec<u8>);

impl Form {
    const BOUNDARY: &str = "a-boundary-that-is-in-no-photo";

    pub(crate) fn text(mut self, name: &str, value: &str) -> Self {
        self.part(&format!("name=\"{name}\""), value.as_bytes());
        self
    }

    pub(crate) fn file(mut self, name: &str, filename: &str, bytes: &[u8]) -> Self {
        self.part(&format!("name=\"{name}\"; filename=\"{filename}\""), bytes);
        self
    }

    pub(crate) fn photos<'a>(self, names: impl IntoIterator<Item = &'a str>) -> Self {
        names.into_iter().fold(self, |form, name| form.file("images", name, &photo(name)))
    }

    fn part(&mut self, disposition: &str, content: &[u8]) {
        let head = format!("--{}\r\nContent-Disposition: form-data; {disposition}\r\n\r\n", Self::BOUNDARY);
        self.0.extend_from_slice(head.as_bytes());
        self.0.extend_from_slice(content);
        self.0.extend_from_slice(b"\r\n");
    }

    /// Sends it by POST.
    pub(crate) fn send(mut self, client: &Client, path: &str) -> Answer {
        self.0.extend_from_slice(format!("--{}--\r\n", Self::BOUNDARY).as_bytes());
        let content_type = format!("multipart/form-data; boundary={}", Self::BOUNDARY);
        client.send("POST", path, Some(&content_type), self.0)
    }
}

/// A server on which a photo each is enough, and people of these names, three at most.
pub(crate) fn with_people(names: &[&str]) -> (TestApp, Vec<Value>) {
    let app = TestApp::with(ONE_PHOTO_IS_ENOUGH);
    let admin = app.admin();
    let enrol = |(name, photo): (&&str, &str)| {
        let form = Form::default().text("name", name).photos([photo]);
        form.send(&admin, "/api/persons/register").expect(201)
    };
    let people = names.iter().zip(["obama.jpg", "biden.jpg", "astronaut.jpg"]).map(enrol).collect();
    (app, people)
}
