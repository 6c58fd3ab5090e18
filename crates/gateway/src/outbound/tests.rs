use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpListener;

use super::*;
use crate::tls::testing::Tls;

const LIMIT: Duration = Duration::from_secs(10);

fn target(url: &str) -> Target {
    Target { url: url.parse().unwrap(), headers: Vec::new(), ca_file: None }
}

async fn listener() -> (TcpListener, String) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/path?query=1", listener.local_addr().unwrap());
    (listener, url)
}

/// Reads one request; its head in lower case, and its body.
async fn read_request(io: &mut (impl AsyncRead + Unpin)) -> (String, Vec<u8>) {
    let mut read = Vec::new();
    loop {
        if let Some(end) = read.windows(4).position(|four| four == b"\r\n\r\n") {
            let head = String::from_utf8(read[..end].to_vec()).unwrap().to_lowercase();
            let length: usize = head
                .split("content-length: ")
                .nth(1)
                .map_or(0, |rest| rest.lines().next().unwrap().parse().unwrap());
            let mut body = read.split_off(end + 4);
            while body.len() < length {
                assert!(io.read_buf(&mut body).await.unwrap() > 0);
            }
            return (head, body);
        }
        assert!(io.read_buf(&mut read).await.unwrap() > 0);
    }
}

async fn answer(io: &mut (impl AsyncRead + AsyncWrite + Unpin), reply: &str) -> (String, Vec<u8>) {
    let request = read_request(io).await;
    io.write_all(reply.as_bytes()).await.unwrap();
    request
}

#[tokio::test]
async fn headers_and_body_arrive_and_the_reply_comes_back() {
    let (listener, url) = listener().await;
    let target = Target {
        headers: vec![
            (header::AUTHORIZATION, HeaderValue::from_static("Bearer secret")),
            (header::CONTENT_TYPE, HeaderValue::from_static("text/plain")),
        ],
        ..target(&url)
    };
    let outbound = Outbound::new(&target).unwrap();
    let server = async {
        let mut io = listener.accept().await.unwrap().0;
        let reply = "HTTP/1.1 503 Busy\r\nretry-after: 7\r\ncontent-length: 5\r\n\r\nlater";
        // Twice over one connection.
        (answer(&mut io, reply).await, answer(&mut io, "HTTP/1.1 204 No Content\r\n\r\n").await)
    };
    let client = async {
        let json = [(header::CONTENT_TYPE, HeaderValue::from_static("application/json"))];
        let first = outbound.post(&json, Bytes::from_static(b"{}"), LIMIT).await.unwrap();
        (first, outbound.post(&[], Bytes::from_static(b"two"), LIMIT).await.unwrap())
    };
    let (((head, body), (_, second_body)), (first, second)) = tokio::join!(server, client);
    assert!(head.starts_with("post /path?query=1 http/1.1\r\n"), "{head}");
    assert!(head.contains("authorization: bearer secret"));
    assert!(head.contains("content-type: application/json") && !head.contains("text/plain"));
    assert!(head.contains("user-agent: aqe-v3/"));
    assert_eq!((body.as_slice(), second_body.as_slice()), (&b"{}"[..], &b"two"[..]));
    assert_eq!((first.status.as_u16(), first.retry_after), (503, Some(Duration::from_secs(7))));
    assert_eq!((first.excerpt().as_str(), second.status.as_u16()), ("later", 204));
}

#[tokio::test]
async fn a_server_behind_tls_is_believed_by_the_configured_certificate_only() {
    let tls = Tls::new();
    let acceptor = tls.acceptor(&[]);
    let (listener, _) = listener().await;
    let url = format!("https://localhost:{}/", listener.local_addr().unwrap().port());
    let server = tokio::spawn(async move {
        loop {
            let io = listener.accept().await.unwrap().0;
            if let Ok(mut io) = acceptor.accept(io).await {
                answer(&mut io, "HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n").await;
            }
        }
    });
    let stranger = Outbound::new(&target(&url)).unwrap().post(&[], Bytes::new(), LIMIT).await;
    assert!(matches!(&stranger, Err(PostError::Connect(why)) if why.contains("certificate")), "{stranger:?}");
    let trusted = Target { ca_file: Some(tls.ca_file().into()), ..target(&url) };
    let reply = Outbound::new(&trusted).unwrap().post(&[], Bytes::new(), LIMIT).await.unwrap();
    assert_eq!(reply.status, StatusCode::OK);
    server.abort();
}

