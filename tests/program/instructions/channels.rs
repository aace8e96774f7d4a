//! Channels and queues: a killed sender's message is there or not and stops nobody, a killed receiver loses at most the message in
//! its hands, and tasks that a killed worker had in hand are given up.

use super::case::{AFTER, CHECK, Case, EARLY, FINISH, Hands, LATE, PATIENCE, RELEASE, Reply, SETUP, Stage};
use super::forever;
use multiprocess::channel::{Receiver, Sender, bounded};
use multiprocess::{ErrorKind, JoinableQueue};
use std::time::Duration;

/// The cases of this file.
pub const CASES: &[fn() -> Case] = &[
    send,
    send_large,
    send_blocked,
    send_several,
    send_several_blocked,
    send_several_laps,
    try_send,
    receive,
    receive_large,
    receive_several,
    receive_blocked,
    receive_several_blocked,
    receive_in_time,
    clone_and_drop,
    task_done,
];

/// The victim's message; the survivors' have higher numbers.
const VICTIM: u64 = 1;

/// What a message carries: a number, alone or at the front of some bytes.
trait Load: serde::Serialize + serde::de::DeserializeOwned + 'static {
    fn of(number: u64) -> Self;
    fn number(&self) -> Result<u64, String>;
}

impl Load for u64 {
    fn of(number: u64) -> u64 {
        number
    }

    fn number(&self) -> Result<u64, String> {
        Ok(*self)
    }
}

/// Too long for a place in the ring itself.
const LARGE: usize = 1500;

impl Load for Vec<u8> {
    fn of(number: u64) -> Vec<u8> {
        vec![number as u8; LARGE]
    }

    fn number(&self) -> Result<u64, String> {
        let first = *self.first().ok_or("an empty message")?;
        let whole = self.len() == LARGE && self.iter().all(|byte| *byte == first);
        if whole { Ok(first.into()) } else { Err("a torn message".to_owned()) }
    }
}

impl Load for String {
    fn of(number: u64) -> String {
        number.to_string()
    }

    fn number(&self) -> Result<u64, String> {
        self.trim().parse().map_err(|_| format!("a torn message: {self}"))
    }
}

/// Both ends of a channel, in every process.
struct Ends<T: 'static> {
    sender: &'static Sender<T>,
    receiver: &'static Receiver<T>,
}

impl<T> Clone for Ends<T> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T> Copy for Ends<T> {}

impl<T: Load> Ends<T> {
    fn new(capacity: usize) -> Ends<T> {
        let (sender, receiver) = forever(bounded(capacity).expect("a channel can be made"));
        Ends { sender, receiver }
    }

    /// Makes this process a peer, by a message to itself while nobody else is at it: the first use of an object is another case's.
    fn join(self) {
        let _ = self.sender.try_send(T::of(0));
        let _ = self.receiver.try_recv();
    }

    fn send(self, number: u64) -> Result<(), String> {
        self.sender.send_timeout(T::of(number), PATIENCE).map_err(|error| format!("sending {number}: {error}"))
    }

    /// Receives one message, and notes that it came.
    fn receive(self, stage: Stage) -> Result<u64, String> {
        let message = self.receiver.recv_timeout(PATIENCE).map_err(|error| format!("receiving: {error}"))?;
        note(stage, message.number()?)
    }

    /// Takes all that is left, sees that each of `wanted` has come, and that the channel goes on.
    fn settle(self, stage: Stage, wanted: &[u64]) -> Result<Reply, String> {
        while let Ok(message) = self.receiver.try_recv() {
            note(stage, message.number()?)?;
        }
        for number in wanted {
            if stage.noted() & 1 << number == 0 {
                return Err(format!("message {number} is lost"));
            }
        }
        self.send(60)?;
        let again = self.receiver.recv_timeout(PATIENCE).map_err(|error| format!("afterwards: {error}"))?.number()?;
        if again == 60 && self.receiver.is_empty() { Ok(Reply::Fine) } else { Err(format!("{again} came afterwards")) }
    }
}

/// Notes that the message of that number came; it must not have come before.
fn note(stage: Stage, number: u64) -> Result<u64, String> {
    let noted = stage.noted();
    if number > 60 || noted & 1 << number != 0 {
        return Err(format!("message {number} came twice, or was never sent"));
    }
    stage.note(noted | 1 << number);
    Ok(number)
}

