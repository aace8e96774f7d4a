//! Measures `multiprocess` and its peers side by side and prints ratios. The README beside the manifest tells how to read them.

mod channels;
mod contenders;
mod crews;
mod fork;
mod growth;
mod jobs;
mod links;
mod locks;
mod objects;
mod options;
mod partner;
mod peers;
mod placement;
mod pools;
mod python;
mod rallies;
mod report;
mod rounds;
mod stages;
mod starts;
mod statistics;
mod tasks;

use std::env;
use std::error::Error;
use std::process::Command;

use options::{Options, Role};
use placement::Placement;

fn main() -> Result<(), Box<dyn Error>> {
    // In a child of procspawn this call runs the function and does not return.
    procspawn::init();

    let (role, options) = Options::parse(env::args().skip(1))?;
    match role {
        Role::All => measure_all(&options),
        Role::Placed(placement) => measure(placement, &options),
        Role::Forker => Ok(fork::serve()?),
    }
}

/// Runs this program again for each placement, because where the library's own process runs is settled at its first start.
fn measure_all(options: &Options) -> Result<(), Box<dyn Error>> {
    report::header();
    for placement in Placement::ALL {
        if options.placement.is_some_and(|only| only != placement) {
            continue;
        }
        let status = Command::new(env::current_exe()?).args(options.for_placement(placement)).status()?;
        if !status.success() {
            return Err(format!("measuring with placement {placement}: {status}").into());
        }
    }
    Ok(())
}

/// Measures everything that was asked for, in one placement.
fn measure(placement: Placement, options: &Options) -> Result<(), Box<dyn Error>> {
    if !placement.enter()? {
        println!("# {placement}: skipped, it needs two CPUs");
        return Ok(());
    }
    report::machine(placement)?;
    if options.wants("P1") || options.wants("P11") {
        starts::measure(placement, options)?;
    }
    if options.wants("P11") {
        growth::measure(placement, options)?;
    }
    if options.wants("P2") {
        locks::uncontended(placement, options)?;
    }
    if options.wants("P3") {
        locks::contended(placement, options)?;
    }
    if options.wants("P4") {
        rallies::measure(placement, options)?;
    }
    if ["P5", "P6", "P7"].iter().any(|number| options.wants(number)) {
        channels::measure(placement, options)?;
    }
    if options.wants("P8") {
        pools::measure(placement, options)?;
    }
    if options.wants("P10") {
        objects::measure(placement, options)?;
    }
    // On one CPU two processes cannot save time, and with split both jobs would share the second.
    if options.wants("P9") && placement == Placement::Free {
        jobs::measure(options)?;
    }
    Ok(())
}
