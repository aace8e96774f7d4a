//! A barrier passed to processes: nobody begins the second step before everybody has ended the first.

use std::error::Error;

use multiprocess::{Array, Barrier, spawn};

/// How many processes meet.
const PARTIES: u32 = 3;

/// Adds up its part of the numbers below 300; then one of the processes, whichever it is, adds up the parts.
fn add(i: u32, parts: Array<u64>, barrier: Barrier) -> Option<u64> {
    let numbers = u64::from(i) * 100..u64::from(i + 1) * 100;
    parts.set(i as usize, numbers.sum());
    println!("process {i} has written its part");

    // The wait ends for all of them at the same time; it fails if one of them dies, which would never arrive.
    let arrived = barrier.wait().expect("nobody dies on the way to the barrier");
    println!("process {i} goes on");
    arrived.is_leader().then(|| parts.to_vec().iter().sum())
}

fn main() -> Result<(), Box<dyn Error>> {
    let parts = Array::zeroed(PARTIES as usize)?;
    let barrier = Barrier::new(PARTIES)?;

    let mut children = Vec::new();
    for i in 0..PARTIES {
        children.push(spawn(add, (i, parts.clone(), barrier.clone()))?);
    }
    for child in children {
        if let Some(sum) = child.join()? {
            println!("the leader's sum: {sum}");
        }
    }
    Ok(())
}