/// The victim's message must have come if its call had returned.
fn victims(stage: Stage) -> &'static [u64] {
    if stage.has_ended() { &[VICTIM] } else { &[] }
}

fn sent<T: Load>(operation: &'static str, ends: Ends<T>, send: impl Fn() + 'static) -> Case {
    Case::new(operation, "another blocked in recv", move |stage| {
        ends.join();
        stage.begin();
        send();
        stage.end();
    })
    .part(EARLY, move |stage, _| ends.receive(stage).map(|_| Reply::Fine))
    .part(AFTER, move |_, _| ends.send(2).map(|()| Reply::Recovered))
    .part(CHECK, move |stage, _| ends.settle(stage, victims(stage)))
    .part(FINISH, move |stage, _| ends.settle(stage, &[]))
}

fn send() -> Case {
    let ends = Ends::<u64>::new(4);
    sent("Sender::send", ends, move || _ = ends.sender.send(VICTIM))
}

fn try_send() -> Case {
    let ends = Ends::<u64>::new(4);
    sent("Sender::try_send", ends, move || _ = ends.sender.try_send(VICTIM))
}

fn send_large() -> Case {
    let ends = Ends::<Vec<u8>>::new(4);
    let message = forever(std::cell::RefCell::new(None));
    Case::new("Sender::send, large", "another blocked in recv", move |stage| {
        ends.join();
        *message.borrow_mut() = Some(Load::of(VICTIM));
        stage.begin();
        let _ = ends.sender.send(message.borrow_mut().take().expect("made before"));
        stage.end();
    })
    .part(EARLY, move |stage, _| ends.receive(stage).map(|_| Reply::Fine))
    .part(AFTER, move |_, _| ends.send(2).map(|()| Reply::Recovered))
    .part(CHECK, move |stage, _| ends.settle(stage, victims(stage)))
    .part(FINISH, move |stage, _| ends.settle(stage, &[]))
}

fn send_blocked() -> Case {
    let ends = Ends::<u64>::new(2);
    Case::new("Sender::send", "full, another blocked in send", move |stage| {
        ends.join();
        stage.begin();
        let _ = ends.sender.send(VICTIM);
        stage.end();
    })
    .part(SETUP, move |_, _| ends.send(3).and_then(|()| ends.send(4)).map(|()| Reply::Fine))
    .part(EARLY, move |_, _| ends.send(5).map(|()| Reply::Fine))
    .part(RELEASE, move |stage, _| {
        ends.receive(stage)?;
        ends.receive(stage)?;
        Ok(Reply::Fine)
    })
    .part(CHECK, move |stage, _| ends.settle(stage, &[3, 4, 5]).and_then(|_| ends.settle(stage, victims(stage))))
    .part(FINISH, move |stage, _| ends.settle(stage, &[]))
}

/// What the victim sends with one call.
const SEVERAL: &[u64] = &[VICTIM, 6, 7];

/// Of several messages the first ones are there, all of them if the call had returned.
fn settle_several<T: Load>(ends: Ends<T>, stage: Stage, others: &[u64]) -> Result<Reply, String> {
    ends.settle(stage, others)?;
    let came: Vec<bool> = SEVERAL.iter().map(|number| stage.noted() & 1 << number != 0).collect();
    if came.is_sorted_by(|before, after| before >= after) && (came[2] || !stage.has_ended()) {
        return Ok(Reply::Fine);
    }
    Err(format!("of the messages {SEVERAL:?} came {came:?}"))
}

fn send_several() -> Case {
    let ends = Ends::<u64>::new(4);
    Case::new("Sender::send_many", "another blocked in recv", move |stage| {
        ends.join();
        stage.begin();
        let _ = ends.sender.send_many(SEVERAL);
        stage.end();
    })
    .part(EARLY, move |stage, _| ends.receive(stage).map(|_| Reply::Fine))
    .part(AFTER, move |_, _| ends.send(2).map(|()| Reply::Recovered))
    .part(CHECK, move |stage, _| settle_several(ends, stage, &[]))
    .part(FINISH, move |stage, _| settle_several(ends, stage, &[]))
}

