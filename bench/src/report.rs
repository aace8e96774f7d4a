//! The lines that are printed.

use std::error::Error;
use std::fs;

use crate::placement::{Placement, allowed_cpus};
use crate::rounds::Medians;
use crate::statistics::Spread;

/// One side of a ratio: its name, and its medians in seconds.
pub(crate) struct Side<'a>(pub(crate) &'a str, pub(crate) &'a Medians);

/// In what the times are printed.
#[derive(Clone, Copy)]
pub(crate) enum Unit {
    Nanoseconds,
    Microseconds,
    Seconds,
    /// A billionth is one.
    Times,
}

impl Unit {
    fn show(self, seconds: f64) -> String {
        match self {
            Unit::Nanoseconds => format!("{:.1} ns", seconds * 1e9),
            Unit::Microseconds => format!("{:.0} µs", seconds * 1e6),
            Unit::Times => format!("{:.2}x", seconds * 1e9),
            Unit::Seconds => format!("{seconds:.3} s"),
        }
    }
}

pub(crate) fn header() {
    println!("# target, placement, what / against what, ratio (its middle half), the times, the target of the ratio");
}

/// Says where things run and how busy the machine is.
pub(crate) fn machine(placement: Placement) -> Result<(), Box<dyn Error>> {
    let here = allowed_cpus()?;
    let children = multiprocess::spawn(|| allowed_cpus().unwrap_or_default(), ())?.join()?;
    let load = fs::read_to_string("/proc/loadavg").unwrap_or_default();
    let load = load.split(' ').next().unwrap_or("unknown");
    println!("# {placement}: this thread on CPU {here:?}, the library's children on {children:?}, load {load}");
    Ok(())
}

/// Prints how long something takes by itself, and how long it may take, in seconds.
pub(crate) fn limit(number: &str, placement: Placement, side: Side<'_>, unit: Unit, target: Option<f64>) {
    let Some(time) = Spread::of(side.1.iter().filter_map(|time| *time)) else { return };
    let target = target.map_or(String::new(), |target| {
        format!("  target <= {}  {}", unit.show(target), if time.median <= target { "met" } else { "missed" })
    });
    let [low, median, high] = [time.low, time.median, time.high].map(|seconds| unit.show(seconds));
    println!("{number:<3} {placement:<5}  {:<46}  {median} ({low}..{high}){target}", side.0);
}

/// Prints one comparison.
pub(crate) fn ratio(
    number: &str,
    placement: Placement,
    ours: Side<'_>,
    theirs: Side<'_>,
    unit: Unit,
    target: Option<f64>,
) {
    let pairs: Vec<(f64, f64)> = ours.1.iter().zip(theirs.1).filter_map(|(a, b)| Some(((*a)?, (*b)?))).collect();
    let title = format!("{} / {}", ours.0, theirs.0);
    let start = format!("{number:<3} {placement:<5}  {title:<46}");
    let ratios = Spread::of(pairs.iter().map(|(a, b)| a / b));
    let times = Spread::of(pairs.iter().map(|(a, _)| *a)).zip(Spread::of(pairs.iter().map(|(_, b)| *b)));
    let Some((ratios, (a, b))) = ratios.zip(times) else {
        println!("{start}  not measured");
        return;
    };
    let target = target.map_or(String::new(), |target| {
        format!("  target <= {target:.2}  {}", if ratios.median <= target { "met" } else { "missed" })
    });
    println!(
        "{start}  {:.2} ({:.2}..{:.2})  {} / {}{target}",
        ratios.median,
        ratios.low,
        ratios.high,
        unit.show(a.median),
        unit.show(b.median),
    );
}
