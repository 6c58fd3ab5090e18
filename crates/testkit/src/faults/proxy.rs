//! The proxy's listener and its connections.

use std::{
    io,
    net::{Ipv4Addr, SocketAddr},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use rustix::net::sockopt::set_socket_linger;
use tokio::{
    net::{TcpListener, TcpSocket, TcpStream},
    sync::watch,
    task::JoinHandle,
};

use super::{End, Fault, pipe};

/// Connections that wait to be accepted.
const BACKLOG: u32 = 1024;

/// What holds now.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Setting {
    pub(super) fault: Fault,
    /// Counts the changes.
    pub(super) version: u64,
    /// Counts the changes that ended every connection there was.
    ended: u64,
}

#[derive(Debug)]
struct Shared {
    address: SocketAddr,
    target: Mutex<SocketAddr>,
    setting: watch::Sender<Setting>,
    /// The version that the listener has come to.
    applied: watch::Sender<u64>,
    open: AtomicUsize,
    accepted: AtomicUsize,
}

/// A TCP proxy before one server, which a test switches from one [`Fault`] to another. Dropped, it closes everything.
#[derive(Debug)]
pub struct FaultProxy {
    shared: Arc<Shared>,
    listener: JoinHandle<()>,
    /// Bound and never listening: the port stays ours while nobody listens.
    _place: TcpSocket,
}

impl FaultProxy {
    /// A proxy on a free port of loopback, before the server at `target`.
    ///
    /// # Errors
    /// What the system says of the port.
    pub fn start(target: SocketAddr) -> io::Result<Self> {
        let place = socket(SocketAddr::from((Ipv4Addr::LOCALHOST, 0)))?;
        let address = place.local_addr()?;
        let listener = socket(address)?.listen(BACKLOG)?;
        let shared = Arc::new(Shared {
            address,
            target: Mutex::new(target),
            setting: watch::Sender::default(),
            applied: watch::Sender::default(),
            open: AtomicUsize::new(0),
            accepted: AtomicUsize::new(0),
        });
        let listener = tokio::spawn(Arc::clone(&shared).listen(listener));
        Ok(Self { shared, listener, _place: place })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.shared.address
    }

    /// Another server from the next connection on.
    pub fn retarget(&self, target: SocketAddr) {
        *self.shared.target.lock().unwrap_or_else(PoisonError::into_inner) = target;
    }

    /// Lets a fault hold from now on, in place of the one before.
    pub async fn set(&self, fault: Fault) {
        let mut version = 0;
        self.shared.setting.send_modify(|setting| {
            setting.fault = fault;
            setting.version += 1;
            version = setting.version;
            if matches!(fault, Fault::Reset | Fault::Refuse) {
                setting.ended += 1;
            }
        });
        // An error is a listener that has ended with its runtime.
        let _ = self.shared.applied.subscribe().wait_for(|applied| *applied >= version).await;
    }

    /// Lets everything pass again.
    pub async fn heal(&self) {
        self.set(Fault::None).await;
    }

    /// Connections that are open.
    pub fn open(&self) -> usize {
        self.shared.open.load(Ordering::Relaxed)
    }

    /// Connections that were ever accepted.
    pub fn accepted(&self) -> usize {
        self.shared.accepted.load(Ordering::Relaxed)
    }
}

impl Drop for FaultProxy {
    fn drop(&mut self) {
        self.listener.abort();
        self.shared.setting.send_modify(|setting| setting.ended += 1);
    }
}

/// A socket with this address, which others of this process may have as well.
fn socket(address: SocketAddr) -> io::Result<TcpSocket> {
    let socket = TcpSocket::new_v4()?;
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    Ok(socket)
}

impl Shared {
    async fn listen(self: Arc<Self>, listener: TcpListener) {
        let mut listener = Some(listener);
        let mut setting = self.setting.subscribe();
        loop {
            let now = *setting.borrow_and_update();
            if now.fault == Fault::Refuse {
                listener = None;
            } else if listener.is_none() {
                listener = socket(self.address).and_then(|socket| socket.listen(BACKLOG)).ok();
                if listener.is_none() {
                    // What was accepted before may hold the port for a moment.
                    tokio::time::sleep(Duration::from_millis(1)).await;
                    continue;
                }
            }
            self.applied.send_replace(now.version);
            let accept = async {
                match &listener {
                    Some(listener) => listener.accept().await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                changed = setting.changed() => if changed.is_err() { return },
                accepted = accept => if let Ok((client, _)) = accepted {
                    self.accepted.fetch_add(1, Ordering::Relaxed);
                    tokio::spawn(Arc::clone(&self).connection(client, now.ended));
                }
            }
        }
    }

    /// Serves one connection to its end. `ended` is what the setting said when it was accepted.
    async fn connection(self: Arc<Self>, mut client: TcpStream, ended: u64) {
        self.open.fetch_add(1, Ordering::Relaxed);
        let mut setting = self.setting.subscribe();
        let cut = async {
            let cut = setting.wait_for(|now| now.ended != ended || now.fault == Fault::Reset).await;
            cut.map_or(End::Close, |now| if now.fault == Fault::Refuse { End::Close } else { End::Reset })
        };
        let end = tokio::select! {
            biased;
            end = cut => end,
            end = self.relay(&mut client) => end,
        };
        if end == End::Reset {
            // If that fails the connection is merely closed.
            let _ = set_socket_linger(&client, Some(Duration::ZERO));
        }
        drop(client);
        self.open.fetch_sub(1, Ordering::Relaxed);
    }

    /// Carries what both sides send; returns how the client's connection must end.
    async fn relay(&self, client: &mut TcpStream) -> End {
        let mut setting = self.setting.subscribe();
        if setting.wait_for(|now| now.fault != Fault::Blackhole).await.is_err() {
            return End::Close;
        }
        let target = *self.target.lock().unwrap_or_else(PoisonError::into_inner);
        let connected = TcpStream::connect(target).await.and_then(|server| {
            server.set_nodelay(true)?;
            client.set_nodelay(true)?;
            Ok(server)
        });
        let Ok(mut server) = connected else { return End::Reset };
        let (from_client, to_client) = client.split();
        let (from_server, to_server) = server.split();
        let up = pipe::upstream(from_client, to_server, setting.clone());
        let down = pipe::downstream(from_server, to_client, setting);
        // A direction that ends well leaves the other to itself; anything else ends both.
        let up = async { up.await.map_err(|_| End::Reset) };
        let down = async { down.await.map_err(|_| End::Reset)?.map_or(Ok(()), Err) };
        match tokio::try_join!(up, down) {
            Ok(((), ())) => End::Close,
            Err(end) => end,
        }
    }
}
