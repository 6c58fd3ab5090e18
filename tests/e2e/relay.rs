//! A reverse proxy as people put it before a server: HTTP/2 on one side, HTTP/1.1 on the other.

use std::{
    convert::Infallible,
    io::Write,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use http::{Request, Response, Uri, Version, header, uri::Scheme};
use http_body_util::{BodyExt, Full, combinators::BoxBody};
use hyper::{
    body::{Bytes, Incoming},
    client::conn::{http1, http2},
    service::service_fn,
};
use hyper_util::rt::{TokioExecutor, TokioIo};
use rustls::{
    ServerConfig,
    crypto::ring,
    pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer},
};
use tempfile::NamedTempFile;
use tokio::{
    net::{TcpListener, TcpStream},
    sync::Mutex,
};
use tokio_rustls::TlsAcceptor;

type Body = BoxBody<Bytes, hyper::Error>;

/// A running proxy.
pub(crate) struct Relay {
    /// Where it listens.
    pub(crate) url: String,
    /// Connections that came in.
    pub(crate) connections: Arc<AtomicUsize>,
    /// Connections that went out.
    pub(crate) onward: Arc<AtomicUsize>,
    /// What a client must trust, for TLS.
    pub(crate) ca_file: NamedTempFile,
}

impl Relay {
    /// Takes HTTP/2 over TLS, and speaks HTTP/1.1 to the server at `url`, each request on a connection of its own.
    pub(crate) async fn before_upstream(url: &str) -> Self {
        let made = rcgen::generate_simple_self_signed(vec!["localhost".into()]).unwrap();
        let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(made.signing_key.serialize_der()));
        let mut config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![made.cert.der().clone()], key)
            .unwrap();
        config.alpn_protocols = vec![b"h2".to_vec()];
        let acceptor = TlsAcceptor::from(Arc::new(config));
        let (listener, mut relay) = Self::listening(url).await;
        relay.url = relay.url.replace("http://127.0.0.1", "https://localhost");
        relay.ca_file.write_all(made.cert.pem().as_bytes()).unwrap();
        let (incoming, onward) = (Arc::clone(&relay.connections), Arc::clone(&relay.onward));
        let server: Uri = url.parse().unwrap();
        tokio::spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                stream.set_nodelay(true).unwrap();
                incoming.fetch_add(1, Ordering::Relaxed);
                let (acceptor, onward, server) = (acceptor.clone(), Arc::clone(&onward), server.clone());
                tokio::spawn(async move {
                    let Ok(stream) = acceptor.accept(stream).await else { return };
                    let service = service_fn(move |request| {
                        onward.fetch_add(1, Ordering::Relaxed);
                        by_http1(server.clone(), request)
                    });
                    let connection = hyper::server::conn::http2::Builder::new(TokioExecutor::new())
                        .serve_connection(TokioIo::new(stream), service);
                    let _ = connection.await;
                });
            }
        });
        relay
    }

    /// Takes HTTP/1.1 and speaks HTTP/2 with prior knowledge to the gateway at `url`, on one connection for as long as
    /// that lasts.
    pub(crate) async fn before_gateway(url: &str) -> Self {
        let (listener, relay) = Self::listening(url).await;
        let (incoming, onward) = (Arc::clone(&relay.connections), Arc::clone(&relay.onward));
        let server: Uri = url.parse().unwrap();
        let shared = Arc::<Mutex<Option<http2::SendRequest<Incoming>>>>::default();
        tokio::spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                stream.set_nodelay(true).unwrap();
                incoming.fetch_add(1, Ordering::Relaxed);
                let (shared, onward, server) = (Arc::clone(&shared), Arc::clone(&onward), server.clone());
                tokio::spawn(async move {
                    let service = service_fn(move |request| {
                        by_http2(server.clone(), Arc::clone(&shared), Arc::clone(&onward), request)
                    });
                    let connection = hyper::server::conn::http1::Builder::new();
                    let _ = connection.serve_connection(TokioIo::new(stream), service).await;
                });
            }
        });
        relay
    }

    async fn listening(url: &str) -> (TcpListener, Self) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let path = url.parse::<Uri>().unwrap().path().to_owned();
        let relay = Self {
            url: format!("http://{}{path}", listener.local_addr().unwrap()),
            connections: Arc::default(),
            onward: Arc::default(),
            ca_file: NamedTempFile::new().unwrap(),
        };
        (listener, relay)
    }
}

async fn connect(server: &Uri) -> TokioIo<TcpStream> {
    let stream = TcpStream::connect(server.authority().unwrap().as_str()).await.unwrap();
    stream.set_nodelay(true).unwrap();
    TokioIo::new(stream)
}

/// What is lost between two hops.
fn without_hop(mut request: Request<Incoming>) -> Request<Incoming> {
    for name in [header::HOST, header::CONNECTION, header::TRANSFER_ENCODING] {
        request.headers_mut().remove(name);
    }
    request
}

async fn by_http1(server: Uri, request: Request<Incoming>) -> Result<Response<Body>, Infallible> {
    let mut request = without_hop(request);
    let (mut sender, connection) = http1::handshake(connect(&server).await).await.unwrap();
    tokio::spawn(connection);
    *request.version_mut() = Version::HTTP_11;
    let host = server.authority().unwrap().as_str().parse().unwrap();
    request.headers_mut().insert(header::HOST, host);
    *request.uri_mut() = request.uri().path_and_query().unwrap().as_str().parse().unwrap();
    Ok(passed(sender.send_request(request).await))
}

async fn by_http2(
    server: Uri,
    shared: Arc<Mutex<Option<http2::SendRequest<Incoming>>>>,
    onward: Arc<AtomicUsize>,
    request: Request<Incoming>,
) -> Result<Response<Body>, Infallible> {
    let mut request = without_hop(request);
    let mut open = shared.lock().await;
    let mut sender = if let Some(sender) = open.take().filter(|sender| !sender.is_closed()) {
        sender
    } else {
        onward.fetch_add(1, Ordering::Relaxed);
        let io = connect(&server).await;
        let (sender, connection) = http2::handshake(TokioExecutor::new(), io).await.unwrap();
        tokio::spawn(connection);
        sender
    };
    *open = Some(sender.clone());
    drop(open);
    let mut parts = request.uri().clone().into_parts();
    parts.scheme = Some(Scheme::HTTP);
    parts.authority = server.authority().cloned();
    *request.uri_mut() = Uri::from_parts(parts).unwrap();
    *request.version_mut() = Version::HTTP_2;
    Ok(passed(sender.send_request(request).await))
}

fn passed(response: hyper::Result<Response<Incoming>>) -> Response<Body> {
    match response {
        Ok(response) => {
            let mut response = response.map(BodyExt::boxed);
            response.headers_mut().remove(header::TRANSFER_ENCODING);
            response.headers_mut().remove(header::CONNECTION);
            response
        }
        Err(error) => {
            let text = Full::from(format!("relay: {error:?}")).map_err(|never| match never {});
            let mut response = Response::new(text.boxed());
            *response.status_mut() = http::StatusCode::BAD_GATEWAY;
            response
        }
    }
}
