//! Producers and consumers: jobs go through one queue to whichever worker is free, results come back through another.

use std::error::Error;

use multiprocess::channel::{Receiver, Sender, bounded};
use multiprocess::{Queue, spawn};
use serde::{Deserialize, Serialize};

/// What is to be done. A message is any data that serde knows.
#[derive(Serialize, Deserialize)]
struct Job {
    id: u32,
    text: String,
}

/// What came of it.
#[derive(Serialize, Deserialize)]
struct Answer {
    id: u32,
    letters: usize,
}

/// Works until nothing more comes.
fn work(jobs: Receiver<Job>, answers: Sender<Answer>) -> u32 {
    let mut count = 0;
    for Job { id, text } in &jobs {
        let letters = text.chars().filter(|letter| letter.is_alphabetic()).count();
        answers.send(Answer { id, letters }).expect("somebody wants the answer");
        count += 1;
    }
    count
}

/// Puts its share of the jobs in.
fn produce(jobs: Sender<Job>, first: u32) {
    for id in first..first + 50 {
        jobs.send(Job { id, text: "x".repeat(id as usize) }).expect("workers are there");
    }
}

/// The same with both ends in one handle, as in Python: then somebody must say the end.
fn add(numbers: Queue<u64>) -> u64 {
    numbers.iter().sum()
}

fn main() -> Result<(), Box<dyn Error>> {
    let (jobs, to_do) = bounded(16)?;
    let (answers, done) = bounded(16)?;
    let workers = (0..3).map(|_| spawn(work, (to_do.clone(), answers.clone()))).collect::<Result<Vec<_>, _>>()?;
    let producers = [0, 50].map(|first| spawn(produce, (jobs.clone(), first)));
    // Those of the children are left; when they have ended, so does the loop.
    drop((jobs, to_do, answers));

    let mut letters = 0;
    for answer in &done {
        assert_eq!(answer.letters, answer.id as usize);
        letters += answer.letters;
    }
    for producer in producers {
        producer?.join()?;
    }
    let mut count = 0;
    for worker in workers {
        count += worker.join()?;
    }
    println!("{count} answers, {letters} letters");

    let queue = Queue::bounded(16)?;
    let adder = spawn(add, (queue.clone(),))?;
    for number in 1..=100 {
        queue.send(number)?;
    }
    queue.close();
    println!("the sum is {}", adder.join()?);
    println!("sending now: {}", queue.send(1).expect_err("it is closed"));
    Ok(())
}
