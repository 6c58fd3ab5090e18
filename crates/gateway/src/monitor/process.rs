//! What this process and its children take of the machine, by /proc; on other systems than Linux nothing is known.

use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::proxy::Gateway;
use crate::upstream::ReplicaName;

/// How often the system is asked: what it tells is text, and children have children, which are found one by one.
const SAMPLES_EVERY: Duration = Duration::from_secs(5);
/// Processes of one child that are counted.
#[cfg(target_os = "linux")]
const MOST_OF_A_CHILD: usize = 64;

/// What this process takes.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Process {
    /// Resident memory, bytes.
    pub rss_bytes: u64,
    /// CPU time since its start.
    pub cpu: Duration,
    /// CPU over the last seconds, percent of one core; `None` before the second sample.
    pub cpu_percent: Option<f64>,
    /// Its threads.
    pub threads: u64,
    /// Its open files, sockets among them.
    pub open_files: Option<u64>,
    /// Most open files that it may have; `None`: as many as it likes, or unknown.
    pub max_open_files: Option<u64>,
}

/// What a child takes, with the processes that it has started itself.
#[derive(Debug, Clone, PartialEq)]
pub struct Child {
    /// Its replica.
    pub replica: Arc<ReplicaName>,
    /// The process that we started.
    pub pid: u32,
    /// Resident memory of all its processes, bytes; `None` where the system does not tell.
    pub rss_bytes: Option<u64>,
    /// CPU time since its start.
    pub cpu: Option<Duration>,
    /// CPU over the last [`SAMPLES_EVERY`], percent of one core.
    pub cpu_percent: Option<f64>,
    /// How long it runs.
    pub uptime: Option<Duration>,
}

#[derive(Debug, Default)]
pub(super) struct Processes {
    own: Option<Process>,
    children: Vec<Child>,
    sampled_at: Option<Instant>,
    /// CPU time of all children that a replica has had. Of one that ends it is known until the last look.
    spent: Vec<(Arc<ReplicaName>, Duration)>,
}

/// What one look at some processes tells.
#[derive(Debug, Clone, Copy)]
struct Sample {
    rss_bytes: u64,
    cpu: Duration,
    uptime: Option<Duration>,
    threads: u64,
    open_files: Option<u64>,
}

fn percent(now: Duration, before: Option<Duration>, passed: Option<Duration>) -> Option<f64> {
    let passed = passed.filter(|passed| !passed.is_zero())?;
    Some(100.0 * now.saturating_sub(before?).as_secs_f64() / passed.as_secs_f64())
}

impl Processes {
    pub(super) fn sample(&mut self, now: Instant, gateway: &Gateway) {
        let passed = self.sampled_at.map(|at| now.saturating_duration_since(at));
        let due = passed.is_none_or(|passed| passed >= SAMPLES_EVERY);
        if due {
            self.own = system::own().map(|sample| Process {
                rss_bytes: sample.rss_bytes,
                cpu: sample.cpu,
                cpu_percent: percent(sample.cpu, self.own.map(|own| own.cpu), passed),
                threads: sample.threads,
                open_files: sample.open_files,
                max_open_files: max_open_files(),
            });
            self.sampled_at = Some(now);
        }
        let before = std::mem::take(&mut self.children);
        for upstream in gateway.upstreams().iter() {
            for (replica, pid) in upstream.children() {
                let known = before.iter().find(|known| known.pid == pid);
                if let Some(known) = known.filter(|_| !due) {
                    self.children.push(known.clone());
                    continue;
                }
                let sample = system::child(pid);
                let cpu = sample.map(|sample| sample.cpu);
                if let Some(cpu) = cpu {
                    let before = known.and_then(|known| known.cpu).unwrap_or_default();
                    self.spend(&replica, cpu.saturating_sub(before));
                }
                self.children.push(Child {
                    replica,
                    pid,
                    rss_bytes: sample.map(|sample| sample.rss_bytes),
                    cpu,
                    cpu_percent: cpu.and_then(|cpu| percent(cpu, known.and_then(|known| known.cpu), passed)),
                    uptime: sample.and_then(|sample| sample.uptime),
                });
            }
        }
        if due {
            let upstreams = gateway.upstreams();
            self.spent.retain(|(of, _)| {
                upstreams.iter().any(|upstream| upstream.recorded().any(|(name, _)| name == *of))
            });
        }
    }

