//! Whether a camera's host answers at its port: the cheap question that goes before every attempt to play it.
//!
//! It costs one connection that is closed again, so that cameras by the dozen may be away for days; and its answers
//! can be put into words an installer understands, which those of the protocols above often cannot.

use std::io::{Error, ErrorKind};
use std::net::{SocketAddr, TcpStream, ToSocketAddrs as _};
use std::time::Duration;

use vedette_events::address::{REFUSED, is_allowed};

use crate::failure::Failure;
use crate::network::NetworkCamera;

/// How long a host may take to answer: the kernel sends a lost packet again after a second only.
const PATIENCE: Duration = Duration::from_secs(1);
/// Addresses of one name that are tried.
const MOST_ADDRESSES: usize = 4;

/// Connects to the camera's port and hangs up.
///
/// # Errors
/// When nobody answers there, or when it is no address a camera may have.
pub(crate) fn knock(camera: &NetworkCamera) -> Result<(), Failure> {
    let addresses = (camera.host.as_str(), camera.port).to_socket_addrs().map_err(|error| {
        Failure::retry(format!(
            "the name `{}` is not known here ({error}): check it, or give the camera's address instead",
            camera.host
        ))
    })?;
    let addresses: Vec<SocketAddr> = addresses.collect();
    // A name with any such address is refused: which of them the source element would take, nobody knows.
    if !addresses.iter().all(|address| is_allowed(address.ip())) {
        return Err(Failure::give_up(format!("{} cannot be a camera: {REFUSED}", camera.host)));
    }
    let mut failed = Error::from(ErrorKind::NotFound);
    for address in addresses.iter().take(MOST_ADDRESSES) {
        match TcpStream::connect_timeout(address, PATIENCE) {
            Ok(_) => return Ok(()),
            Err(error) => failed = error,
        }
    }
    Err(Failure::retry(in_words(&camera.address(), &failed)))
}

fn in_words(camera: &str, error: &Error) -> String {
    match error.kind() {
        ErrorKind::ConnectionRefused | ErrorKind::ConnectionReset => {
            format!(
                "{camera} refuses the connection: is the stream switched on in the camera, and is the port right?"
            )
        }
        ErrorKind::TimedOut | ErrorKind::WouldBlock => {
            format!("{camera} does not answer: is the camera on, on this network, and its address right?")
        }
        ErrorKind::HostUnreachable | ErrorKind::NetworkUnreachable | ErrorKind::NetworkDown => {
            format!(
                "{camera} cannot be reached from this machine: are both on the same network, and the cable in?"
            )
        }
        _ => format!("{camera} cannot be reached: {error}"),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]
    use std::net::TcpListener;

    use super::*;
    use crate::failure::Remedy;

    fn camera(url: &str) -> NetworkCamera {
        NetworkCamera::parse(url).unwrap()
    }

    #[test]
    fn a_closed_port_is_told_from_an_open_one() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let camera = camera(&format!("rtsp://a:hunter2@{}/live", listener.local_addr().unwrap()));
        assert_eq!(knock(&camera), Ok(()));
        drop(listener);
        let failure = knock(&camera).unwrap_err();
        assert!(failure.message.contains("refuses the connection"), "{}", failure.message);
        assert!(!failure.message.contains("hunter2") && failure.remedy == Remedy::Retry);
    }

    #[test]
    fn a_name_that_stands_for_a_metadata_address_is_refused() {
        // Written so that only a resolver sees an address in it.
        let mut disguised = camera("rtsp://camera.example/live");
        disguised.host = "169.254.43518".into();
        let failure = knock(&disguised).unwrap_err();
        assert_eq!(failure.remedy, Remedy::GiveUp, "{}", failure.message);
    }
}
