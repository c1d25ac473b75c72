//! What is not the emulator: a server that nothing may reach, and one of canned answers.

use std::{
    io::{self, BufRead as _, BufReader, Read as _, Write as _},
    net::{Shutdown, TcpListener, TcpStream},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
};

/// A server that counts who comes, and says nothing: for whatever a client might be led to.
#[derive(Debug)]
pub struct Elsewhere {
    url: String,
    visitors: Arc<AtomicUsize>,
}

/// A server of canned answers over plain http, for what the emulator itself would never answer:
/// a link to the next page that leads elsewhere, say.
#[derive(Debug)]
pub struct Canned {
    url: String,
}

impl Canned {
    /// Gives these answers one after the other, each a status, headers (`Name: value`) and a
    /// JSON body, and then closes connections. It stops with the process.
    ///
    /// # Errors
    /// When there is no port or thread left.
    pub fn start(answers: Vec<(u16, Vec<String>, String)>) -> io::Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0")?;
        let url = format!("http://{}", listener.local_addr()?);
        thread::Builder::new().name("canned".to_owned()).spawn(move || {
            let mut answers = answers.into_iter();
            for stream in listener.incoming().flatten() {
                let mut stream = BufReader::new(stream);
                while skip_request(&mut stream).is_some() {
                    let Some((status, headers, body)) = answers.next() else { break };
                    let headers: String =
                        headers.iter().map(|line| format!("{line}\r\n")).collect();
                    let length = body.len();
                    let answer = format!(
                        "HTTP/1.1 {status} Canned\r\nContent-Type: application/json\r\n\
                         Content-Length: {length}\r\n{headers}\r\n{body}"
                    );
                    if stream.get_mut().write_all(answer.as_bytes()).is_err() {
                        break;
                    }
                }
            }
        })?;
        Ok(Self { url })
    }

    /// Where it is, without a slash at the end.
    pub fn url(&self) -> &str {
        &self.url
    }
}

/// Reads a request to its end. None if there is no more.
fn skip_request(stream: &mut BufReader<TcpStream>) -> Option<()> {
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") {
        if stream.read_line(&mut head).ok()? == 0 {
            return None;
        }
    }
    let length = head.lines().find_map(|line| {
        line.to_ascii_lowercase().strip_prefix("content-length:")?.trim().parse().ok()
    });
    let mut body = stream.take(length.unwrap_or(0));
    io::copy(&mut body, &mut io::sink()).ok().map(drop)
}

impl Elsewhere {
    /// Listens on a free port of this machine. It stops with the process.
    ///
    /// # Errors
    /// When there is no port or thread left.
    pub fn start() -> io::Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0")?;
        let url = format!("http://{}/v1.0/elsewhere", listener.local_addr()?);
        let visitors = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&visitors);
        thread::Builder::new().name("elsewhere".to_owned()).spawn(move || {
            for stream in listener.incoming() {
                count.fetch_add(1, Ordering::SeqCst);
                if let Ok(stream) = stream {
                    let _ = stream.shutdown(Shutdown::Both);
                }
            }
        })?;
        Ok(Self { url, visitors })
    }

    /// Where it is, with a path.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// How many connections were made to it.
    pub fn visitors(&self) -> usize {
        self.visitors.load(Ordering::SeqCst)
    }
}
