//! Several processes and a pool say what they do, and everything comes out of one subscriber, with the name and number of who said it.

use std::error::Error;

use multiprocess::{Pool, Process, Stdio, current, flush_logs};
use tracing::{debug, error, info, info_span, warn};

/// A subscriber is set up once, in the program. Its children need none.
fn subscribe() {
    tracing_subscriber::fmt().with_max_level(tracing::Level::INFO).with_writer(std::io::stdout).without_time().init();
}

fn courier(parcels: u32) -> u32 {
    for parcel in 1..=parcels {
        let _span = info_span!("delivery", parcel).entered();
        debug!("nobody asked for this, so it costs next to nothing");
        if parcel == 2 {
            warn!(minutes = 20, "the lift is out of order");
        }
        info!("delivered");
    }
    // What a child starts is heard as well.
    let helper = Process::new(|| info!("sweeping the van"), ()).name("helper").start();
    if let Err(error) = helper.map(|helper| helper.join()) {
        error!(%error, "there is no helper today");
    }
    parcels
}

fn weigh(parcel: u64) -> u64 {
    let grams = parcel * parcel % 977;
    info!(parcel, grams, "weighed by {}", current().name());
    grams
}

fn hurry(speed: u32) -> u32 {
    assert!(speed < 100, "the tyre is flat");
    speed
}

fn main() -> Result<(), Box<dyn Error>> {
    subscribe();
    info!("the office opens");

    // One line of each process comes after the other, whoever is faster.
    for name in ["anna", "ben"] {
        let child = Process::new(courier, (2,)).name(name).start()?;
        info!(parcels = child.join()?, "back at the office");
    }

    let pool = Pool::builder().workers(2).name("scale").build()?;
    let grams: u64 = pool.map(weigh, 1..=4)?.into_iter().sum();
    flush_logs(); // the workers run on, so nobody joins them before this line
    info!(grams, "all parcels are on the scales");
    pool.join()?;

    // A panic is an event, too. Its report on standard error is for whoever has no subscriber.
    let child = Process::new(hurry, (120,)).name("carl").stderr(Stdio::null()).start()?;
    if child.join().is_err() {
        warn!("carl will not come back today");
    }
    Ok(())
}
