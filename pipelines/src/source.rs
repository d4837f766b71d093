//! A camera's URL, parsed once into what it is: the only place that reads one.
//!
//! Credentials are taken out of the URL here and handed to the source element by its own properties, so no message
//! of GStreamer's can repeat them. Errors speak to whoever types the URL in, and never repeat it.

use std::path::PathBuf;

use thiserror::Error;
use url::Url;
use vedette_events::address::REFUSED;

use crate::network::{NetworkCamera, Transport, is_allowed_host};
use crate::redact::{MASK, redact};

/// A URL no camera can be opened by, and what to write instead.
#[derive(Debug, Error, PartialEq, Eq)]
pub enum SourceError {
    /// Nothing was given.
    #[error("the camera has no URL: give it one, such as rtsp://192.168.1.20/stream1")]
    Empty,
    /// A file's path, a host or a device instead of a URL.
    #[error("this is not a camera URL: {0}")]
    NotUrl(&'static str),
    /// A scheme nothing here speaks.
    #[error(
        "`{0}` is not a kind of camera Vedette can open: use rtsp://, rtsps://, rtspu://, http://, https://, file:///, \
         test:// or the number of a webcam"
    )]
    Scheme(String),
    /// A URL whose parts cannot be told apart.
    #[error(
        "the camera's URL cannot be read ({0}): if the password holds characters such as @ : / # ? % or a space, write \
         them as %40 %3A %2F %23 %3F %25 %20"
    )]
    Malformed(String),
    /// `file://name`, where `name` would be another machine.
    #[error("a file's URL has three slashes and the full path: file:///videos/entrance.mp4")]
    FilePath,
    /// A file's name with a raw `#`, which would end it.
    #[error("write a # in a file's name as %23 and a ? as %3F")]
    FileCharacters,
    /// An option after `?` that means nothing.
    #[error("`{option}` is not an option of {scheme}: there is {known}")]
    Option {
        /// The option's name.
        option: String,
        /// The scheme.
        scheme: &'static str,
        /// What there is instead.
        known: &'static str,
    },
    /// An option whose value makes no sense.
    #[error("the option `{option}` of {scheme} must be {expected}")]
    OptionValue {
        /// The option's name.
        option: &'static str,
        /// The scheme.
        scheme: &'static str,
        /// What it must be.
        expected: &'static str,
    },
    /// What follows `#` is no certificate's fingerprint, or stands where there is no certificate.
    #[error(
        "after the # of an rtsps:// URL stands cert-sha256= and the 64 hexadecimal digits of the fingerprint of the \
         camera's certificate; after that of any other nothing can"
    )]
    Certificate,
    /// An address no camera has.
    #[error("no camera can be opened there: {REFUSED}")]
    Address,
    /// A webcam's number out of range.
    #[error("a webcam's number is between 0 and {MAX_WEBCAM}: 0 is the first")]
    Webcam,
}

const MAX_WEBCAM: u32 = 63;

/// Test pictures of a `test://` URL.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TestPicture {
    /// Name of a `videotestsrc` pattern.
    pub pattern: String,
    /// Width in pixels.
    pub width: u32,
    /// Height in pixels.
    pub height: u32,
    /// Frames per second.
    pub fps: u32,
}

impl Default for TestPicture {
    fn default() -> Self {
        Self { pattern: "smpte".into(), width: 640, height: 480, fps: 25 }
    }
}

/// What a camera's URL stands for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Source {
    /// `file:///…`: recorded material.
    File {
        /// Where it lies.
        path: PathBuf,
        /// `?loop=true`: play it again and again at its own speed.
        looped: bool,
    },
    /// `rtsp://…`, `rtspu://…`, `rtsps://…`.
    Rtsp(NetworkCamera),
    /// `http://…`, `https://…`.
    Http(NetworkCamera),
    /// A number: a camera on this machine.
    Webcam(u32),
    /// `test://…`.
    Test(TestPicture),
}

impl Source {
    /// Reads a camera's URL.
    ///
    /// # Errors
    /// When it is none; the message says what to write and does not repeat the URL.
    ///
    /// ```
    /// use vedette_pipelines::source::Source;
    /// let Source::Rtsp(camera) = Source::parse("rtsp://admin:p%40ss@10.0.0.7/live")? else { unreachable!() };
    /// assert_eq!(camera.location, "rtsp://10.0.0.7/live");
    /// # Ok::<(), vedette_pipelines::source::SourceError>(())
    /// ```
    pub fn parse(text: &str) -> Result<Self, SourceError> {
        let text = text.trim();
        if text.is_empty() {
            return Err(SourceError::Empty);
        }
        if text.bytes().all(|byte| byte.is_ascii_digit()) {
            let number = text.parse().ok().filter(|number| *number <= MAX_WEBCAM);
            return number.map(Self::Webcam).ok_or(SourceError::Webcam);
        }
        let Some((scheme, _)) = text.split_once("://") else { return Err(not_a_url(text)) };
        match scheme.to_ascii_lowercase().as_str() {
            "rtsp" | "rtsps" | "rtspu" => network_camera(text).map(Self::Rtsp),
            "http" | "https" => network_camera(text).map(Self::Http),
            "file" => file(text),
            "test" => test_picture(text).map(Self::Test),
            other => Err(SourceError::Scheme(redact(other))),
        }
    }

