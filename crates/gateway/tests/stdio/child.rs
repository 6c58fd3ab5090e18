//! A server whose one tool call behaves as the tool's name says.

use std::io::{self, BufRead as _, Write as _};
use std::thread::sleep;
use std::time::Duration;

use aqe_core::envelope::{Field, Limits, Message};
use rustix::process::{Signal, getpid, kill_process};

pub const ARGUMENT: &str = "__child";

const MIB: usize = 1024 * 1024;

fn say(bytes: impl AsRef<[u8]>) {
    let mut out = io::stdout().lock();
    // The gateway may have gone; the end of stdin tells.
    let _ = out.write_all(bytes.as_ref()).and_then(|()| out.flush());
}

fn line(text: impl AsRef<[u8]>) {
    say([text.as_ref(), b"\n"].concat());
}

fn answer(id: &str, result: &str) -> String {
    format!(r#"{{"jsonrpc":"2.0","id":{id},"result":{result}}}"#)
}

fn nested(depth: usize) -> String {
    // The envelope and the result are two levels.
    format!(r#"{{"x":{}{}}}"#, "[".repeat(depth - 2), "]".repeat(depth - 2))
}

fn forever() -> ! {
    loop {
        sleep(Duration::from_secs(1_000));
    }
}

pub fn run() {
    let mut held = Vec::new();
    let mut cancelled = Vec::new();
    for input in io::stdin().lock().lines() {
        let Ok(message) = Message::parse(input.unwrap().into(), Limits::default()) else { continue };
        if message.method() == "notifications/cancelled" {
            cancelled.push(message.raw(Field::RequestId).unwrap().to_owned());
        }
        let Some(id) = message.id() else { continue };
        let count = || message.raw(Field::Arguments).unwrap().parse::<u32>().unwrap();
        match message.string(Field::Name).unwrap_or_default().as_ref() {
            "echo" => line(answer(id, message.raw(Field::Arguments).unwrap())),
            "hold" => held.push(id.to_owned()),
            "release" => {
                held.push(id.to_owned());
                let lines = held.drain(..).rev().map(|id| answer(&id, &format!(r#"{{"id":{id}}}"#)) + "\n");
                say(lines.collect::<String>());
            }
            "cancelled" => line(answer(id, &format!(r#"{{"ids":[{}]}}"#, cancelled.join(",")))),
            "progress" => {
                let step = |step| {
                    format!(
                        r#"{{"jsonrpc":"2.0","method":"notifications/progress","params":{{"progressToken":{id},"progress":{step}}}}}"#
                    ) + "\n"
                };
                say((0..count()).map(step).collect::<String>() + &answer(id, "{}") + "\n");
            }
            "flood stderr" => {
                let block =
                    "a line of a flood on standard error, sixty-four bytes in all.....\n".repeat(1_000);
                for _ in 0..count() {
                    io::stderr().write_all(block.as_bytes()).unwrap();
                }
                line(answer(id, "{}"));
            }
            mode => misbehave(mode, id),
        }
    }
}

fn misbehave(mode: &str, id: &str) {
    let good = answer(id, r#"{"ok":true}"#);
    match mode {
        "line over 16 MiB" => line(answer(id, &format!(r#"{{"x":"{}"}}"#, "x".repeat(16 * MIB)))),
        "line of 100 MB" => line(answer(id, &format!(r#"{{"x":"{}"}}"#, "x".repeat(100 * MIB)))),
        "depth 200" => line(answer(id, &nested(200))),
        "depth 100" => line(answer(id, &nested(100))),
        "invalid UTF-8" => line([good.replace("true", "\"").as_bytes(), b"\xff\"}}"].concat()),
        "unknown id" => line(answer("4711", "{}")),
        "result and error" => {
            line(good.replace("\"result\"", r#""error":{"code":1,"message":"x"},"result""#));
        }
        "neither result nor error" => line(format!(r#"{{"jsonrpc":"2.0","id":{id}}}"#)),
        "NaN" => line(answer(id, r#"{"x":NaN}"#)),
        "duplicate id member" => line(good.replace("\"result\"", r#""id":1,"result""#)),
        "batch" => line(format!("[{good}]")),
        "never" => {}
        "log lines" => line(format!("Server ready\n[info] calling\n{{\"level\":30}}\n\n{good}")),
        "junk" => line([b"\xff\xfe\x00junk\n", good.as_bytes()].concat()),
        "15 MiB" => line(answer(id, &format!(r#"{{"x":"{}"}}"#, "x".repeat(15 * MIB)))),
        "id as a string" => line(answer(&format!("\"{id}\""), "{}")),
        "two answers" => line(format!("{good}\n{good}")),
        "CRLF" => say(format!("{good}\r\n")),
        "byte order mark" => line(format!("\u{feff}{good}")),
        "byte by byte" => good.bytes().chain(*b"\n").for_each(|byte| say([byte])),
        "result is text" => line(answer(id, "\"text\"")),
        "odd result" => line(answer(id, r#"{"content":7}"#)),
        "exit" => {
            eprintln!("\u{1b}[31mfatal:\u{1b}[0m no configuration");
            std::process::exit(3);
        }
        "killed" => kill_process(getpid(), Signal::KILL).unwrap(),
        "half a line, then exit" => {
            say(&good[..good.len() - 5]);
            std::process::exit(0);
        }
        "last answer, then exit" => {
            line(good);
            std::process::exit(0);
        }
        "answer without a line end, then exit" => {
            say(good);
            std::process::exit(0);
        }
        "close stdout" => {
            rustix::stdio::dup2_stdout(std::fs::File::open("/dev/null").unwrap()).unwrap();
            forever();
        }
        "stop reading" => forever(),
        // The answers go where nobody reads them, until the pipe is full.
        "write without end" => loop {
            line("noise ".repeat(100));
        },
        other => line(format!(
            r#"{{"jsonrpc":"2.0","id":{id},"error":{{"code":-32602,"message":"no mode {other}"}}}}"#
        )),
    }
}
