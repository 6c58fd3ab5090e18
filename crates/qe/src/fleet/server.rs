//! Which server holds an attempt, and whether it is still there.

use std::fs;

/// Names this process so that others on the same machine can tell whether it lives: boot, namespace of process numbers, number,
/// start time. Without a `/proc` all but the number are empty, and nobody is taken for dead; leases run out all the same.
pub(crate) fn own_id() -> String {
    let pid = std::process::id();
    format!("{}-{}-{pid}-{}", boot(), namespace(), start_time(pid).unwrap_or_default())
}

/// Whether the server of that name is certainly dead.
pub(crate) fn is_dead(server: &str) -> bool {
    let parts: Vec<&str> = server.split('-').collect();
    let [boot_then, namespace_then, pid, started] = parts[..] else { return false };
    let (boot, namespace) = (boot(), namespace());
    if boot.is_empty() || boot_then.is_empty() || started.is_empty() {
        return false;
    }
    if boot != boot_then {
        // Another boot of this machine, or another machine: which, nobody can say.
        return false;
    }
    // The numbers of another namespace mean nothing here.
    namespace == namespace_then
        && pid.parse().is_ok_and(|pid: u32| start_time(pid).is_none_or(|now| now != started))
}

/// Whether the server of that name keeps no agents any more: it is dead, or was of an earlier boot. Two machines do not share
/// a store, so another boot is an earlier one of this machine.
pub(crate) fn is_gone(server: &str) -> bool {
    let boot = boot();
    let is_of_another_boot = server.split('-').next().is_some_and(|then| !then.is_empty() && then != boot);
    is_dead(server) || (is_of_another_boot && !boot.is_empty())
}

/// What the store calls the agents of a server.
pub(crate) fn worker(server: &str) -> String {
    format!("fleet@{server}")
}

/// The server in such a name.
pub(crate) fn server_of(worker: &str) -> Option<&str> {
    worker.split_once('@').map(|(_, server)| server)
}

fn boot() -> String {
    let id = fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default();
    id.chars().filter(char::is_ascii_hexdigit).take(12).collect()
}

fn namespace() -> String {
    let link = fs::read_link("/proc/self/ns/pid").unwrap_or_default();
    link.to_string_lossy().chars().filter(char::is_ascii_digit).collect()
}

/// When a process was started, in ticks since boot (field 22 of proc_pid_stat(5)); `None`: there is none, or it is a zombie.
fn start_time(pid: u32) -> Option<String> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The name in parentheses may hold anything, so count from behind it: the next field is the third, the state.
    let mut fields = stat[stat.rfind(')')? + 1..].split_whitespace();
    if matches!(fields.next(), Some("Z" | "X")) {
        return None;
    }
    fields.nth(22 - 4).map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_server_of_this_boot_whose_process_is_gone_is_dead() {
        let own = own_id();
        assert!(!is_dead(&own) && own.len() < 100, "{own}");
        assert_eq!(server_of(&worker(&own)), Some(own.as_str()));
        let mut child = std::process::Command::new("true").spawn().unwrap();
        let (pid, parts) = (child.id(), own.split('-').collect::<Vec<_>>());
        let other = format!("{}-{}-{pid}-{}", parts[0], parts[1], start_time(pid).unwrap_or("1".into()));
        child.wait().unwrap();
        assert!(is_dead(&other), "{other}");
        assert!(!is_dead(&other.replacen(parts[0], "0123456789ab", 1)), "another machine");
        assert!(!is_dead(&other.replacen(parts[1], "1", 1)), "another namespace");
        assert!(!is_gone(&own) && is_gone(&other));
        assert!(is_gone(&own.replacen(parts[0], "0123456789ab", 1)), "an earlier boot");
        assert!(!is_dead("") && !is_dead("x"));
    }
}
