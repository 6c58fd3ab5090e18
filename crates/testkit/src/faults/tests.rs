use std::io;

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    time::{Instant, timeout},
};

use super::*;

const MS: Duration = Duration::from_millis(1);
/// Longer than anything here should take.
const PATIENCE: Duration = Duration::from_secs(10);

/// A server that sends back what it gets, and a proxy before it.
async fn echo() -> FaultProxy {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let target = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            tokio::spawn(async move {
                let (mut reader, mut writer) = stream.split();
                let _ = tokio::io::copy(&mut reader, &mut writer).await;
            });
        }
    });
    FaultProxy::start(target).unwrap()
}

async fn connected(proxy: &FaultProxy) -> TcpStream {
    let stream = TcpStream::connect(proxy.address()).await.unwrap();
    stream.set_nodelay(true).unwrap();
    stream
}

/// Sends a text and reads as many bytes back; returns how long that took.
async fn exchange(stream: &mut TcpStream, text: &[u8]) -> io::Result<Duration> {
    let start = Instant::now();
    stream.write_all(text).await?;
    let mut back = vec![0; text.len()];
    timeout(PATIENCE, stream.read_exact(&mut back)).await.expect("expected an echo in time")?;
    assert_eq!(back, text);
    Ok(start.elapsed())
}

/// What comes until the end.
async fn rest(stream: &mut TcpStream) -> io::Result<Vec<u8>> {
    let mut all = Vec::new();
    timeout(PATIENCE, stream.read_to_end(&mut all)).await.expect("expected an end in time")?;
    Ok(all)
}

#[tokio::test]
async fn bytes_pass_unchanged_and_the_end_of_each_side_reaches_the_other() {
    let proxy = echo().await;
    let mut stream = connected(&proxy).await;
    let text: Vec<u8> = (0..1_000_000_u32).map(|byte| byte as u8).collect();
    let (mut reader, mut writer) = stream.split();
    let send = async {
        writer.write_all(&text).await.unwrap();
        writer.shutdown().await.unwrap();
    };
    let mut back = Vec::new();
    let receive = timeout(PATIENCE, reader.read_to_end(&mut back));
    let ((), received) = tokio::join!(send, receive);
    received.unwrap().unwrap();
    assert!(back == text);
    crate::process::wait_until(PATIENCE, "the connection's end", || (proxy.open() == 0).then_some(())).await;
    assert_eq!(proxy.accepted(), 1);
}

#[tokio::test]
async fn latency_delays_without_limiting_the_rate_and_ends_when_it_is_healed() {
    let proxy = echo().await;
    let mut stream = connected(&proxy).await;
    proxy.set(Fault::Latency { latency: 100 * MS, jitter: 20 * MS }).await;
    let took = exchange(&mut stream, b"hello").await.unwrap();
    assert!((80 * MS..2_000 * MS).contains(&took), "{took:?}");
    let took = exchange(&mut stream, &vec![7; 500_000]).await.unwrap();
    assert!((80 * MS..2_000 * MS).contains(&took), "{took:?}");
    // What is on its way when the fault ends comes at once.
    proxy.set(Fault::Latency { latency: 60_000 * MS, jitter: Duration::ZERO }).await;
    let (took, ()) = tokio::join!(exchange(&mut stream, b"again"), async {
        tokio::time::sleep(50 * MS).await;
        proxy.heal().await;
    });
    assert!(took.unwrap() < 2_000 * MS);
}

#[tokio::test]
async fn bandwidth_and_slices_take_the_time_that_they_say() {
    let proxy = echo().await;
    let mut stream = connected(&proxy).await;
    proxy.set(Fault::Bandwidth { bytes_per_s: 100_000 }).await;
    let took = exchange(&mut stream, &vec![1; 30_000]).await.unwrap();
    assert!((290 * MS..3_000 * MS).contains(&took), "{took:?}");
    proxy.set(Fault::Bandwidth { bytes_per_s: 10 }).await;
    let took = exchange(&mut stream, b"abc").await.unwrap();
    assert!((290 * MS..3_000 * MS).contains(&took), "{took:?}");
    proxy.set(Fault::Slicer { bytes: 2, pause: 20 * MS }).await;
    let took = exchange(&mut stream, b"0123456789").await.unwrap();
    assert!((100 * MS..3_000 * MS).contains(&took), "{took:?}");
}

