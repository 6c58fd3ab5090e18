//! Where HTTP connections go, in plain or by TLS: rustls with the public roots, and beside them those of a file where
//! the user names one. Certificates are always checked.

use std::io::{Read, Write};
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use rustls::crypto::ring;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use crate::Result;

/// An address, and how to speak there.
#[derive(Debug, Clone)]
pub struct Endpoint {
    /// Where to connect.
    pub address: SocketAddr,
    tls: Option<Tls>,
}

/// Whom to trust, and by which name.
#[derive(Debug, Clone)]
struct Tls {
    config: Arc<ClientConfig>,
    name: ServerName<'static>,
}

impl From<SocketAddr> for Endpoint {
    fn from(address: SocketAddr) -> Self {
        Self { address, tls: None }
    }
}

impl Endpoint {
    /// TLS with the server that has this name in its certificate. `roots` is a PEM file of authorities that are trusted
    /// in addition to the public ones.
    ///
    /// # Errors
    /// If the name cannot be in a certificate, or the file has none.
    pub fn tls(address: SocketAddr, name: &str, roots: Option<&Path>) -> Result<Self> {
        let bare = name.trim_start_matches('[').trim_end_matches(']').to_owned();
        let name = ServerName::try_from(bare).map_err(|error| format!("{name}: {error}"))?;
        let mut store = RootCertStore { roots: webpki_roots::TLS_SERVER_ROOTS.to_vec() };
        if let Some(path) = roots {
            add(&mut store, path).map_err(|error| format!("certificates in {}: {error}", path.display()))?;
        }
        let config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()?
            .with_root_certificates(store)
            .with_no_client_auth();
        Ok(Self { address, tls: Some(Tls { config: Arc::new(config), name }) })
    }

    /// A connection of a thread that waits, at most `patience` for each read.
    pub fn connect(&self, patience: Duration) -> Result<Box<dyn ReadWrite>> {
        let stream = std::net::TcpStream::connect(self.address)
            .map_err(|error| format!("cannot connect to {}: {error}", self.address))?;
        stream.set_read_timeout(Some(patience))?;
        stream.set_nodelay(true)?;
        Ok(match &self.tls {
            None => Box::new(stream),
            Some(Tls { config, name }) => {
                let connection = ClientConnection::new(Arc::clone(config), name.clone())?;
                Box::new(StreamOwned::new(connection, stream))
            }
        })
    }

    /// A connection of a task.
    pub(crate) async fn open(&self) -> Result<Stream> {
        let stream = tokio::net::TcpStream::connect(self.address).await?;
        stream.set_nodelay(true)?;
        Ok(match &self.tls {
            None => Stream::Plain(stream),
            Some(Tls { config, name }) => {
                let connector = TlsConnector::from(Arc::clone(config));
                Stream::Tls(Box::new(connector.connect(name.clone(), stream).await?))
            }
        })
    }
}

fn add(store: &mut RootCertStore, path: &Path) -> Result<()> {
    let public = store.len();
    for certificate in CertificateDer::pem_file_iter(path)? {
        store.add(certificate?)?;
    }
    if store.len() == public { Err("there is none".into()) } else { Ok(()) }
}

/// Bytes in and out.
pub trait ReadWrite: Read + Write {}

impl<T: Read + Write> ReadWrite for T {}

/// An open connection of a task.
#[derive(Debug)]
pub(crate) enum Stream {
    /// TCP.
    Plain(tokio::net::TcpStream),
    /// TLS on TCP.
    Tls(Box<TlsStream<tokio::net::TcpStream>>),
}

impl Stream {
    /// Sends all of it.
    pub(crate) async fn write_all(&mut self, bytes: &[u8]) -> std::io::Result<()> {
        match self {
            Self::Plain(stream) => stream.write_all(bytes).await,
            Self::Tls(stream) => {
                stream.write_all(bytes).await?;
                stream.flush().await
            }
        }
    }

