//! Two jobs that keep a CPU busy, one after the other and then in two processes: how much time does that save?

use std::error::Error;
use std::thread;
use std::time::Instant;

use multiprocess::spawn;
use multiprocess_examples::jobs::{Fingerprint, PRODUCT, PRODUCT_BELOW, SUM, SUM_BELOW, product, sum};

/// Public, because the tutorial runs this program as one of its parts.
pub fn main() -> Result<(), Box<dyn Error>> {
    // The first way: call one function, then the other.
    let start = Instant::now();
    let total = sum(SUM_BELOW);
    let sum_time = start.elapsed();
    let factorial = product(PRODUCT_BELOW);
    let sequential = start.elapsed();

    // The results are checked outside the measured time: 456,569 digits take a while to write down.
    assert_eq!(total, SUM);
    assert_eq!(Fingerprint::of(&factorial.to_string()), PRODUCT);
    println!("the sum is {total}; the product has {} digits and ends in {} zeros", PRODUCT.digits, PRODUCT.zeros);
    println!(
        "one after the other, cost time: {:.3} s ({:.3} s for the sum, {:.3} s for the product)",
        sequential.as_secs_f64(),
        sum_time.as_secs_f64(),
        (sequential - sum_time).as_secs_f64(),
    );

    // The second way: a process for each. The functions are the same, and so are their results.
    let start = Instant::now();
    let p1 = spawn(sum, (SUM_BELOW,))?;
    let p2 = spawn(product, (PRODUCT_BELOW,))?;
    let total = p1.join()?;
    let factorial = p2.join()?;
    println!("ending");
    let parallel = start.elapsed();

    assert_eq!(total, SUM);
    assert_eq!(Fingerprint::of(&factorial.to_string()), PRODUCT);
    println!("in two processes, cost time: {:.3} s", parallel.as_secs_f64());

    // Two processes cannot be quicker than the longer of the two jobs, so the most to hope for is less than two here.
    let cpus = thread::available_parallelism()?;
    println!("speed-up: {:.2} on {cpus} CPUs", sequential.as_secs_f64() / parallel.as_secs_f64());
    Ok(())
}
