//! Receivers and queues among other things that are waited for.

use multiprocess_channel::{JoinableQueue, Queue, Receiver, Sender, bounded, wait};
use multiprocess_process::spawn;
use std::time::Duration;

const SOON: Option<Duration> = Some(Duration::from_secs(10));

#[test]
fn what_has_a_message_or_lost_its_last_sender_is_ready() {
    let (tx, rx) = bounded::<u32>(1).unwrap();
    let (other, gone) = bounded::<u32>(1).unwrap();
    let queue = Queue::<u32>::bounded(1).unwrap();
    let tasks = JoinableQueue::<u32>::bounded(1).unwrap();
    assert!(wait(&[&rx, &gone, &queue, &tasks], Some(Duration::ZERO)).unwrap().is_empty());
    tx.send(1).unwrap();
    assert_eq!(wait(&[&rx, &gone, &queue, &tasks], None).unwrap(), [0]);
    drop(other);
    queue.send(1).unwrap();
    tasks.close();
    assert_eq!(wait(&[&rx, &gone, &queue, &tasks], None).unwrap(), [0, 1, 2, 3]);
    assert_eq!((rx.recv().unwrap(), queue.recv().unwrap()), (1, 1));
    assert_eq!(wait(&[&rx, &queue], Some(Duration::from_millis(5))).unwrap(), [0usize; 0]);
}

#[test]
fn messages_of_many_processes_arrive_with_their_ends() {
    fn send(tx: Sender<u64>, pipe: multiprocess_parcel::Fd<std::io::PipeWriter>) {
        for number in 0..200 {
            tx.send(number).unwrap();
        }
        drop(pipe);
    }
    let (reader, writer) = std::io::pipe().unwrap();
    let mut receivers = Vec::new();
    let mut children = Vec::new();
    for _ in 0..3 {
        let (tx, rx) = bounded(2).unwrap();
        let writer = multiprocess_parcel::Fd(writer.try_clone().unwrap());
        children.push(spawn(send, (tx, writer)).unwrap());
        receivers.push(rx);
    }
    drop(writer);
    let mut count = 0;
    while !receivers.is_empty() {
        let mut things: Vec<&dyn multiprocess_channel::Waitable> = receivers.iter().map(|rx| rx as _).collect();
        things.extend(children.iter().map(|child| child as &dyn multiprocess_channel::Waitable));
        let ready = wait(&things, SOON).unwrap();
        assert!(!ready.is_empty());
        let open = receivers.len();
        for index in ready.into_iter().rev().filter(|index| *index < open) {
            match receivers[index].try_recv() {
                Ok(_) => count += 1,
                Err(error) => {
                    assert!(error.is_disconnected());
                    receivers.remove(index);
                }
            }
        }
    }
    assert_eq!(count, 600);
    assert_eq!(wait(&[&reader], SOON).unwrap(), [0]);
    children.into_iter().for_each(|child| child.join().unwrap());
}

#[test]
fn a_killed_sender_ends_a_wait_and_one_who_waits_takes_nothing() {
    fn stay(_tx: Sender<u64>, ready: Sender<()>) {
        ready.send(()).unwrap();
        loop {
            std::thread::park();
        }
    }
    let (tx, rx) = bounded::<u64>(1).unwrap();
    let (ready, is_ready) = bounded(1).unwrap();
    let child = spawn(stay, (tx, ready)).unwrap();
    is_ready.recv().unwrap();
    let waiting = std::thread::spawn({
        let rx: Receiver<u64> = rx.clone();
        move || wait(&[&rx], SOON).unwrap()
    });
    child.kill().unwrap();
    assert_eq!(waiting.join().unwrap(), [0]);
    assert!(child.join().is_err());
    assert!(rx.recv().unwrap_err().is_disconnected());
}