    /// Appends what comes next; 0 at the end.
    pub(crate) async fn read_buf(&mut self, buffer: &mut Vec<u8>) -> std::io::Result<usize> {
        match self {
            Self::Plain(stream) => stream.read_buf(buffer).await,
            Self::Tls(stream) => stream.read_buf(buffer).await,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;

    use rustls::pki_types::PrivatePkcs8KeyDer;
    use rustls::{ServerConfig, ServerConnection};
    use serde_json::{Value, json};

    use super::*;
    use crate::check::{Checker, Expect};
    use crate::load::Until;
    use crate::message::{Call, MODERN};
    use crate::reply::{Incoming, Progress};
    use crate::target::{Drive, Options, Place, Target};

    /// A modern server for `localhost` behind TLS, and its certificate in PEM.
    fn server() -> (SocketAddr, String) {
        let signed = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
        let key = PrivatePkcs8KeyDer::from(signed.signing_key.serialize_der());
        let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![signed.cert.der().clone()], key.into())
            .unwrap();
        let (config, pem) = (Arc::new(config), signed.cert.pem());
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        std::thread::spawn(move || {
            while let Ok((stream, _)) = listener.accept() {
                let connection = ServerConnection::new(Arc::clone(&config)).unwrap();
                std::thread::spawn(move || serve(StreamOwned::new(connection, stream)));
            }
        });
        (address, pem)
    }

    /// Answers until the client leaves.
    fn serve(mut stream: impl Read + Write) {
        let (mut incoming, mut chunk) = (Incoming::default(), [0; 4096]);
        while let Ok(read @ 1..) = stream.read(&mut chunk) {
            incoming.buffer().extend_from_slice(&chunk[..read]);
            if incoming.advance(false).is_ok_and(|progress| progress == Progress::Complete) {
                let message: Value = serde_json::from_slice(incoming.message()).unwrap();
                let body =
                    json!({ "jsonrpc": "2.0", "id": message["id"], "result": answer(&message) }).to_string();
                let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", body.len());
                stream.write_all((head + &body).as_bytes()).unwrap();
                incoming.clear();
            }
        }
    }

    fn answer(message: &Value) -> Value {
        match message["method"].as_str() {
            Some("server/discover") => json!({ "supportedVersions": [MODERN] }),
            Some("tools/list") => json!({ "tools": [{ "name": "echo" }] }),
            _ => {
                json!({ "content": [{ "type": "text", "text": message["params"]["arguments"].to_string() }] })
            }
        }
    }

    #[test]
    fn a_server_behind_tls_is_measured_if_its_authority_is_trusted_and_its_name_is_right() {
        let (address, pem) = server();
        let folder = std::env::temp_dir().join(format!("aqe-load-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        let file = folder.join("ca.pem");
        std::fs::write(&file, pem).unwrap();
        let open = |host: &str, ca_file| {
            let url = format!("https://{host}:{}/mcp", address.port());
            Target::open(Place::Url(url), &Options { ca_file, ..Options::default() })
        };
        let mut target = open("localhost", Some(file.clone())).unwrap();
        let call = Call::tool(target.era, "echo", r#"{"n":{number}}"#);
        let drive = Drive { connections: 3, rate: None, expect: Expect::Result };
        let checker = Checker::new(Expect::Result);
        let (done, _) = target.run(&call, drive, checker, 0, Until::Requests(50)).unwrap();
        assert_eq!((done.requests, done.faults.total()), (50, 0), "{:?}", done.faults);

        for (host, roots) in [("localhost", None), ("127.0.0.1", Some(file))] {
            let error = open(host, roots).unwrap_err().to_string();
            assert!(error.contains("certificate"), "{error}");
        }
        let none = folder.join("none.pem");
        std::fs::write(&none, "nothing").unwrap();
        let error = open("localhost", Some(none)).unwrap_err().to_string();
        assert!(error.contains("there is none"), "{error}");
        std::fs::remove_dir_all(folder).unwrap();
    }
}