    /// The camera on the network this is, if it is one.
    pub fn network(&self) -> Option<&NetworkCamera> {
        match self {
            Self::Rtsp(camera) | Self::Http(camera) => Some(camera),
            Self::File { .. } | Self::Webcam(_) | Self::Test(_) => None,
        }
    }

    /// The same camera with its pictures travelling by UDP; `None` if they do already, or cannot: UDP is not encrypted.
    pub(crate) fn by_udp(&self) -> Option<Self> {
        match self {
            Self::Rtsp(camera)
                if camera.transport == Transport::Tcp && camera.location.starts_with("rtsp://") =>
            {
                Some(Self::Rtsp(NetworkCamera { transport: Transport::Udp, ..camera.clone() }))
            }
            _ => None,
        }
    }

    /// Whether frames come at their own pace, so that late ones are to be dropped.
    pub fn is_live(&self) -> bool {
        !matches!(self, Self::File { looped: false, .. })
    }

    /// Where the pictures come from, for people: no credentials.
    pub fn describe(&self) -> String {
        match self {
            Self::File { path, .. } => path.display().to_string(),
            Self::Rtsp(camera) | Self::Http(camera) => redact(&camera.location),
            Self::Webcam(number) => format!("webcam {number} (/dev/video{number})"),
            Self::Test(_) => "the test picture".into(),
        }
    }

    /// `text` with this source's credentials and everything that looks like one masked.
    pub fn redact(&self, text: &str) -> String {
        let mut text = redact(text);
        if let Some(NetworkCamera { login: Some(login), .. }) = self.network()
            && !login.password.is_empty()
        {
            text = text.replace(&login.password, MASK);
        }
        text
    }
}

fn not_a_url(text: &str) -> SourceError {
    SourceError::NotUrl(if text.starts_with("/dev/video") {
        "write a webcam by its number, 0 for /dev/video0"
    } else if text.starts_with('/') {
        "write a file with file:// before its full path, such as file:///videos/entrance.mp4"
    } else if text.starts_with("file:") || text.starts_with("test:") {
        "two slashes are missing after the colon"
    } else {
        "it must begin with rtsp://, rtsps://, http://, https://, file:/// or test://, or be the number of a webcam"
    })
}

fn parse_url(text: &str) -> Result<Url, SourceError> {
    Url::parse(text).map_err(|error| SourceError::Malformed(error.to_string()))
}

fn network_camera(text: &str) -> Result<NetworkCamera, SourceError> {
    let camera = NetworkCamera::parse(text)?;
    if is_allowed_host(&camera.host) { Ok(camera) } else { Err(SourceError::Address) }
}

fn file(text: &str) -> Result<Source, SourceError> {
    let url = parse_url(text)?;
    if url.fragment().is_some() {
        return Err(SourceError::FileCharacters);
    }
    let path = url.to_file_path().map_err(|()| SourceError::FilePath)?;
    let mut looped = false;
    for (option, value) in url.query_pairs() {
        if option != "loop" {
            return Err(SourceError::Option {
                option: redact(&option),
                scheme: "file://",
                known: "loop=true",
            });
        }
        looped = match &*value {
            "true" | "1" => true,
            "false" | "0" => false,
            _ => {
                return Err(SourceError::OptionValue {
                    option: "loop",
                    scheme: "file://",
                    expected: "true or false",
                });
            }
        };
    }
    Ok(Source::File { path, looped })
}

fn test_picture(text: &str) -> Result<TestPicture, SourceError> {
    const SCHEME: &str = "test://";
    let url = parse_url(text)?;
    let number = |option, value: &str, most, expected| {
        let number = value.parse().ok().filter(|number| (1..=most).contains(number));
        number.ok_or(SourceError::OptionValue { option, scheme: SCHEME, expected })
    };
    let mut picture = TestPicture::default();
    for (option, value) in url.query_pairs() {
        match &*option {
            "pattern" if value.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-') => {
                picture.pattern = value.into_owned();
            }
            "pattern" => {
                let expected = "the name of a pattern, such as smpte or ball";
                return Err(SourceError::OptionValue { option: "pattern", scheme: SCHEME, expected });
            }
            "width" => picture.width = number("width", &value, 7680, "a number of pixels up to 7680")?,
            "height" => picture.height = number("height", &value, 4320, "a number of pixels up to 4320")?,
            "fps" => picture.fps = number("fps", &value, 240, "a whole number of frames a second up to 240")?,
            _ => {
                let known = "pattern, width, height and fps";
                return Err(SourceError::Option { option: redact(&option), scheme: SCHEME, known });
            }
        }
    }
    Ok(picture)
}
