//! A value and an array shared by processes: plain numbers that all of them see.

use std::error::Error;
use std::f64::consts::PI;

use multiprocess::{Array, Value, spawn};

/// Changes what it was passed. There is nothing to send back: the parent sees it.
fn change(number: Value<f64>, numbers: Array<i32>) {
    number.set(PI);

    // The guard is the whole array. While it lives, nobody else reads or writes a part of it.
    let mut guard = numbers.lock().expect("nobody dies while holding the lock");
    for number in guard.iter_mut() {
        *number = -*number;
    }
}

/// Counts. To read, add and write is one step here, and nobody comes in between.
fn count(counter: Value<u64>) {
    for _ in 0..10_000 {
        counter.update(|count| *count += 1);
    }
}

fn main() -> Result<(), Box<dyn Error>> {
    let number = Value::new(0.0)?;
    let numbers = Array::new(&[0, 1, 2, 3, 4, 5, 6, 7, 8, 9])?;
    spawn(change, (number.clone(), numbers.clone()))?.join()?;
    println!("{}", number.get());
    println!("{:?}", numbers.to_vec());

    // In Python, `counter.value += 1` in two processes loses some of the additions.
    let counter = Value::new(0)?;
    let children = [spawn(count, (counter.clone(),))?, spawn(count, (counter.clone(),))?];
    for child in children {
        child.join()?;
    }
    println!("{}", counter.get());
    Ok(())
}
