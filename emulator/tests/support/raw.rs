//! HTTP/1.1 by hand over a socket, so that a test decides every byte.

#![allow(dead_code)] // Each test crate uses a part.

use std::{
    io::{self, Read as _, Write as _},
    net::{SocketAddr, TcpStream},
    time::Duration,
};

/// One connection.
pub(crate) struct Raw(pub(crate) TcpStream);

/// An answer as it came over the wire.
#[derive(Debug)]
pub(crate) struct RawAnswer {
    pub(crate) status: u16,
    /// In lower case.
    pub(crate) head: String,
    pub(crate) body: String,
}

impl Raw {
    pub(crate) fn open(address: SocketAddr) -> Self {
        let stream = TcpStream::connect(address).expect("a connection");
        let patience = Some(Duration::from_secs(20));
        stream.set_read_timeout(patience).expect("a timeout");
        stream.set_nodelay(true).expect("no delay");
        Self(stream)
    }

    /// Sends bytes. The other side may have closed; then reading will tell.
    pub(crate) fn send(&mut self, bytes: impl AsRef<[u8]>) -> &mut Self {
        let _ = self.0.write_all(bytes.as_ref());
        self
    }

    /// Sends a request with a body and reads the answer.
    pub(crate) fn exchange(&mut self, method: &str, target: &str, body: &str) -> RawAnswer {
        self.send(head(method, target, &format!("Content-Length: {}", body.len())));
        self.send(body).answer().expect("an answer")
    }

    /// Reads one answer.
    pub(crate) fn answer(&mut self) -> io::Result<RawAnswer> {
        let mut head = Vec::new();
        let mut byte = [0];
        while !head.ends_with(b"\r\n\r\n") {
            self.0.read_exact(&mut byte)?;
            head.extend(byte);
        }
        let head = String::from_utf8_lossy(&head).to_lowercase();
        let status = head.split(' ').nth(1).and_then(|status| status.parse().ok());
        let length =
            head.lines().find_map(|line| line.strip_prefix("content-length: ")?.parse().ok());
        let mut body = vec![0; length.unwrap_or(0)];
        self.0.read_exact(&mut body)?;
        Ok(RawAnswer {
            status: status.expect("a status"),
            head,
            body: String::from_utf8(body).expect("UTF-8"),
        })
    }

    /// Waits until the other side closes, and says how many bytes came before.
    pub(crate) fn closed(&mut self) -> usize {
        let mut rest = Vec::new();
        match self.0.read_to_end(&mut rest) {
            Ok(_) => rest.len(),
            Err(error) if error.kind() == io::ErrorKind::ConnectionReset => rest.len(),
            Err(error) => panic!("not closed: {error}"),
        }
    }
}

/// The head of a request with a token and one more header.
pub(crate) fn head(method: &str, target: &str, header: &str) -> String {
    format!(
        "{method} {target} HTTP/1.1\r\nHost: here.test\r\nAuthorization: Bearer any\r\n\
         Content-Type: application/json\r\n{header}\r\n\r\n"
    )
}
