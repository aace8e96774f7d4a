//! Messages of every size and with many handles, full sockets, ends, and damage.

use super::*;

fn message(socket: &Socket) -> Message {
    match socket.receive().unwrap() {
        Received::Message(message) => message,
        other => panic!("{other:?}"),
    }
}

#[test]
fn bodies_of_every_size_arrive() {
    let (a, b) = Socket::pair().unwrap();
    for length in [0, 1, INLINE_MAX - 1, INLINE_MAX, INLINE_MAX + 1, 3 << 20] {
        let body: Vec<u8> = (0..length).map(|i| i as u8).collect();
        let (left, right) = body.split_at(length / 3);
        a.send(5, &[left, right], &[]).unwrap();
        assert_eq!(message(&b).body, body);
    }
}

#[test]
fn bodies_of_middling_size_fill_no_socket() {
    let (a, b) = Socket::pair().unwrap();
    for length in [INLINE_MAX + 1, BULK_MAX, BULK_MAX + 1, 1] {
        let mut sent = 0;
        while a.send_bulk_until(5, &[&vec![7; length]], &[], Deadline::now()).unwrap() {
            sent += 1;
        }
        assert!(sent > 50, "{sent} of {length} bytes");
        for _ in 0..sent {
            let Received::Message(message) = b.receive_bulk_until(Deadline::now()).unwrap() else { panic!() };
            assert_eq!(message.body, vec![7; length]);
        }
    }
}

#[test]
fn more_handles_than_a_packet_takes_arrive_in_order() {
    let (a, b) = Socket::pair().unwrap();
    let (reader, writer) = std::io::pipe().unwrap();
    for count in [0, 1, 8, 9, 252, 253, 254, 600] {
        let handles: Vec<_> = (0..count).map(|i| if i % 2 == 0 { reader.as_fd() } else { writer.as_fd() }).collect();
        a.send(1, &[b"x"], &handles).unwrap();
        let got = message(&b).handles;
        assert_eq!(got.len(), count);
        for (sent, got) in handles.iter().zip(&got) {
            assert_eq!(rustix::fs::fstat(sent).unwrap().st_ino, rustix::fs::fstat(got).unwrap().st_ino);
        }
    }
}

#[test]
fn the_end_is_noticed_after_what_was_sent() {
    let (a, b) = Socket::pair().unwrap();
    assert!(matches!(b.try_receive().unwrap(), Received::Nothing));
    a.send(1, &[b"last"], &[]).unwrap();
    drop(a);
    assert_eq!(message(&b).body, b"last");
    assert!(matches!(b.receive().unwrap(), Received::End));
    assert_eq!(b.send(1, &[b"x"], &[]).unwrap_err().kind(), ErrorKind::Disconnected);
}

#[test]
fn a_full_socket_makes_nobody_wait_who_does_not_want_to() {
    let (a, b) = Socket::pair().unwrap();
    let (reader, _writer) = std::io::pipe().unwrap();
    let mut sent = 0;
    while a.send_until(1, &[b"x"], &[], Deadline::now()).unwrap() {
        sent += 1;
    }
    let many = vec![reader.as_fd(); 600];
    assert!(!a.send_until(1, &[], &many, Deadline::now()).unwrap(), "all or nothing");
    assert!(!a.send_until(1, &[&[0; 1 << 20]], &[], Deadline::after(Duration::from_millis(2))).unwrap());
    for _ in 0..sent {
        assert_eq!(message(&b).handles.len(), 0);
    }
    assert!(matches!(b.receive_until(Deadline::after(Duration::from_millis(2))).unwrap(), Received::Nothing));
    assert!(a.send_until(1, &[&[7; 1 << 20]], &many, Deadline::now()).unwrap());
    let Received::Message(message) = b.try_receive().unwrap() else { panic!() };
    assert_eq!((message.body.len(), message.handles.len()), (1 << 20, 600));
}

#[test]
fn foreign_packets_are_damage() {
    let (a, b) = Socket::pair().unwrap();
    let mut wrong = header(1, 4, 0, 0).to_vec();
    wrong.extend_from_slice(b"12345");
    let mut memory_missing = header(1, 4, 0, IN_MEMORY).to_vec();
    memory_missing.push(0);
    let many = header(1, 0, u32::MAX, 0).to_vec();
    let bundles_missing = header(1, 0, 3, IN_BUNDLES).to_vec();
    let foreign = [b"short".to_vec(), vec![0; HEADER], vec![0xff; 100], vec![7; 20_000]];
    for packet in foreign.into_iter().chain([wrong, memory_missing, many, bundles_missing]) {
        a.send_packet(&[IoSlice::new(&packet)], &[], Deadline::NEVER).unwrap();
        assert_eq!(b.receive().unwrap_err().kind(), ErrorKind::Damaged, "{packet:?}");
    }
    a.send_packet(&[IoSlice::new(&header(1, 0, 3, 0))], &[std::io::stdin().as_fd()], Deadline::NEVER).unwrap();
    drop(a);
    assert_eq!(b.receive().unwrap_err().kind(), ErrorKind::Damaged);
}
