//! Waiting until all tasks are done, also when a worker is killed in the middle of one.

use std::error::Error;

use multiprocess::channel::{Sender, bounded};
use multiprocess::{JoinableQueue, Mutex, spawn};

/// Does tasks until nothing more comes.
fn work(tasks: JoinableQueue<u32>, sum: Mutex<u64>) {
    for task in tasks.iter() {
        *sum.lock().expect("nobody dies while holding the lock") += u64::from(task);
        tasks.task_done().expect("it was put");
    }
}

/// Takes a task, and never gets done with it.
fn get_stuck(tasks: JoinableQueue<u32>, taken: Sender<u32>) {
    let task = tasks.recv().expect("there is a task");
    taken.send(task).expect("somebody wants to know");
    loop {
        std::thread::park();
    }
}

fn main() -> Result<(), Box<dyn Error>> {
    let tasks = JoinableQueue::bounded(8)?;
    let sum = Mutex::new(0)?;
    let workers = (0..2).map(|_| spawn(work, (tasks.clone(), sum.clone()))).collect::<Result<Vec<_>, _>>()?;
    for task in 1..=100 {
        tasks.send(task)?;
    }
    tasks.join()?; // not the workers, which wait for more
    println!("all done, the sum is {}", *sum.lock()?);
    tasks.close();
    for worker in workers {
        worker.join()?;
    }

    let tasks = JoinableQueue::bounded(8)?;
    let (taken, is_taken) = bounded(1)?;
    tasks.send(7)?;
    let stuck = spawn(get_stuck, (tasks.clone(), taken))?;
    println!("task {} is taken", is_taken.recv()?);
    stuck.kill()?;
    println!("{}", tasks.join().expect_err("its worker was killed"));
    tasks.join()?; // what is lost counts no more
    Ok(())
}
