//! Adds events to a Redis stream: `XADD stream * event JSON`.

use std::time::Duration;

use redis::{Client, Connection, IntoConnectionInfo as _};

use super::handover::{Outcome, Transport};

/// A server that does not answer within this time is away.
const TIMEOUT: Duration = Duration::from_secs(5);

/// A stream on a Redis server.
pub(super) struct RedisTransport {
    client: Client,
    stream: String,
    connection: Option<Connection>,
}

impl RedisTransport {
    /// Nothing is connected yet. `token` is the password, where the URI holds none.
    pub(super) fn new(server: &str, stream: String, token: Option<&str>) -> Result<Self, String> {
        // The client's own message may repeat the address with its password.
        let info = server.into_connection_info().map_err(|_| "its address cannot be read".to_owned())?;
        let settings = match (info.redis_settings().password(), token) {
            (None, Some(token)) => info.redis_settings().clone().set_password(token),
            _ => info.redis_settings().clone(),
        };
        let client = Client::open(info.set_redis_settings(settings))
            .map_err(|_| "its address cannot be used".to_owned())?;
        Ok(Self { client, stream, connection: None })
    }

    fn connected(&mut self) -> redis::RedisResult<&mut Connection> {
        let connection = match self.connection.take() {
            Some(connection) => connection,
            None => {
                let connection = self.client.get_connection_with_timeout(TIMEOUT)?;
                connection.set_read_timeout(Some(TIMEOUT))?;
                connection.set_write_timeout(Some(TIMEOUT))?;
                connection
            }
        };
        Ok(self.connection.insert(connection))
    }

    /// All lines in one transaction, so that an attempt counts as a whole.
    fn add(&mut self, lines: &[&str]) -> redis::RedisResult<()> {
        let mut pipeline = redis::pipe();
        pipeline.atomic();
        for line in lines {
            pipeline.cmd("XADD").arg(&self.stream).arg("*").arg("event").arg(line).ignore();
        }
        let connection = self.connected()?;
        pipeline.query(connection)
    }
}

impl Transport for RedisTransport {
    fn send(&mut self, lines: &[&str]) -> Outcome {
        match self.add(lines) {
            Ok(()) => Outcome::Accepted,
            Err(error) => {
                // Whatever state the connection is in, a new one is sound.
                self.connection = None;
                Outcome::Unavailable(error.to_string())
            }
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use std::io::{BufReader, Write as _};

    /// Reads one command of the Redis protocol: an array of counted strings.
    fn read_command(reader: &mut impl std::io::BufRead) -> Option<Vec<String>> {
        let number = |reader: &mut dyn std::io::BufRead| {
            let mut line = String::new();
            reader.read_line(&mut line).ok().filter(|length| *length > 0)?;
            line.trim().get(1..)?.parse::<usize>().ok()
        };
        let count = number(reader)?;
        let mut words = Vec::new();
        for _ in 0..count {
            let mut word = vec![0; number(reader)? + 2];
            reader.read_exact(&mut word).ok()?;
            words.push(String::from_utf8_lossy(&word).trim_end().to_owned());
        }
        Some(words)
    }

    #[test]
    fn events_are_added_to_the_stream_with_the_token_as_password() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let server = std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let mut reader = BufReader::new(stream.try_clone().unwrap());
            let mut commands = Vec::new();
            while let Some(command) = read_command(&mut reader) {
                let answer = match command[0].as_str() {
                    "XADD" => "+QUEUED\r\n",
                    "EXEC" => "*2\r\n$3\r\n1-1\r\n$3\r\n1-2\r\n",
                    _ => "+OK\r\n",
                };
                let last = command[0] == "EXEC";
                commands.push(command.join(" "));
                stream.write_all(answer.as_bytes()).unwrap();
                if last {
                    break;
                }
            }
            commands
        });
        let server_uri = format!("redis://{address}/2");
        let mut transport = RedisTransport::new(&server_uri, "faces".into(), Some("secret")).unwrap();
        assert_eq!(transport.send(&["{\"a\":1}", "{\"a\":2}"]), Outcome::Accepted);
        let commands = server.join().unwrap();
        assert!(commands.iter().any(|command| command == "AUTH secret"), "{commands:?}");
        assert!(commands.iter().any(|command| command == "SELECT 2"), "{commands:?}");
        assert!(commands.contains(&"XADD faces * event {\"a\":1}".to_owned()), "{commands:?}");
        assert!(commands.contains(&"XADD faces * event {\"a\":2}".to_owned()), "{commands:?}");
        assert!(matches!(transport.send(&["x"]), Outcome::Unavailable(_)), "the server is gone");
    }
}