    fn spend(&mut self, replica: &Arc<ReplicaName>, cpu: Duration) {
        match self.spent.iter_mut().find(|(of, _)| of == replica) {
            Some((_, spent)) => *spent += cpu,
            None => self.spent.push((Arc::clone(replica), cpu)),
        }
    }

    pub(super) fn own(&self) -> Option<Process> {
        self.own
    }

    pub(super) fn children(&self) -> Vec<Child> {
        self.children.clone()
    }

    pub(super) fn child_cpu(&self) -> Vec<(Arc<ReplicaName>, Duration)> {
        self.spent.clone()
    }
}

#[cfg(unix)]
fn max_open_files() -> Option<u64> {
    rustix::process::getrlimit(rustix::process::Resource::Nofile).current
}

#[cfg(not(unix))]
fn max_open_files() -> Option<u64> {
    None
}

#[cfg(target_os = "linux")]
mod system {
    use procfs::process::{Process, Stat};
    use procfs::{Current, Uptime};

    use super::{Duration, MOST_OF_A_CHILD, Sample};

    fn ticks(ticks: u64) -> Duration {
        Duration::from_secs_f64(ticks as f64 / procfs::ticks_per_second() as f64)
    }

    /// CPU time of a process and of those of its children that have ended.
    fn cpu(stat: &Stat) -> Duration {
        let ended = stat.cutime.saturating_add(stat.cstime);
        ticks(stat.utime + stat.stime + u64::try_from(ended).unwrap_or_default())
    }

    fn rss(stat: &Stat) -> u64 {
        stat.rss * procfs::page_size()
    }

    pub(super) fn own() -> Option<Sample> {
        let own = Process::myself().ok()?;
        let stat = own.stat().ok()?;
        Some(Sample {
            rss_bytes: rss(&stat),
            // Children that have ended are not us.
            cpu: ticks(stat.utime + stat.stime),
            uptime: None,
            threads: u64::try_from(stat.num_threads).unwrap_or_default(),
            open_files: own.fd_count().ok().map(|count| count as u64),
        })
    }

    /// A process and all that it has started, directly or not.
    pub(super) fn child(pid: u32) -> Option<Sample> {
        let first = stat_of(pid)?;
        let started = ticks(first.starttime);
        let up = Uptime::current().ok().map(|up| up.uptime_duration());
        let mut sample = Sample {
            rss_bytes: 0,
            cpu: Duration::ZERO,
            uptime: up.map(|up| up.saturating_sub(started)),
            threads: 0,
            open_files: None,
        };
        let mut left = vec![pid];
        let mut seen = 0;
        while let Some(pid) = left.pop() {
            let Some(stat) = stat_of(pid) else { continue };
            sample.rss_bytes += rss(&stat);
            sample.cpu += cpu(&stat);
            sample.threads += u64::try_from(stat.num_threads).unwrap_or_default();
            seen += 1;
            if seen == MOST_OF_A_CHILD {
                break;
            }
            left.extend(children_of(pid));
        }
        Some(sample)
    }

    fn stat_of(pid: u32) -> Option<Stat> {
        Process::new(i32::try_from(pid).ok()?).ok()?.stat().ok()
    }

    fn children_of(pid: u32) -> Vec<u32> {
        let Some(process) = i32::try_from(pid).ok().and_then(|pid| Process::new(pid).ok()) else {
            return Vec::new();
        };
        let Ok(tasks) = process.tasks() else { return Vec::new() };
        // Each thread has the processes that it has started itself.
        tasks.flatten().filter_map(|task| task.children().ok()).flatten().collect()
    }

    #[cfg(test)]
    mod tests {
        use super::*;

        #[test]
        fn this_process_has_memory_time_and_threads() {
            let own = own().unwrap();
            assert!(own.rss_bytes > 100_000 && own.threads >= 1 && own.open_files.unwrap() >= 3, "{own:?}");
        }
    }
}

#[cfg(not(target_os = "linux"))]
mod system {
    use super::Sample;

    pub(super) fn own() -> Option<Sample> {
        None
    }

    pub(super) fn child(_pid: u32) -> Option<Sample> {
        None
    }
}
