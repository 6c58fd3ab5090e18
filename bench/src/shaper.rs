//! A line of a given bandwidth: a TCP proxy on loopback that lets bytes through no faster.

use std::io::{Read as _, Write as _};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::thread;
use std::time::{Duration, Instant};

use crate::Result;

/// What goes through at a time: some packets.
const CHUNK: usize = 8 * 1024;
/// The end of each wait is spent looking at the clock, since sleeping is not so exact.
const SPIN: Duration = Duration::from_micros(100);

/// Opens a line to `server` and returns where it begins. It lasts until this process ends.
pub(crate) fn line(server: SocketAddr, bits_per_s: f64) -> Result<SocketAddr> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
    let address = listener.local_addr()?;
    thread::spawn(move || {
        while let Ok((client, _)) = listener.accept() {
            // A client whose server does not answer sees its connection end.
            let Ok(server) = TcpStream::connect(server) else { continue };
            for (from, to) in [(&client, &server), (&server, &client)] {
                let (Ok(from), Ok(to)) = (from.try_clone(), to.try_clone()) else { continue };
                thread::spawn(move || {
                    // An error is the end of the connection, which is passed on either way.
                    let _ = pass(&from, &to, bits_per_s);
                    let _ = to.shutdown(Shutdown::Write);
                });
            }
        }
    });
    Ok(address)
}

fn pass(mut from: &TcpStream, mut to: &TcpStream, bits_per_s: f64) -> Result<()> {
    to.set_nodelay(true)?;
    let mut chunk = vec![0; CHUNK];
    // When the last byte so far has gone through.
    let mut free = Instant::now();
    loop {
        let count = from.read(&mut chunk)?;
        if count == 0 {
            return Ok(());
        }
        free = free.max(Instant::now()) + Duration::from_secs_f64(count as f64 * 8.0 / bits_per_s);
        if let Some(wait) = free.checked_duration_since(Instant::now() + SPIN) {
            thread::sleep(wait);
        }
        while Instant::now() < free {
            std::hint::spin_loop();
        }
        to.write_all(&chunk[..count])?;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_come_through_unchanged_and_no_faster_than_the_line() {
        const LENGTH: usize = 100_000;
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let address = line(listener.local_addr().unwrap(), 8e6).unwrap();
        let sent: Vec<u8> = (0..LENGTH).map(|at| at as u8).collect();
        let expected = sent.clone();
        let started = Instant::now();
        thread::spawn(move || listener.accept().unwrap().0.write_all(&sent));
        let mut received = Vec::new();
        TcpStream::connect(address).unwrap().read_to_end(&mut received).unwrap();
        assert!(received == expected);
        assert!(started.elapsed() >= Duration::from_millis(100), "{:?}", started.elapsed());
    }
}
