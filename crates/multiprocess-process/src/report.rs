//! What a panic in a child says: on the child's standard error at once, and to whoever joins it.
//!
//! The report is sent by whoever has caught the panic. In a program whose panics abort nobody catches one, and the process is about
//! to end, whichever thread it was: so there the hook sends it.

use crate::current;
use crate::protocol::PANICKED;
use multiprocess_parcel::{PanicReport, pack_data};
use multiprocess_sys::Error;
use multiprocess_sys::transport::Socket;
use std::any::Any;
use std::backtrace::{Backtrace, BacktraceStatus};
use std::cell::RefCell;
use std::io::Write;
use std::panic::PanicHookInfo;

thread_local! {
    /// Where the latest panic of this thread happened.
    static LATEST: RefCell<Option<(String, Option<String>)>> = const { RefCell::new(None) };
}

/// Has panics printed with the name of the process, and those that abort reported on `socket`. A program may set a hook of its own
/// afterwards.
pub(crate) fn install(socket: &'static Socket) {
    std::panic::set_hook(Box::new(move |info| {
        print(info);
        #[cfg(feature = "tracing")]
        crate::logs::report_panic(info.location(), &message(info.payload()));
        if cfg!(panic = "abort") {
            // If nobody listens, the process ends all the same.
            let _ = send(socket, &of(info.payload()));
        }
    }));
}

/// Tells whoever joins this process.
pub(crate) fn send(socket: &Socket, report: &PanicReport) -> Result<(), Error> {
    pack_data(report, "a report").and_then(|bytes| socket.send(PANICKED, &[&bytes], &[]))
}

fn print(info: &PanicHookInfo<'_>) {
    let place = info.location().map_or_else(|| "an unknown place".to_owned(), ToString::to_string);
    let backtrace = Backtrace::capture();
    let backtrace = (backtrace.status() == BacktraceStatus::Captured).then(|| shown(&backtrace.to_string()));
    let thread = std::thread::current();
    let thread = thread.name().map(|name| format!(", thread '{name}'")).unwrap_or_default();
    let current = current();
    let mut text = format!("\nprocess '{}' ({}){thread} panicked at {place}:\n", current.name(), current.pid());
    text.push_str(&message(info.payload()));
    text.push('\n');
    match &backtrace {
        Some(backtrace) => text.push_str(backtrace),
        None => text.push_str("note: run with `RUST_BACKTRACE=1` in the environment to see a backtrace\n"),
    }
    // One write, so that the words of several processes do not mix; a closed standard error is no reason to fail twice.
    let _ = std::io::stderr().write_all(text.as_bytes());
    LATEST.set(Some((place, backtrace)));
}

/// Who calls functions: std, and a child, and a worker of a pool.
const CALLERS: [&str; 2] = ["__rust_begin_short_backtrace", "multiprocess_process::task::run"];

/// As much of a backtrace as std's own reports show: the frames between those of the panic itself and those that called the
/// function. All of them with `RUST_BACKTRACE=full`.
fn shown(backtrace: &str) -> String {
    if std::env::var_os("RUST_BACKTRACE").is_some_and(|setting| setting == "full") {
        return backtrace.to_owned();
    }
    // A frame begins with its number; what follows it is its place.
    let is_frame = |line: &str| line.trim_start().trim_start_matches(|c: char| c.is_ascii_digit()).starts_with(": ");
    let lines: Vec<&str> = backtrace.lines().collect();
    let frame = |from: usize, names: &[&str]| {
        (from..lines.len()).find(|n| is_frame(lines[*n]) && names.iter().any(|name| lines[*n].contains(name)))
    };
    let last_of_panic = frame(0, &["__rust_end_short_backtrace"]);
    let begin = last_of_panic.and_then(|n| frame(n + 1, &[""])).unwrap_or(0);
    let end = frame(begin, &CALLERS).unwrap_or(lines.len());
    lines[begin..end].iter().flat_map(|line| [line, "\n"]).collect()
}

/// The report of a panic of this thread that was caught just now.
pub(crate) fn of(payload: &(dyn Any + Send)) -> PanicReport {
    let (place, backtrace) = LATEST.take().unzip();
    PanicReport::new(message(payload), place, backtrace.flatten(), current().name().to_owned())
}

fn message(payload: &(dyn Any + Send)) -> String {
    let text = payload.downcast_ref::<&str>().copied();
    let text = text.or_else(|| payload.downcast_ref::<String>().map(String::as_str));
    text.unwrap_or("a panic whose payload is no text").to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_around_the_users_are_left_out() {
        let whole = "   0: print\n   1: std::__rust_end_short_backtrace::<F>\n             at /std:1\n   2: users\n             at \
                     ./users.rs:7: 8\n  10: x::__rust_begin_short_backtrace\n  11: main\n";
        assert_eq!(shown(whole), "   2: users\n             at ./users.rs:7: 8\n");
        assert_eq!(shown("   0: a\n   1: b\n"), "   0: a\n   1: b\n");
        assert_eq!(shown(""), "");
    }
}
