//! P1 and P11: starting and joining a child that does nothing.

use std::error::Error;

use crate::contenders::{self, EXEC, FORK_HERE, FORK_SMALL, PROCSPAWN, SPARE, SPAWN, TRUE};
use crate::options::Options;
use crate::placement::Placement;
use crate::report::{Side, Unit, ratio};
use crate::rounds::{self, Contender, Medians};
use crate::stages::{Stage, allow_many_descriptors};

/// The states that P1 asks for.
const P1_STAGES: [Stage; 3] = [Stage::Empty, Stage::Memory(256), Stage::Siblings(500)];

/// The states that P11 compares with the empty parent.
const P11_STAGES: [Stage; 4] = [Stage::Memory(256), Stage::Siblings(1), Stage::Siblings(100), Stage::Siblings(500)];

/// Each subject of P1 with its references, and the targets, which hold where everything is on one CPU.
const PAIRS: [(&str, &str, Option<f64>); 8] = [
    (SPAWN, TRUE, Some(0.20)),
    (SPAWN, PROCSPAWN, Some(0.10)),
    (SPAWN, FORK_SMALL, Some(2.0)),
    (SPAWN, FORK_HERE, None),
    (SPARE, TRUE, None),
    (SPARE, FORK_SMALL, Some(0.5)),
    (EXEC, TRUE, None),
    (EXEC, PROCSPAWN, None),
];

/// How much more a start may take when the parent grows. There is no growth, but there is noise.
const GROWTH: f64 = 1.10;

/// The medians of each contender in one state of the parent.
struct Results {
    stage: Stage,
    medians: Vec<Medians>,
}

pub(crate) fn measure(placement: Placement, options: &Options) -> Result<(), Box<dyn Error>> {
    let mut contenders = contenders::all()?;
    allow_many_descriptors()?;
    let mut stages = vec![Stage::Empty];
    for (target, wanted) in [("P1", &P1_STAGES[..]), ("P11", &P11_STAGES[..])] {
        let new = wanted.iter().filter(|stage| options.wants(target) && !stages.contains(stage)).copied();
        stages.extend(new.collect::<Vec<_>>());
    }
    let results = take_batches(&mut contenders, &stages, options)?;

    let find = |name: &str, stage: Stage| {
        let result = results.iter().find(|result| result.stage == stage)?;
        let index = contenders.iter().position(|contender| contender.name == name)?;
        Some(&result.medians[index])
    };
    if options.wants("P1") {
        for stage in P1_STAGES {
            print_pairs(placement, stage, find);
        }
    }
    if options.wants("P11") {
        for subject in [SPAWN, SPARE] {
            for stage in P11_STAGES {
                let (Some(with), Some(without)) = (find(subject, stage), find(subject, Stage::Empty)) else { continue };
                let name = format!("{subject}{}", stage.label());
                let target = (placement == Placement::Same).then_some(GROWTH);
                ratio("P11", placement, Side(&name, with), Side("without", without), Unit::Microseconds, target);
            }
        }
    }
    Ok(())
}

fn print_pairs<'a>(placement: Placement, stage: Stage, find: impl Fn(&str, Stage) -> Option<&'a Medians>) {
    for (subject, reference, target) in PAIRS {
        let (Some(ours), Some(theirs)) = (find(subject, stage), find(reference, stage)) else { continue };
        let name = format!("{subject}{}", stage.label());
        let target = target.filter(|_| placement == Placement::Same);
        ratio("P1", placement, Side(&name, ours), Side(reference, theirs), Unit::Microseconds, target);
    }
}

/// Goes through all states in every batch, so that a slow minute of the machine does not fall on one of them alone.
fn take_batches(
    contenders: &mut [Contender],
    stages: &[Stage],
    options: &Options,
) -> Result<Vec<Results>, Box<dyn Error>> {
    let (batches, rounds) = if options.quick { (3, 5) } else { (15, 30) };
    let mut results: Vec<Results> =
        stages.iter().map(|stage| Results { stage: *stage, medians: vec![Medians::new(); contenders.len()] }).collect();
    for _ in 0..batches {
        for result in &mut results {
            let _hold = result.stage.enter()?;
            // Once untimed: the first of each touches what the change of state has made cold.
            for contender in contenders.iter_mut() {
                (contender.sample)();
            }
            rounds::batch(contenders, rounds, &mut result.medians);
        }
    }
    Ok(results)
}
