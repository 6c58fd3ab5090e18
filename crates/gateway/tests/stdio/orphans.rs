//! Nothing survives a gateway that is killed.

use std::io::{BufRead as _, BufReader, Write as _};
use std::process::{Command, Stdio};

use aqe_gateway::upstream::{RUN_TAG, guardian, run_id};
use libtest_mimic::Trial;
use rustix::process::{Pid, Signal, kill_process};

use super::support::{AT_ONCE, processes_with, shell, start, start_child, trial, until};

pub const ARGUMENT: &str = "__gateway";

pub fn trials() -> Vec<Trial> {
    vec![
        trial("orphans::a_killed_gateway_leaves_no_process", || killed(false)),
        trial("orphans::a_gateway_whose_guardian_died_gets_a_new_one", || killed(true)),
        trial("orphans::a_killed_gateway_takes_its_direct_children_along_even_without_a_guardian", unguarded),
        trial("orphans::a_gateway_that_ends_well_takes_its_guardian_with_it", ended),
    ]
}

/// What a child, a child's child, and one that has left the group and the session look like.
const FAMILY: &str = "trap '' HUP TERM; sleep 1000 & setsid sleep 1000 & while :; do sleep 1; done";

/// The gateway that is killed: says its run id and waits; with a line on stdin it starts one more child, at the end
/// of stdin it shuts down.
pub fn run_gateway() -> ! {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    runtime.block_on(async {
        let mut upstreams = vec![start_child().await, start("family", &shell(FAMILY)).await];
        println!("{}", run_id());
        for _ in std::io::stdin().lines() {
            upstreams.push(start("family", &shell(FAMILY)).await);
        }
        for upstream in upstreams {
            aqe_gateway::upstream::Connection::close(&*upstream.connection, "shutdown").await;
        }
    });
    guardian::dismiss();
    std::process::exit(0)
}

struct Gateway {
    process: std::process::Child,
    run: String,
}

impl Gateway {
    fn start() -> Self {
        let mut process = Command::new(std::env::current_exe().unwrap())
            .arg(ARGUMENT)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut run = String::new();
        BufReader::new(process.stdout.take().unwrap()).read_line(&mut run).unwrap();
        Self { process, run: run.trim().to_owned() }
    }

    fn children(&self) -> Vec<u32> {
        processes_with("environ", &format!("{RUN_TAG}={}", self.run))
    }

    fn guardians(&self) -> Vec<u32> {
        processes_with("cmdline", &format!("{}\0{}", guardian::ARGUMENT, self.run))
    }
}

async fn killed(guardian_first: bool) {
    let mut gateway = Gateway::start();
    // One child, and a shell with its three.
    until(AT_ONCE, "all are there", || gateway.children().len() >= 5).await;
    until(AT_ONCE, "the guardian is there", || gateway.guardians().len() == 1).await;
    if guardian_first {
        kill(gateway.guardians()[0]);
        until(AT_ONCE, "the guardian is gone", || gateway.guardians().is_empty()).await;
        gateway.process.stdin.as_mut().unwrap().write_all(b"more\n").unwrap();
        until(AT_ONCE, "more are there", || gateway.children().len() >= 9).await;
        until(AT_ONCE, "another guardian is there", || gateway.guardians().len() == 1).await;
    }
    gateway.process.kill().unwrap();
    gateway.process.wait().unwrap();
    until(AT_ONCE, "all are gone", || gateway.children().is_empty()).await;
    until(AT_ONCE, "the guardian is gone", || gateway.guardians().is_empty()).await;
}

async fn unguarded() {
    let mut gateway = Gateway::start();
    until(AT_ONCE, "all are there", || gateway.children().len() >= 5).await;
    until(AT_ONCE, "the guardian is there", || gateway.guardians().len() == 1).await;
    kill(gateway.guardians()[0]);
    gateway.process.kill().unwrap();
    gateway.process.wait().unwrap();
    // What a child has started itself survives here; the loop of the shell ends with the shell.
    let direct = || {
        let children = gateway.children();
        let is = |text| processes_with("cmdline", text).iter().any(|pid| children.contains(pid));
        is(super::child::ARGUMENT) || is(FAMILY)
    };
    until(AT_ONCE, "the direct children are gone", || !direct()).await;
    sweep(&gateway).await;
}

async fn ended() {
    let mut gateway = Gateway::start();
    until(AT_ONCE, "all are there", || gateway.children().len() >= 5).await;
    drop(gateway.process.stdin.take());
    assert!(gateway.process.wait().unwrap().success());
    until(AT_ONCE, "the guardian is gone", || gateway.guardians().is_empty()).await;
    // What deliberately left its group outlives an orderly end, as it would without us.
    sweep(&gateway).await;
}

fn kill(pid: u32) {
    // It may have ended by itself.
    let _ = kill_process(Pid::from_raw(pid.cast_signed()).unwrap(), Signal::KILL);
}

/// Cleans up what a test has left on purpose.
async fn sweep(gateway: &Gateway) {
    gateway.children().into_iter().for_each(kill);
    until(AT_ONCE, "all are gone", || gateway.children().is_empty()).await;
}
