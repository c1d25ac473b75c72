//! What is different over TLS.

mod support;

use std::{
    fs,
    io::{BufRead as _, BufReader, Read as _, Write as _},
    net::{Ipv4Addr, TcpStream},
    path::Path,
    process::{Child, Command, Stdio},
    sync::Arc,
};

use graphfeed_emulator::server::{Server, TestCertificate};
use rustls::{
    ClientConfig, ClientConnection, RootCertStore, StreamOwned,
    pki_types::{CertificateDer, ServerName, pem::PemObject as _},
};
use support::{Bench, user_activity};

/// Sends a `GET` to `localhost`, which the certificate has to prove, and reads the answer to its
/// end.
fn get(port: u16, certificate: &str, target: &str) -> String {
    let mut trusted = RootCertStore::empty();
    let certificate = CertificateDer::from_pem_slice(certificate.as_bytes());
    trusted.add(certificate.expect("PEM")).expect("a certificate");
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("versions")
        .with_root_certificates(trusted)
        .with_no_client_auth();
    let name = ServerName::try_from("localhost").expect("a name");
    let tls = ClientConnection::new(Arc::new(config), name).expect("a client");
    let socket = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).expect("a connection");
    let mut stream = StreamOwned::new(tls, socket);
    let request = format!(
        "GET {target} HTTP/1.1\r\nHost: localhost:{port}\r\nAuthorization: Bearer any\r\n\
         Connection: close\r\n\r\n"
    );
    stream.write_all(request.as_bytes()).expect("sent");
    let mut answer = String::new();
    // It may close without a farewell.
    let _ = stream.read_to_string(&mut answer);
    answer
}

#[test]
fn a_link_to_the_next_page_leads_back_here_over_tls() {
    let bench = Bench::empty();
    for id in ["a", "b"] {
        bench.expect(201, "PUT", &format!("/v1.0/me/activities/{id}"), user_activity(id, ""));
    }
    let certificate = TestCertificate::new();
    let server = Server::start_tls(bench.emulator, "127.0.0.1:0", &certificate).expect("a server");
    let port = server.address().port();
    let get = |target: &str| get(port, certificate.pem(), target);

    let page = get("/v1.0/me/activities?$top=1");
    let begin = format!(r#""@odata.nextLink":"https://localhost:{port}"#);
    let (_, rest) = page.split_once(&begin).expect(&page);
    let (link, rest) = rest.split_once('"').expect(&page);
    assert!(rest.contains(r#""appActivityId":"b""#), "{page}");
    let page = get(link);
    assert!(page.starts_with("HTTP/1.1 200 "), "{page}");
    assert!(page.contains(r#""appActivityId":"a""#), "{page}");
    assert!(!page.contains("nextLink"), "{page}");
}

/// The program; killed when the test ends.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn the_program_speaks_tls_and_writes_down_which_certificate_to_trust() {
    let file = Path::new(env!("CARGO_TARGET_TMPDIR")).join("tls-certificate.pem");
    let _ = fs::remove_file(&file);
    let mut command = Command::new(env!("CARGO_BIN_EXE_graphfeed-emulator"));
    command.arg("--tls").arg(&file).stdout(Stdio::piped()).stderr(Stdio::null());
    let mut running = Running(command.spawn().expect("a program"));
    let mut line = String::new();
    let stdout = running.0.stdout.take().expect("stdout");
    BufReader::new(stdout).read_line(&mut line).expect("a line");
    let port = line.trim_end().strip_prefix("listening on https://localhost:").expect(&line);
    let certificate = fs::read_to_string(&file).expect("it is written before the line");
    let answer = get(port.parse().expect(port), &certificate, "/v1.0/external/connections");
    assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");

    let nowhere = Path::new(env!("CARGO_TARGET_TMPDIR")).join("no-such-folder/certificate.pem");
    let mut command = Command::new(env!("CARGO_BIN_EXE_graphfeed-emulator"));
    let output = command.arg("--tls").arg(&nowhere).output().expect("a program");
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{said}");
    let begin =
        format!("graphfeed-emulator: cannot write the certificate to {}", nowhere.display());
    assert!(said.starts_with(&begin), "{said}");
}
