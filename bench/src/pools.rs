//! P8: tasks in a few processes, against threads and against the pools of others.

use std::error::Error;

use crate::crews::{
    APPLY, CROSSBEAM, Crews, IMAP, MAP, MAP_ONE, MEMCPY, PROCSPAWN, PY_APPLY, PY_IMAP, PY_MAP, PY_MAP_ONE, PY_SUBMIT,
    RAYON_ITER, RAYON_SPAWN, SUBMIT,
};
use crate::options::Options;
use crate::placement::Placement;
use crate::rallies;
use crate::report::{Side, Unit, limit, ratio};
use crate::rounds::{self, Contender, Medians};
use crate::tasks::{LENGTHS, LOADS, Load};

/// The most that a task of nothing may take, in seconds.
const LIMIT: f64 = 100e-9;

/// What is compared with what, and the target for tasks of nothing.
const PAIRS: [(&str, &str, Option<f64>); 12] = [
    (MAP_ONE, RAYON_SPAWN, Some(1.0)),
    (MAP_ONE, CROSSBEAM, None),
    (MAP_ONE, PROCSPAWN, Some(0.01)),
    (MAP_ONE, PY_MAP_ONE, Some(0.01)),
    (MAP, RAYON_ITER, None),
    (MAP, PY_MAP, None),
    (SUBMIT, RAYON_SPAWN, None),
    (SUBMIT, PROCSPAWN, None),
    (SUBMIT, PY_SUBMIT, None),
    (IMAP, PY_IMAP, None),
    (APPLY, rallies::SPIN, None),
    (APPLY, PY_APPLY, None),
];

/// The same for arguments and results that are bytes; the target holds for the longest.
const PAIRS_OF_BYTES: [(&str, &str, Option<f64>); 6] = [
    (MAP_ONE, MEMCPY, Some(4.0)),
    (MAP_ONE, PROCSPAWN, None),
    (MAP_ONE, PY_MAP_ONE, None),
    (MAP, MEMCPY, None),
    (APPLY, MEMCPY, None),
    (APPLY, PY_APPLY, None),
];

pub(crate) fn measure(placement: Placement, options: &Options) -> Result<(), Box<dyn Error>> {
    let crews = Crews::start(placement)?;
    for (length, label, count) in LENGTHS {
        let mut contenders = crews.with_bytes(length, if options.quick { count / 4 } else { count });
        let medians = take_batches(&mut contenders, options);
        let target = |target: Option<f64>| target.filter(|_| length == 1 << 20);
        print(placement, label, &contenders, &medians, &PAIRS_OF_BYTES, target);
    }
    for load in LOADS {
        let is_nothing = load.length.is_zero();
        let mut contenders = crews.with_numbers(if options.quick { shorter(load) } else { load });
        // On one CPU a side that only spins burns its whole time slice.
        if is_nothing && placement != Placement::Same {
            contenders.push(rallies::spin_floor(placement, 5_000));
        }
        let medians = take_batches(&mut contenders, options);
        if is_nothing {
            // With all workers on one CPU and the caller on another the tasks have half the processors that they need.
            let target = (placement == Placement::Free).then_some(LIMIT);
            limit("P8", placement, Side(MAP_ONE, &medians[0]), Unit::Nanoseconds, target);
        }
        let target = |target: Option<f64>| target.filter(|_| is_nothing && placement == Placement::Free);
        print(placement, load.label, &contenders, &medians, &PAIRS, target);
    }
    Ok(())
}

fn shorter(load: Load) -> Load {
    Load { count: (load.count / 5).max(6), slow: (load.slow / 5).max(6), ..load }
}

fn take_batches(contenders: &mut [Contender], options: &Options) -> Vec<Medians> {
    // Once untimed: whoever was asleep for long is awake then, and has touched its memory.
    for contender in contenders.iter_mut() {
        (contender.sample)();
    }
    let mut medians = vec![Medians::new(); contenders.len()];
    for _ in 0..if options.quick { 3 } else { 9 } {
        rounds::batch(contenders, 3, &mut medians);
    }
    medians
}

fn print(
    placement: Placement,
    label: &str,
    contenders: &[Contender],
    medians: &[Medians],
    pairs: &[(&str, &str, Option<f64>)],
    judged: impl Fn(Option<f64>) -> Option<f64>,
) {
    let find = |name: &str| contenders.iter().position(|contender| contender.name == name).map(|at| &medians[at]);
    for (subject, reference, target) in pairs {
        let (Some(ours), Some(theirs)) = (find(subject), find(reference)) else { continue };
        let name = format!("{subject}, {label}");
        ratio("P8", placement, Side(&name, ours), Side(reference, theirs), Unit::Nanoseconds, judged(*target));
    }
}