#[tokio::test]
async fn a_silent_server_and_an_absent_one_are_told_apart() {
    let (listener, url) = listener().await;
    let outbound = Outbound::new(&target(&url)).unwrap();
    let limit = Duration::from_millis(50);
    assert_eq!(outbound.post(&[], Bytes::new(), limit).await.unwrap_err(), PostError::Timeout(limit));
    drop(listener);
    let absent = Outbound::new(&target(&url)).unwrap().post(&[], Bytes::new(), LIMIT).await;
    assert!(matches!(absent, Err(PostError::Connect(_))), "{absent:?}");
}

#[tokio::test]
async fn a_reply_without_end_is_cut_and_its_status_counts() {
    let (listener, url) = listener().await;
    let outbound = Outbound::new(&target(&url)).unwrap();
    let server = async {
        let mut io = listener.accept().await.unwrap().0;
        answer(&mut io, "HTTP/1.1 200 OK\r\n\r\n").await;
        // Until the client has had enough.
        while io.write_all(&[b'x'; 4096]).await.is_ok() {}
    };
    let (reply, ()) = tokio::join!(outbound.post(&[], Bytes::new(), LIMIT), server);
    let reply = reply.unwrap();
    assert_eq!((reply.status, reply.body.len()), (StatusCode::OK, MAX_REPLY_BYTES));
}

#[tokio::test]
async fn a_redirect_is_an_answer_and_not_followed() {
    let (listener, url) = listener().await;
    let outbound = Outbound::new(&target(&url)).unwrap();
    let server = async {
        let mut io = listener.accept().await.unwrap().0;
        let reply = "HTTP/1.1 302 Found\r\nlocation: http://127.0.0.1:1/\r\ncontent-length: 0\r\n\r\n";
        answer(&mut io, reply).await
    };
    let (reply, _) = tokio::join!(outbound.post(&[], Bytes::new(), LIMIT), server);
    assert_eq!(reply.unwrap().status, StatusCode::FOUND);
}

#[test]
fn retry_after_is_read_as_seconds_or_as_a_date() {
    let now = SystemTime::UNIX_EPOCH + Duration::from_secs(1_000_000);
    let of = |value: &'static str| {
        let mut headers = HeaderMap::new();
        headers.insert(header::RETRY_AFTER, HeaderValue::from_static(value));
        retry_after(&headers, now)
    };
    assert_eq!(of("120"), Some(Duration::from_secs(120)));
    assert_eq!(of("Mon, 12 Jan 1970 13:47:40 GMT"), Some(Duration::from_secs(60)));
    assert_eq!(of("Thu, 01 Jan 1970 00:00:00 GMT"), Some(Duration::ZERO));
    assert_eq!((of("soon"), of("-1")), (None, None));
}

#[test]
fn a_target_that_cannot_be_used_is_refused_and_none_shows_a_secret() {
    let refused = |url: &str| Outbound::new(&target(url)).unwrap_err();
    assert!(matches!(refused("/path"), TargetError::Url));
    assert!(matches!(refused("ftp://a/"), TargetError::Url));
    assert!(matches!(refused("http://user:pw@a/"), TargetError::Credentials));
    let absent = Target { ca_file: Some("/nowhere.pem".into()), ..target("https://a/") };
    assert!(matches!(Outbound::new(&absent), Err(TargetError::CaFile { .. })));
    let secret = Target {
        headers: vec![(header::AUTHORIZATION, HeaderValue::from_static("SECRET"))],
        ..target("https://a/SECRET?k=SECRET")
    };
    assert!(!format!("{secret:?} {:?}", Outbound::new(&secret).unwrap()).contains("SECRET"));
}
