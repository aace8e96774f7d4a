//! What a message can be, and what becomes of one that cannot be.

use multiprocess_channel::{ErrorKind, Queue, Receiver, RecvError, Sender, TryRecvError, bounded};
use multiprocess_parcel::{pack, unpack};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fmt::Debug;
use std::time::{Duration, Instant};

/// The same channel with messages of another type on the other side.
fn transmuted<T, U>(capacity: usize) -> (Sender<T>, Receiver<U>) {
    let (tx, rx) = bounded::<T>(capacity).unwrap();
    (tx, unpack(pack(&rx).unwrap()).unwrap())
}

fn there_and_back<T: Serialize + for<'de> Deserialize<'de> + PartialEq + Debug + Clone>(value: T) {
    let (tx, rx) = bounded(2).unwrap();
    for _ in 0..5 {
        tx.send(value.clone()).unwrap();
        tx.try_send(value.clone()).unwrap();
        assert_eq!(rx.recv().unwrap(), value);
        assert_eq!(rx.try_recv().unwrap(), value);
    }
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
enum Job {
    Stop,
    Resize { path: String, to: (u32, u32) },
    Raw(Vec<u8>),
}

#[test]
fn any_data_travels() {
    there_and_back(());
    there_and_back(7u64);
    there_and_back("text".to_owned());
    there_and_back(String::new());
    there_and_back(Some(vec![(1u8, 'x'), (2, 'y')]));
    there_and_back(Job::Stop);
    there_and_back(Job::Resize { path: "a/b".to_owned(), to: (640, 480) });
    there_and_back(Job::Raw(vec![9; 5000]));
    there_and_back((0..100).map(|n| (n, n.to_string())).collect::<BTreeMap<u32, String>>());
}

#[test]
fn any_length_travels_as_bytes_and_otherwise() {
    for length in (0..300).chain([1000, 4095, 4096, 4097, 65_535, 65_536, 1 << 20, (1 << 20) + 1, 5_000_000]) {
        let bytes: Vec<u8> = (0..length).map(|i| (i % 251) as u8).collect();
        there_and_back(bytes.clone());
        if length < 1 << 21 {
            there_and_back((bytes, 1u8));
        }
    }
}

#[test]
fn bytes_mean_the_same_as_other_parcels() {
    let (tx, rx) = transmuted::<Vec<u8>, (Vec<u8>,)>(1);
    tx.send(vec![1, 2, 3]).unwrap();
    assert_eq!(rx.recv().unwrap().0, [1, 2, 3]);
    let (tx, rx) = transmuted::<(Vec<u8>,), Vec<u8>>(1);
    tx.send((vec![4; 200],)).unwrap();
    assert_eq!(rx.recv().unwrap(), [4; 200]);
}

#[test]
fn a_message_of_another_type_is_lost_and_the_channel_goes_on() {
    let (tx, rx) = transmuted::<(u8, u8), bool>(4);
    tx.send((7, 7)).unwrap();
    tx.send((1, 0)).unwrap();
    let Err(RecvError::Failed(error)) = rx.recv() else { panic!("two bytes are no truth value") };
    assert_eq!(error.kind(), ErrorKind::Decode);
    assert!(error.to_string().contains("receiving from a channel of `bool`"), "{error}");
    assert!(matches!(rx.try_recv(), Err(TryRecvError::Failed(_))));
    assert!(matches!(rx.try_recv(), Err(TryRecvError::Empty)));

    let (tx, rx) = transmuted::<u64, Vec<u8>>(4);
    for number in [0, 1, 3, u64::MAX] {
        tx.send(number).unwrap();
    }
    drop(tx);
    assert_eq!(rx.into_iter().collect::<Vec<_>>(), [Vec::<u8>::new()]);
}

#[test]
fn a_value_that_cannot_be_encoded_comes_back() {
    #[derive(Debug, Serialize, Deserialize)]
    struct Skipping(#[serde(serialize_with = "fails")] u8);
    fn fails<S: serde::Serializer>(_: &u8, _: S) -> Result<S::Ok, S::Error> {
        Err(serde::ser::Error::custom("no way"))
    }
    let (tx, rx) = bounded::<Skipping>(1).unwrap();
    let error = tx.send(Skipping(7)).unwrap_err();
    assert!(error.to_string().contains("no way") && error.to_string().contains("Skipping"), "{error}");
    assert_eq!(error.into_inner().0, 7);
    assert!(tx.try_send(Skipping(8)).is_err() && rx.is_empty());
}

#[test]
fn a_value_may_send_another_while_it_is_encoded() {
    struct Chatty(Sender<u32>);
    impl Serialize for Chatty {
        fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
            self.0.send(1).map_err(serde::ser::Error::custom)?;
            2u32.serialize(serializer)
        }
    }
    let (inner, inside) = bounded(1).unwrap();
    let (tx, rx) = transmuted::<Chatty, u32>(1);
    tx.send(Chatty(inner)).unwrap();
    assert_eq!((inside.recv().unwrap(), rx.recv().unwrap()), (1, 2));
}

#[test]
fn time_limits_hold() {
    let (tx, rx) = bounded::<u32>(1).unwrap();
    let limit = Duration::from_millis(30);
    let start = Instant::now();
    assert!(rx.recv_timeout(limit).unwrap_err().is_timeout());
    assert!(rx.recv_deadline(start + 2 * limit).unwrap_err().is_timeout());
    tx.send(1).unwrap();
    assert!(tx.send_timeout(2, limit).unwrap_err().is_timeout());
    let error = tx.send_deadline(2, start + 4 * limit).unwrap_err();
    assert_eq!(error.into_inner(), 2);
    assert!(start.elapsed() >= 4 * limit);
    assert_eq!(rx.recv_timeout(Duration::MAX).unwrap(), 1);
}

#[test]
fn handles_show_their_state_whatever_they_carry() {
    struct Opaque;
    let (tx, rx) = bounded::<Opaque>(3).unwrap();
    assert_eq!(format!("{tx:?}"), "Sender { len: 0, capacity: 3, .. }");
    assert_eq!(format!("{rx:?}"), "Receiver { len: 0, capacity: 3, .. }");
    let queue = Queue::<Opaque>::bounded(3).unwrap();
    queue.close();
    assert_eq!(format!("{queue:?}"), "Queue { len: 0, capacity: 3, closed: true, .. }");
    assert_eq!((tx.capacity(), rx.len(), rx.is_empty(), tx.is_full()), (Some(3), 0, true, false));
}
