//! The processes of a server: who listens at an address, who descends from whom, and what they use together. Linux only,
//! from /proc.

use std::collections::BTreeSet;
use std::fs;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::time::Duration;

use crate::Result;
use crate::process::{children, pss_kib, stat_fields, ticks};

/// One or more processes and all that descend from them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tree {
    roots: Vec<u32>,
}

impl Tree {
    /// The process and its descendants.
    pub fn of(pid: u32) -> Self {
        Self { roots: vec![pid] }
    }

    /// The processes that listen at an address.
    ///
    /// # Errors
    /// If it is not on this machine, or who listens may not be seen.
    pub fn listening_at(address: SocketAddr) -> Result<Self> {
        if !cfg!(target_os = "linux") {
            return Err("processes are only found on Linux".into());
        }
        if UdpSocket::bind((address.ip(), 0)).is_err() {
            return Err(format!("{} is not an address of this machine", address.ip()).into());
        }
        let tables = ["/proc/net/tcp", "/proc/net/tcp6"];
        let tables: Vec<_> = tables.iter().filter_map(|path| fs::read_to_string(path).ok()).collect();
        let sockets: BTreeSet<String> = tables
            .iter()
            .flat_map(|table| table.lines())
            .filter_map(|line| listener(line, address))
            .map(|inode| format!("socket:[{inode}]"))
            .collect();
        if sockets.is_empty() {
            return Err(format!("nobody on this machine listens at {address}").into());
        }
        let roots: Vec<u32> = processes().filter(|pid| holds(*pid, &sockets)).collect();
        if roots.is_empty() {
            return Err(
                format!("who listens at {address} may not be seen: it belongs to another user").into()
            );
        }
        Ok(Self { roots })
    }

    /// All that run now.
    pub fn processes(&self) -> BTreeSet<u32> {
        let mut found = BTreeSet::new();
        let mut next = self.roots.clone();
        while let Some(pid) = next.pop() {
            if found.insert(pid) {
                next.extend(children(pid));
            }
        }
        found
    }

    /// User and system time that they have used, with that of descendants that have ended and were waited for.
    ///
    /// # Errors
    /// If none of them runs any more.
    pub fn cpu_time(&self) -> Result<Duration> {
        let mut times = self.processes().into_iter().filter_map(|pid| {
            // Own user and system time, and that of children that were waited for.
            let times = stat_fields::<4>(pid, 11).ok()?;
            Some(times.iter().sum::<u64>())
        });
        let first = times.next().ok_or("the processes have ended")?;
        Ok(ticks(first + times.sum::<u64>()))
    }

    /// Their memory in KiB: own pages, and of shared ones their share.
    ///
    /// # Errors
    /// If it may not be seen, or none of them runs any more.
    pub fn pss_kib(&self) -> Result<u64> {
        let running = self.processes();
        // One that ends meanwhile has no memory.
        let memory: Vec<u64> = running.iter().filter_map(|pid| pss_kib(*pid).ok()).collect();
        if memory.is_empty() { Err("the memory may not be seen".into()) } else { Ok(memory.iter().sum()) }
    }
}

fn processes() -> impl Iterator<Item = u32> {
    let all = fs::read_dir("/proc").into_iter().flatten();
    all.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok())
}

fn holds(pid: u32, sockets: &BTreeSet<String>) -> bool {
    let descriptors = fs::read_dir(format!("/proc/{pid}/fd")).into_iter().flatten();
    let mut targets = descriptors.filter_map(|entry| fs::read_link(entry.ok()?.path()).ok());
    targets.any(|target| sockets.contains(target.to_string_lossy().as_ref()))
}

/// The inode of a socket that listens at an address, from a line of /proc/net/tcp or tcp6 (proc_pid_net(5)).
fn listener(line: &str, address: SocketAddr) -> Option<&str> {
    let mut fields = line.split_whitespace().skip(1);
    let (ip, port) = fields.next()?.split_once(':')?;
    let is_listening = fields.nth(1)? == "0A";
    let port = u16::from_str_radix(port, 16).ok()?;
    let ip = parse_ip(ip)?;
    let fits = ip.is_unspecified() || ip.to_canonical() == address.ip().to_canonical();
    (is_listening && port == address.port() && fits).then(|| fields.nth(5)).flatten()
}

/// An address as the kernel prints it: words of 32 bits in the order of this machine.
fn parse_ip(text: &str) -> Option<IpAddr> {
    let word = |at: usize| u32::from_str_radix(text.get(at * 8..at * 8 + 8)?, 16).ok().map(u32::to_ne_bytes);
    match text.len() {
        8 => Some(Ipv4Addr::from(word(0)?).into()),
        32 => {
            let words = [word(0)?, word(1)?, word(2)?, word(3)?];
            let bytes: [u8; 16] = words.concat().try_into().ok()?;
            Some(Ipv6Addr::from(bytes).into())
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;

    use super::*;

    #[test]
    fn who_listens_is_found() {
        for ip in ["127.0.0.1:0", "0.0.0.0:0"] {
            let listener = TcpListener::bind(ip).unwrap();
            let port = listener.local_addr().unwrap().port();
            let tree = Tree::listening_at(SocketAddr::from(([127, 0, 0, 1], port))).unwrap();
            assert_eq!(tree, Tree::of(std::process::id()));
            assert!(tree.cpu_time().is_ok() && tree.pss_kib().unwrap() > 0);
            drop(listener);
            let nobody = Tree::listening_at(SocketAddr::from(([127, 0, 0, 1], port))).unwrap_err();
            assert!(nobody.to_string().contains("nobody on this machine"), "{nobody}");
        }
        // TEST-NET-1, which no machine has.
        let elsewhere = Tree::listening_at("192.0.2.1:80".parse().unwrap()).unwrap_err();
        assert!(elsewhere.to_string().contains("not an address of this machine"), "{elsewhere}");
    }

    #[test]
    fn the_time_of_a_child_that_has_ended_still_counts() {
        let tree = Tree::of(std::process::id());
        let before = tree.cpu_time().unwrap();
        let script = "i=0; while [ $i -lt 60000 ]; do i=$((i+1)); done";
        assert!(std::process::Command::new("sh").args(["-c", script]).status().unwrap().success());
        assert!(tree.cpu_time().unwrap() > before);
    }
}