#[tokio::test]
async fn a_limit_counts_from_when_it_is_set_and_ends_the_connection_as_it_says() {
    let proxy = echo().await;
    for end in [End::Close, End::HalfClose, End::Reset] {
        proxy.heal().await;
        let mut stream = connected(&proxy).await;
        exchange(&mut stream, b"before").await.unwrap();
        proxy.set(Fault::LimitData { bytes: 3, end }).await;
        stream.write_all(b"after").await.unwrap();
        let mut got = [0; 3];
        stream.read_exact(&mut got).await.unwrap();
        assert_eq!(&got, b"aft");
        let rest = rest(&mut stream).await;
        match end {
            End::Reset => assert_eq!(rest.unwrap_err().kind(), io::ErrorKind::ConnectionReset),
            End::Close | End::HalfClose => assert_eq!(rest.unwrap(), b""),
        }
        let still_taken = stream.write_all(b"more").await.is_ok();
        assert!(still_taken || end != End::HalfClose);
    }
}

#[tokio::test]
async fn a_black_hole_swallows_open_and_new_connections_and_gives_back_what_it_held() {
    let proxy = echo().await;
    let mut open = connected(&proxy).await;
    exchange(&mut open, b"hello").await.unwrap();
    proxy.set(Fault::Blackhole).await;
    let mut new = connected(&proxy).await;
    for stream in [&mut open, &mut new] {
        stream.write_all(b"held").await.unwrap();
        let mut byte = [0];
        assert!(timeout(100 * MS, stream.read(&mut byte)).await.is_err(), "nothing may come");
    }
    proxy.heal().await;
    for stream in [&mut open, &mut new] {
        let mut back = [0; 4];
        timeout(PATIENCE, stream.read_exact(&mut back)).await.unwrap().unwrap();
        assert_eq!(&back, b"held");
    }
}

#[tokio::test]
async fn a_reset_ends_open_connections_and_each_new_one() {
    let proxy = echo().await;
    let mut open = connected(&proxy).await;
    exchange(&mut open, b"hello").await.unwrap();
    proxy.set(Fault::Reset).await;
    assert_eq!(rest(&mut open).await.unwrap_err().kind(), io::ErrorKind::ConnectionReset);
    let ended = match TcpStream::connect(proxy.address()).await {
        Ok(mut new) => exchange(&mut new, b"hello").await.is_err(),
        Err(_) => true,
    };
    assert!(ended);
    proxy.heal().await;
    exchange(&mut connected(&proxy).await, b"hello").await.unwrap();
}

#[tokio::test]
async fn what_is_refused_is_taken_again_on_the_same_port_once_healed() {
    let proxy = echo().await;
    for _ in 0..20 {
        let mut open = connected(&proxy).await;
        exchange(&mut open, b"hello").await.unwrap();
        proxy.set(Fault::Refuse).await;
        assert_eq!(rest(&mut open).await.unwrap(), b"");
        let refused = TcpStream::connect(proxy.address()).await.unwrap_err();
        assert_eq!(refused.kind(), io::ErrorKind::ConnectionRefused);
        proxy.heal().await;
    }
    exchange(&mut connected(&proxy).await, b"hello").await.unwrap();
}

#[tokio::test]
async fn a_server_that_is_gone_resets_until_another_takes_its_place() {
    let gone = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let proxy = FaultProxy::start(gone).unwrap();
    let ended = exchange(&mut connected(&proxy).await, b"hello").await.unwrap_err();
    assert!(
        matches!(
            ended.kind(),
            io::ErrorKind::ConnectionReset | io::ErrorKind::UnexpectedEof | io::ErrorKind::BrokenPipe
        ),
        "{ended}"
    );
    let other = echo().await;
    proxy.retarget(other.address());
    exchange(&mut connected(&proxy).await, b"hello").await.unwrap();
}