fn send_several_blocked() -> Case {
    let ends = Ends::<u64>::new(3);
    Case::new("Sender::send_many", "almost full, another blocked in send", move |stage| {
        ends.join();
        stage.begin();
        let _ = ends.sender.send_many(SEVERAL);
        stage.end();
    })
    .part(SETUP, move |_, _| ends.send(3).and_then(|()| ends.send(4)).map(|()| Reply::Fine))
    .part(EARLY, move |_, _| ends.send(5).map(|()| Reply::Fine))
    .part(RELEASE, move |stage, _| {
        (0..3).try_for_each(|_| ends.receive(stage).map(|_| ()))?;
        Ok(Reply::Fine)
    })
    .part(CHECK, move |stage, _| settle_several(ends, stage, &[3, 4, 5]))
    .part(FINISH, move |stage, _| settle_several(ends, stage, &[]))
}

/// In a channel of one, each message of the call is a lap. A long message comes next, whose sender moves nothing along.
fn send_several_laps() -> Case {
    /// How long a look takes. Who sleeps is not woken before the call has sent all, or waits.
    const LOOK: Duration = Duration::from_micros(50);
    let ends = Ends::<String>::new(1);
    let several: &'static [String] = SEVERAL.iter().map(|number| Load::of(*number)).collect::<Vec<_>>().leak();
    Case::new("Sender::send_many", "another takes each of them at once", move |stage| {
        ends.join();
        stage.begin();
        let _ = ends.sender.send_many(several);
        stage.end();
    })
    .part(EARLY, move |stage, _| {
        let mut taken = 0;
        while taken < 2 && !stage.is_victim_killed() {
            match ends.receiver.recv_timeout(LOOK) {
                Ok(message) => taken += u32::from(note(stage, message.number()?)? > 0),
                Err(error) if error.is_timeout() => {}
                Err(error) => return Err(error.to_string()),
            }
        }
        Ok(Reply::Fine)
    })
    .part(CHECK, move |stage, _| {
        while let Ok(message) = ends.receiver.try_recv() {
            note(stage, message.number()?)?;
        }
        ends.sender.send_timeout(format!("{:100}", 50), PATIENCE).map_err(|error| format!("a long one: {error}"))?;
        ends.receive(stage)?;
        settle_several(ends, stage, &[50])
    })
    .part(FINISH, move |stage, _| settle_several(ends, stage, &[]))
}

/// There are four messages: the victim may take the first two with it, and none else.
fn receive_several() -> Case {
    let ends = Ends::<u64>::new(4);
    Case::new("Receiver::recv_many", "messages there", move |stage| {
        ends.join();
        let mut values = Vec::with_capacity(2);
        stage.begin();
        let _ = ends.receiver.recv_many(&mut values, 2);
        stage.end();
    })
    .part(SETUP, move |_, _| {
        (2..6).try_for_each(|number| ends.send(number))?;
        Ok(Reply::Fine)
    })
    .part(LATE, move |stage, _| ends.receive(stage).map(|_| Reply::Fine))
    .part(CHECK, move |stage, _| {
        ends.settle(stage, &[4, 5])?;
        let took = [2, 3].map(|number| stage.noted() & 1 << number == 0);
        match took {
            [false, true] => Err("the victim took the second message before the first".to_owned()),
            [_, false] if stage.has_ended() => Err("a message that the victim had received came again".to_owned()),
            [true, _] => Ok(Reply::Recovered),
            _ => Ok(Reply::Fine),
        }
    })
    .part(FINISH, move |stage, _| ends.settle(stage, &[]))
}

/// There are three messages: the victim may take the first one with it, and none else.
fn received<T: Load>(operation: &'static str, ends: Ends<T>) -> Case {
    Case::new(operation, "messages there", move |stage| {
        ends.join();
        stage.begin();
        let _message = ends.receiver.recv();
        stage.end();
    })
    .part(SETUP, move |_, _| {
        (2..5).try_for_each(|number| ends.send(number))?;
        Ok(Reply::Fine)
    })
    .part(LATE, move |stage, _| ends.receive(stage).map(|_| Reply::Fine))
    .part(CHECK, move |stage, _| {
        ends.settle(stage, &[3, 4])?;
        let took = stage.noted() & 1 << 2 == 0;
        if stage.has_ended() && !took {
            return Err("the message that the victim had received came again".to_owned());
        }
        Ok(if took { Reply::Recovered } else { Reply::Fine })
    })
    .part(FINISH, move |stage, _| ends.settle(stage, &[]))
}

