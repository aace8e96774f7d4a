//! Waiting for everything at once: receivers and queues, connections and listeners, events, children, descriptors.

use multiprocess_channel::{Connection, Queue, Receiver, Sender, Waitable, bounded, pipe, wait};
use multiprocess_parcel::Fd;
use multiprocess_process::{Child, spawn};
use multiprocess_sync::Event;
use std::io::{PipeReader, PipeWriter, Read, Write};
use std::time::Duration;

const SHORT: Option<Duration> = Some(Duration::from_millis(10));

/// One of each kind, at the side that makes them ready.
fn make_ready_as_told(
    mut told: Fd<PipeReader>,
    sender: Sender<String>,
    queue: Queue<String>,
    connection: Connection<String, ()>,
    event: Event,
    writer: Fd<PipeWriter>,
) {
    let mut writer = Some(writer);
    let mut which = [0];
    while told.0.read(&mut which).unwrap() == 1 {
        match which[0] {
            0 => sender.send("sent".to_owned()).unwrap(),
            1 => queue.send("queued".to_owned()).unwrap(),
            2 => connection.send("said".to_owned()).unwrap(),
            3 => event.set(),
            _ => drop(writer.take()),
        }
    }
}

#[test]
fn each_of_a_mixture_wakes_who_waits_for_all() {
    let (sender, receiver) = bounded(1).unwrap();
    let queue = Queue::bounded(1).unwrap();
    let (ours, theirs) = pipe::<(), String>().unwrap();
    let event = Event::new().unwrap();
    let (reader, writer) = std::io::pipe().unwrap();
    let (told, mut tell) = std::io::pipe().unwrap();
    let arguments = (Fd(told), sender, queue.clone(), theirs, event.clone(), Fd(writer));
    let child = spawn(make_ready_as_told, arguments).unwrap();
    let objects: [&dyn Waitable; 6] = [&receiver, &queue, &ours, &event, &reader, &child];
    for round in 0..40_u8 {
        let which = round % 4;
        if round < 4 {
            assert_eq!(wait(&objects, SHORT).unwrap(), [0_usize; 0]);
        }
        tell.write_all(&[which]).unwrap();
        assert_eq!(wait(&objects, None).unwrap(), [usize::from(which)]);
        match which {
            0 => assert_eq!(receiver.recv().unwrap(), "sent"),
            1 => assert_eq!(queue.recv().unwrap(), "queued"),
            2 => assert_eq!(ours.recv().unwrap(), "said"),
            _ => event.clear(),
        }
    }
    tell.write_all(&[4]).unwrap();
    assert_eq!(wait(&objects, None).unwrap(), [4]);
    drop(tell);
    // With the child the last sender and the other end of the connection go.
    child.wait().unwrap();
    assert_eq!(wait(&objects, None).unwrap(), [0, 2, 4, 5]);
    child.join().unwrap();
}

fn stay(_sender: Sender<u8>, said: Fd<PipeWriter>) {
    drop(said);
    loop {
        std::thread::park();
    }
}

/// A child that has the only sender.
fn only_sender() -> (Receiver<u8>, Child<()>) {
    let (sender, receiver) = bounded(1).unwrap();
    let (mut said, say) = std::io::pipe().unwrap();
    let child = spawn(stay, (sender, Fd(say))).unwrap();
    assert_eq!(said.read(&mut [0]).unwrap(), 0);
    (receiver, child)
}

/// Nobody is woken by the death of a sender: whoever waits finds out, in whichever way it sleeps.
#[test]
fn the_last_sender_is_killed() {
    let (reader, _writer) = std::io::pipe().unwrap();
    let events: Vec<Event> = (0..199).map(|_| Event::new().unwrap()).collect();
    for others in 0..3 {
        let (receiver, child) = only_sender();
        let mut objects: Vec<&dyn Waitable> = match others {
            0 => Vec::new(),
            1 => vec![&reader],
            _ => events.iter().map(|event| event as &dyn Waitable).collect(),
        };
        objects.push(&receiver);
        assert_eq!(wait(&objects, SHORT).unwrap(), [0_usize; 0]);
        let ready = std::thread::scope(|scope| {
            scope.spawn(|| {
                // Most often the other one sleeps by then.
                wait(&[], SHORT).unwrap();
                child.kill().unwrap();
            });
            wait(&objects, None).unwrap()
        });
        assert_eq!(ready, [objects.len() - 1]);
        assert!(receiver.recv().unwrap_err().is_disconnected());
        child.wait().unwrap();
    }
}

/// Two who wait for one queue and one who receives from it: none of the three takes the wake-up of another one with it.
#[test]
fn who_only_looks_takes_nothing_from_who_receives() {
    fn look(receiver: Receiver<u32>, done: Event) {
        while wait(&[&done, &receiver], None).unwrap().first() != Some(&0) {}
    }
    fn receive(receiver: Receiver<u32>) -> u32 {
        receiver.iter().sum()
    }
    let (sender, receiver) = bounded(2).unwrap();
    let done = Event::new().unwrap();
    let lookers: Vec<Child<()>> = (0..2).map(|_| spawn(look, (receiver.clone(), done.clone())).unwrap()).collect();
    let taker = spawn(receive, (receiver,)).unwrap();
    for number in 0..500 {
        sender.send(number).unwrap();
    }
    drop(sender);
    assert_eq!(taker.join().unwrap(), (0..500).sum());
    done.set();
    lookers.into_iter().for_each(|looker| looker.join().unwrap());
}
