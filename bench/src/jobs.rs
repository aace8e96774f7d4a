//! P9: the tutorial's two jobs in two processes, against the longer of them alone, and the same in CPython.

use std::error::Error;
use std::hint::black_box;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use multiprocess::spawn;
use multiprocess_examples::jobs::{PRODUCT_BELOW, SUM, SUM_BELOW, product, sum};

use crate::options::Options;
use crate::placement::Placement;
use crate::python::PYTHON;
use crate::report::{Side, Unit, ratio};
use crate::rounds::{self, Contender, Medians};

/// The two jobs as the tutorial writes them, timed by themselves.
const SCRIPT: &str = include_str!("jobs.py");

pub(crate) fn measure(options: &Options) -> Result<(), Box<dyn Error>> {
    // The product is by far the longer of the two.
    let mut contenders = [
        Contender::new("two processes", || Some(two_processes())),
        Contender::new("product in a child", || Some(product_in_a_child())),
        Contender::new("product in this process", || Some(product_here())),
        Contender::new("one after the other", || Some(one_after_the_other())),
    ];
    let mut medians = vec![Medians::new(); contenders.len()];
    for _ in 0..if options.quick { 2 } else { 15 } {
        // A batch is one round: a second each is long enough to be its own median.
        rounds::batch(&mut contenders, 1, &mut medians);
    }
    let line = |ours: usize, theirs: usize, target: Option<f64>| {
        let [ours, theirs] = [ours, theirs].map(|index| Side(contenders[index].name, &medians[index]));
        ratio("P9", Placement::Free, ours, theirs, Unit::Seconds, target);
    };
    line(0, 1, Some(1.02));
    line(0, 2, Some(1.02));
    line(3, 0, None);
    if Path::new(PYTHON).exists() { measure_python(&medians[0], options) } else { Ok(()) }
}

fn time(work: impl FnOnce()) -> Duration {
    let start = Instant::now();
    work();
    start.elapsed()
}

fn two_processes() -> Duration {
    time(|| {
        let p1 = spawn(sum, (SUM_BELOW,)).expect("a child starts");
        let p2 = spawn(product, (PRODUCT_BELOW,)).expect("a child starts");
        assert_eq!(p1.join().expect("a child ends"), SUM);
        p2.join().expect("a child ends");
    })
}

fn product_in_a_child() -> Duration {
    time(|| {
        spawn(product, (PRODUCT_BELOW,)).expect("a child starts").join().expect("a child ends");
    })
}

fn product_here() -> Duration {
    time(|| {
        black_box(product(PRODUCT_BELOW));
    })
}

fn one_after_the_other() -> Duration {
    time(|| {
        assert_eq!(sum(SUM_BELOW), SUM);
        black_box(product(PRODUCT_BELOW));
    })
}

/// Lets CPython time its own two jobs. Each line that it prints is a round: the sum, the product, both in two processes.
fn measure_python(ours: &Medians, options: &Options) -> Result<(), Box<dyn Error>> {
    let rounds = if options.quick { "1" } else { "5" };
    let output = Command::new(PYTHON).args(["-c", SCRIPT, rounds]).output()?;
    if !output.status.success() {
        return Err(format!("timing CPython: {}", String::from_utf8_lossy(&output.stderr)).into());
    }
    let [mut alone, mut sequential, mut parallel] = [const { Medians::new() }; 3];
    for line in String::from_utf8(output.stdout)?.lines() {
        let times: Vec<f64> = line.split(' ').map(str::parse).collect::<Result<_, _>>()?;
        let [sum, product, both] = times[..] else { return Err(format!("CPython printed {line:?}").into()) };
        alone.push(Some(sum.max(product)));
        sequential.push(Some(sum + product));
        parallel.push(Some(both));
    }
    let line = |ours: (&str, &Medians), theirs: (&str, &Medians)| {
        let [ours, theirs] = [ours, theirs].map(|(name, medians)| Side(name, medians));
        ratio("P9", Placement::Free, ours, theirs, Unit::Seconds, None);
    };
    line(("CPython: two processes", &parallel), ("longer job alone", &alone));
    line(("CPython: one after the other", &sequential), ("two processes", &parallel));
    // Not interleaved with ours, so this one is the only ratio of two runs.
    line(("two processes", ours), ("CPython's", &parallel));
    Ok(())
}