fn receive() -> Case {
    received("Receiver::recv", Ends::<u64>::new(4))
}

fn receive_large() -> Case {
    received("Receiver::recv, large", Ends::<Vec<u8>>::new(4))
}

fn waited(operation: &'static str, ends: Ends<u64>, receive: impl Fn() + 'static) -> Case {
    Case::new(operation, "empty, another blocked in recv", move |stage| {
        ends.join();
        stage.begin();
        receive();
        stage.end();
    })
    .part(EARLY, move |stage, _| ends.receive(stage).map(|_| Reply::Fine))
    .part(RELEASE, move |_, _| ends.send(2).and_then(|()| ends.send(4)).map(|()| Reply::Fine))
    .part(AFTER, move |_, _| ends.send(3).map(|()| Reply::Recovered))
    .part(CHECK, move |stage, _| ends.settle(stage, &[]))
    .part(FINISH, move |stage, _| ends.settle(stage, &[]))
}

fn receive_blocked() -> Case {
    let ends = Ends::new(4);
    waited("Receiver::recv", ends, move || _ = ends.receiver.recv())
}

fn receive_several_blocked() -> Case {
    let ends = Ends::new(4);
    waited("Receiver::recv_many", ends, move || _ = ends.receiver.recv_many(&mut Vec::with_capacity(2), 2))
}

fn receive_in_time() -> Case {
    let ends = Ends::new(4);
    waited("Receiver::recv_timeout", ends, move || _ = ends.receiver.recv_timeout(Duration::from_millis(20)))
}

/// The count of peers is right whatever the victim has counted: nobody is taken for gone who is there.
fn clone_and_drop() -> Case {
    let ends = Ends::<u64>::new(4);
    Case::new("clone and drop of both ends", "another blocked in recv", move |stage| {
        ends.join();
        stage.begin();
        let copies = (ends.sender.clone(), ends.receiver.clone());
        drop(copies);
        stage.end();
    })
    .part(EARLY, move |stage, _| ends.receive(stage).map(|_| Reply::Fine))
    .part(AFTER, move |_, _| ends.send(2).map(|()| Reply::Fine))
    .part(CHECK, move |stage, _| ends.settle(stage, &[2]))
    .part(FINISH, move |stage, _| ends.settle(stage, &[]))
}

/// A task is done, or it is lost and whoever waits is told; never waited for in vain.
fn task_done() -> Case {
    let queue: &'static JoinableQueue<u64> = forever(JoinableQueue::bounded(4).expect("a queue can be made"));
    let join = move |_: Stage, _: &mut Hands| match queue.join_timeout(PATIENCE) {
        Ok(true) => Ok(Reply::Fine),
        Ok(false) => Err("the tasks of a dead worker are waited for".to_owned()),
        Err(error) if error.kind() == ErrorKind::Task => Ok(Reply::Recovered),
        Err(error) => Err(error.to_string()),
    };
    Case::new("JoinableQueue::recv and task_done", "another blocked in join", move |stage| {
        let _ = queue.try_send(0).is_ok() && queue.recv().is_ok() && queue.task_done().is_ok();
        stage.begin();
        if queue.recv().is_ok() {
            let _ = queue.task_done();
        }
        stage.end();
    })
    .part(SETUP, move |_, _| {
        queue.send(1).map_err(|error| error.to_string())?;
        Ok(Reply::Fine)
    })
    .part(EARLY, join)
    .part(AFTER, move |_, _| {
        // Nobody has taken it, so it waits for another worker.
        if queue.try_recv().is_ok() {
            queue.task_done().map_err(|error| error.to_string())?;
        }
        Ok(Reply::Fine)
    })
    .part(CHECK, move |stage, hands| {
        join(stage, hands)?;
        queue.send(2).map_err(|error| error.to_string())?;
        queue.recv().map_err(|error| error.to_string())?;
        queue.task_done().map_err(|error| error.to_string())?;
        let joined = queue.join_timeout(PATIENCE).map_err(|error| error.to_string())?;
        if joined && queue.task_done().is_err() {
            Ok(Reply::Fine)
        } else {
            Err("the count of tasks is wrong".to_owned())
        }
    })
}
