//! Camera URLs: what they stand for, and what an installer is told about those that stand for nothing.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use vedette_pipelines::network::{NetworkCamera, Transport};
use vedette_pipelines::source::{Source, SourceError, TestPicture};

fn network(url: &str) -> NetworkCamera {
    match Source::parse(url).unwrap() {
        Source::Rtsp(camera) | Source::Http(camera) => camera,
        other => panic!("{other:?}"),
    }
}

#[test]
fn network_cameras_are_parted_from_their_credentials() {
    let camera = network("rtsp://admin:p%40ss%3Aword@10.0.0.7:8554/live/main?channel=1");
    assert_eq!(camera.location, "rtsp://10.0.0.7:8554/live/main?channel=1");
    let login = camera.login.unwrap();
    assert_eq!((login.user.as_str(), login.password.as_str()), ("admin", "p@ss:word"));

    assert_eq!(network("rtsps://cam.example/").login, None);
    assert_eq!(network("HTTP://cam/mjpg").location, "http://cam/mjpg");
    assert_eq!(network("https://user@cam/x").login.unwrap().password, "");
    let camera = network("rtsp://[fd12::7]/x");
    assert_eq!(
        (camera.location.as_str(), camera.host.as_str(), camera.port),
        ("rtsp://[fd12::7]/x", "fd12::7", 554)
    );
    assert_eq!(network("rtsps://cam.example/").port, 322);
    assert_eq!(network("https://cam.example/").port, 443);
}

#[test]
fn udp_is_asked_for_by_its_scheme() {
    let camera = network("rtspu://admin:x@10.0.0.7/live");
    assert_eq!((camera.location.as_str(), camera.transport), ("rtsp://10.0.0.7/live", Transport::Udp));
    assert_eq!(network("rtsp://10.0.0.7/live").transport, Transport::Tcp);
}

#[test]
fn a_certificate_is_named_by_its_fingerprint() {
    let colons = vec!["AB"; 32].join(":");
    let camera = network(&format!("rtsps://10.0.0.7/live?a=b#cert-sha256={colons}"));
    assert_eq!(camera.location, "rtsps://10.0.0.7:322/live?a=b");
    assert_eq!(camera.certificate, Some("ab".repeat(32)));
    let digits = "ab".repeat(32);
    for wrong in [
        "rtsps://10.0.0.7/live#cert-sha256=ab".to_owned(),
        format!("rtsps://10.0.0.7/live#cert-sha256={}", "xy".repeat(32)),
        format!("rtsp://10.0.0.7/live#cert-sha256={digits}"),
        format!("https://10.0.0.7/live#cert-sha256={digits}"),
    ] {
        assert_eq!(Source::parse(&wrong), Err(SourceError::Certificate), "{wrong}");
    }
}

#[test]
fn addresses_no_camera_has_are_refused_however_they_are_written() {
    for host in [
        "169.254.169.254",
        "169.254.1.7",
        "2852039166",
        "0xa9fea9fe",
        "0251.0376.0251.0376",
        "169.254.43518",
        "[::ffff:169.254.169.254]",
        "[fe80::1]",
        "[fd00:ec2::254]",
        "100.100.100.200",
        "0.0.0.0",
        "224.0.0.1",
    ] {
        for scheme in ["rtsp", "rtspu", "rtsps", "http", "https"] {
            let url = format!("{scheme}://admin:hunter2@{host}/latest/meta-data");
            assert_eq!(Source::parse(&url), Err(SourceError::Address), "{url}");
        }
    }
}

#[test]
fn files_webcams_and_test_pictures_are_read() {
    let file = |url| Source::parse(url).unwrap();
    assert_eq!(
        file("file:///videos/front%20door.mp4"),
        Source::File { path: "/videos/front door.mp4".into(), looped: false }
    );
    assert_eq!(file("file:///a.mp4?loop=true"), Source::File { path: "/a.mp4".into(), looped: true });
    assert_eq!(Source::parse(" 0 "), Ok(Source::Webcam(0)));
    assert_eq!(Source::parse("test://"), Ok(Source::Test(TestPicture::default())));
    assert_eq!(
        Source::parse("test://?pattern=ball&width=320&height=240&fps=10"),
        Ok(Source::Test(TestPicture { pattern: "ball".into(), width: 320, height: 240, fps: 10 }))
    );
    assert!(!file("file:///a.mp4").is_live() && file("file:///a.mp4?loop=true").is_live());
}

#[test]
fn wrong_urls_are_answered_with_what_to_write() {
    let cases = [
        ("", "give it one"),
        ("ftp://cam/x", "use rtsp://"),
        ("/videos/a.mp4", "file://"),
        ("/dev/video0", "by its number"),
        ("192.168.1.20", "must begin with rtsp://"),
        ("64", "between 0 and 63"),
        ("99999999999999999999", "between 0 and 63"),
        ("file://videos/a.mp4", "three slashes"),
        ("file:///a.mp4?speed=2", "`speed` is not an option of file://"),
        ("file:///a.mp4?loop=maybe", "true or false"),
        ("file:///a#1.mp4", "%23"),
        ("rtsp://", "no host"),
        ("rtsp:///live", "no host"),
        ("rtsp://admin:pa#ss@10.0.0.7/live", "%23"),
        ("rtsp://cam:port/live", "cannot be read"),
        ("http://", "cannot be read"),
        ("test://?size=3", "pattern, width, height and fps"),
        ("test://?width=0", "a number of pixels"),
        ("test://?fps=fast", "frames a second"),
        ("test://?pattern=ball%20!%20filesink", "the name of a pattern"),
    ];
    for (url, hint) in cases {
        let error = Source::parse(url).expect_err(url).to_string();
        assert!(error.contains(hint), "{url}: {error}");
    }
}

#[test]
fn nothing_that_is_printed_holds_a_password() {
    let url = "rtsp://admin:hunter2@10.0.0.7/live?pwd=hunter3";
    let source = Source::parse(url).unwrap();
    let printed = [
        format!("{source:?}"),
        source.describe(),
        source.redact("cannot open rtsp://admin:hunter2@10.0.0.7/live?pwd=hunter3: hunter2 is wrong"),
        Source::parse("rtsp://admin:hunter2#hunter3@10.0.0.7/").unwrap_err().to_string(),
        Source::parse("hunter2:hunter3://x").unwrap_err().to_string(),
    ];
    for text in &printed[..4] {
        assert!(!text.contains("hunter"), "{text}");
    }
    assert!(printed[2].starts_with("cannot open rtsp://***@10.0.0.7/live"), "{}", printed[2]);
}
