//! What the examples about messages must print.

/// The lines of one process, in their order.
fn lines_of<'a>(lines: &[&'a str], process: &str) -> Vec<&'a str> {
    lines.iter().filter_map(|line| line.strip_prefix(process)).collect()
}

pub fn check_pipe(lines: &[&str]) {
    assert_eq!(
        lines,
        ["parent: 20 + 22 = 42", "parent: epip", "parent: more to receive: false", "child: the other end is closed"]
    );
}

pub fn check_pass_a_file(lines: &[&str]) {
    assert_eq!(lines, ["file: written by the child", "socket: hello from the child", "counter: 42"]);
}

/// Two programs print, each in its own order.
pub fn check_listener_server(lines: &[&str]) {
    assert_eq!(
        lines_of(lines, "server: "),
        [
            "listening",
            "refused a client: true",
            "accepted a client",
            "adding 3 numbers",
            "adding 0 numbers",
            "the client has ended",
            "the path is free again: true",
        ]
    );
    assert_eq!(lines_of(lines, "client: "), ["refused: true", "the sum is 42", "the sum is 0"]);
    assert_eq!(lines.len(), 10, "nobody else prints: {lines:?}");
}

/// Alone it has nobody to talk to; with the server it is checked above.
pub fn check_listener_client(lines: &[&str]) {
    assert_eq!(lines, ["client: give me the path that listener_server listens at"]);
}
