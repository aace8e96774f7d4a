//! Receiving in futures of tokio: nothing is lost when one is dropped, and nobody else waits in vain.
#![cfg(feature = "tokio")]

use multiprocess_channel::{Sender, bounded};
use multiprocess_process::spawn;
use std::time::Duration;

fn send_all(tx: Sender<u64>, count: u64) {
    (0..count).for_each(|number| tx.send(number).unwrap());
}

#[tokio::test(flavor = "multi_thread")]
async fn messages_of_a_process_arrive() {
    let (tx, rx) = bounded(4).unwrap();
    let child = spawn(send_all, (tx, 1000)).unwrap();
    for number in 0..1000 {
        assert_eq!(rx.recv_async().await.unwrap(), number);
    }
    assert!(rx.recv_async().await.unwrap_err().is_disconnected());
    child.join().unwrap();
}

#[tokio::test]
async fn a_dropped_future_takes_nothing_and_keeps_nothing() {
    let (tx, rx) = bounded::<u64>(4).unwrap();
    for number in 0..20 {
        let in_vain = tokio::time::timeout(Duration::from_millis(1), rx.recv_async()).await;
        assert!(in_vain.is_err());
        tx.send(number).unwrap();
        assert_eq!(rx.recv_async().await.unwrap(), number);
    }
    let waiting = tokio::time::timeout(Duration::from_millis(1), rx.recv_async()).await;
    assert!(waiting.is_err());
    drop(rx);
    // The thread that waited ends, and its receiver goes with it.
    let start = std::time::Instant::now();
    while tx.try_send(1).is_ok() || !tx.try_send(1).unwrap_err().is_disconnected() {
        assert!(start.elapsed() < Duration::from_secs(5));
        tokio::task::yield_now().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn many_futures_share_the_messages() {
    const COUNT: u64 = 2000;
    let (tx, rx) = bounded(4).unwrap();
    let receivers: Vec<_> = (0..4)
        .map(|_| {
            let rx = rx.clone();
            tokio::spawn(async move {
                let mut sum = 0;
                while let Ok(number) = rx.recv_async().await {
                    sum += number;
                }
                sum
            })
        })
        .collect();
    let child = spawn(send_all, (tx, COUNT)).unwrap();
    let mut total: u64 = 0;
    for receiver in receivers {
        total += receiver.await.unwrap();
    }
    assert_eq!(total, COUNT * (COUNT - 1) / 2);
    child.join().unwrap();
}

#[tokio::test]
async fn the_death_of_the_last_sender_ends_the_wait() {
    fn stay(_tx: Sender<u64>, ready: Sender<()>) {
        ready.send(()).unwrap();
        loop {
            std::thread::park();
        }
    }
    let (tx, rx) = bounded::<u64>(4).unwrap();
    let (ready, is_ready) = bounded(1).unwrap();
    let child = spawn(stay, (tx, ready)).unwrap();
    is_ready.recv_async().await.unwrap();
    child.kill().unwrap();
    assert!(rx.recv_async().await.unwrap_err().is_disconnected());
    assert!(child.join().is_err());
}
