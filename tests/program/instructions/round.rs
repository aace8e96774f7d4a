//! The rounds of a case: in each, the victim is killed at another point, and the survivors must go on.

use super::case::{AFTER, CHECK, Case, EARLY, FINISH, LATE, RELEASE, Reply, SETUP, Stage};
use super::survivor::Survivor;
use super::victim::{Point, Stretch, Victim};
use std::time::{Duration, Instant};

/// What is promised is 200 ms; a busy machine gets more before it counts as a violation.
const TOO_LONG: Duration = Duration::from_secs(2);

/// The first survivor does its part after the kill only if the second does not return by itself within this.
const BY_ITSELF: Duration = Duration::from_millis(130);

/// A path that differs a little from the surveyed one is still tried to its end.
const SLACK: usize = 3;

/// How many points behind those of the survey are tried at most, while they are reached.
const BEYOND: usize = 20;

/// A case whose survivors were hurt this often is given up.
const ENOUGH: usize = 5;

/// How many points of an operation are tried.
#[derive(Debug, Clone, Copy)]
pub enum Budget {
    /// Every instruction.
    All,
    /// Every instruction, but where more than 600 follow each other without a call, each seventh of those in the middle: a victim
    /// is stepped there from the last call, so the work grows with the square of their number.
    Most,
    /// About so many.
    About(usize),
}

/// What the rounds of a case have shown.
#[derive(Debug, Default)]
pub struct Findings {
    /// How many instructions the operation takes in an undisturbed run.
    pub instructions: usize,
    /// At how many points a victim was killed.
    pub points: usize,
    /// In how many rounds a survivor was told of the death.
    pub recoveries: usize,
    /// The longest time between a death and the return of whoever waited.
    pub worst: Duration,
    /// What must not be.
    pub violations: Vec<String>,
}

/// A case in play.
struct Play {
    case: Case,
    stage: Stage,
    first: Survivor,
    second: Survivor,
    /// When the second one's early part had settled.
    settled: Instant,
    findings: Findings,
}

/// What the victim is to do in a round.
enum Plan {
    /// Run its whole operation, and be killed then.
    Survey,
    /// Be killed at a point.
    Kill(Point),
}

/// Plays a case: a victim is killed at the points of it that `budget` allows. `again` makes the case anew, with other objects.
pub fn play(case: Case, again: fn() -> Case, budget: Budget) -> Findings {
    let mut play = Play::new(case, Findings::default());
    let (stretches, grows) = match play.survey(budget) {
        Ok(found) => found,
        Err(wrong) => {
            play.findings.violations.push(format!("in an undisturbed run: {wrong}"));
            return play.findings;
        }
    };
    play.findings.instructions = stretches.iter().map(|stretch| stretch.length + 1).sum();
    let planned = chosen(&stretches, budget);
    let last = *planned.last().expect("an operation has instructions");
    // A path that is longer than in the survey is tried to its end.
    let beyond = (1..BEYOND).map(|more| Point { instructions: last.instructions + more, ..last });
    let (mut is_over, count) = (false, planned.len());
    for (number, point) in planned.into_iter().chain(beyond).enumerate() {
        if std::mem::take(&mut is_over) && number >= count {
            break;
        }
        let outcome = play.round(&Plan::Kill(point));
        match &outcome {
            Ok(round) => is_over = !round.reached,
            Err(wrong) => play.findings.violations.push(format!("{point:?}: {wrong}")),
        }
        if play.findings.violations.len() >= ENOUGH {
            break;
        }
        // After a violation the survivors and the objects may be in any state.
        if grows || outcome.is_err() {
            let findings = std::mem::take(&mut play.findings);
            drop(play);
            play = Play::new(again(), findings);
        }
    }
    play.findings
}

/// What a round came to.
struct Round {
    /// The stretches that a survey found.
    stretches: Vec<Stretch>,
    /// Whether the victim came to the point where it was to be killed.
    reached: bool,
}

impl Play {
    fn new(case: Case, findings: Findings) -> Play {
        let stage = case.stage.unwrap_or_else(Stage::new);
        let (first, second) = (Survivor::start(&case, stage, 0), Survivor::start(&case, stage, 1));
        Play { case, stage, first, second, settled: Instant::now(), findings }
    }

    fn has(&self, part: usize) -> bool {
        self.case.actions[part].is_some()
    }

    /// Surveys the operation, and whether it grows longer with each round: with each one more process becomes known to the
    /// object, and some operations look at every one. Such a case is played with new objects each time.
    fn survey(&mut self, budget: Budget) -> Result<(Vec<Stretch>, bool), String> {
        let length = |stretches: &[Stretch]| stretches.iter().map(|stretch| stretch.length).sum::<usize>();
        let first = self.round(&Plan::Survey)?.stretches;
        if matches!(budget, Budget::About(_)) && length(&first) > LENGTHY {
            return Ok((first, true));
        }
        let second = self.round(&Plan::Survey)?.stretches;
        let third = self.round(&Plan::Survey)?.stretches;
        let [shortest, longer, longest] = [&first, &second, &third].map(|found| length(found));
        let grows = shortest < longer && longer < longest;
        Ok((if grows { first } else { third }, grows))
    }

    /// One round.
    fn round(&mut self, plan: &Plan) -> Result<Round, String> {
        self.stage.clear();
        // A victim that is no copy of this process is made there.
        let is_made_in_setup = self.case.victim.is_none();
        if is_made_in_setup {
            self.first.perform(SETUP)?;
        }
        let mut victim = Victim::start(&self.case, self.stage)?;
        if self.has(SETUP) && !is_made_in_setup {
            self.first.perform(SETUP)?;
        }
        if self.has(EARLY) {
            self.second.begin(EARLY);
            self.second.settle();
            self.settled = Instant::now();
        }
        let mut to_release = self.has(RELEASE);
        let first = &mut self.first;
        let mut release = || if std::mem::take(&mut to_release) { first.perform(RELEASE).map(|_| ()) } else { Ok(()) };
        let round = match plan {
            Plan::Survey => Round { stretches: victim.survey(&mut release)?, reached: true },
            Plan::Kill(point) => Round { stretches: Vec::new(), reached: victim.go_to(*point, &mut release)? },
        };
        self.findings.points += usize::from(round.reached);
        if self.has(LATE) && !self.second.is_busy() {
            self.second.begin(LATE);
            self.second.settle();
        }
        victim.kill();
        self.recover(to_release)?;
        Ok(round)
    }

    /// What follows the death of the victim.
    fn recover(&mut self, to_release: bool) -> Result<(), String> {
        let waited = self.second.is_busy() && !self.second.is_answer_there(Duration::ZERO);
        // A machine that stands still for longer than a survivor's patience is told from a wake-up that is lost.
        let until_killed = self.settled.elapsed();
        let mut death = Instant::now();
        if to_release {
            self.first.perform(RELEASE)?;
            death = Instant::now();
        }
        let mut told = false;
        if self.second.is_busy() {
            if self.has(AFTER) && !self.second.is_answer_there(BY_ITSELF) {
                death = Instant::now();
                self.first.begin(AFTER);
            }
            let answer = self.second.answer();
            let answer = answer.map_err(|wrong| format!("{wrong} (until the kill it had waited {until_killed:?})"))?;
            told |= answer == Reply::Recovered;
            if waited {
                self.took(death)?;
            }
            if self.first.is_busy() {
                told |= self.first.answer()? == Reply::Recovered;
            }
        }
        for (survivor, part) in [(0, CHECK), (1, FINISH)] {
            if self.has(part) {
                let start = Instant::now();
                let survivor = if survivor == 0 { &mut self.first } else { &mut self.second };
                told |= survivor.perform(part)? == Reply::Recovered;
                self.took(start)?;
            }
        }
        self.findings.recoveries += usize::from(told);
        self.case.afterwards.as_ref().map_or(Ok(()), |look| look())
    }

    /// Notes that somebody had to wait since `start`.
    fn took(&mut self, start: Instant) -> Result<(), String> {
        let time = start.elapsed();
        self.findings.worst = self.findings.worst.max(time);
        if time > TOO_LONG { Err(format!("a survivor had to wait for {time:?}")) } else { Ok(()) }
    }
}

/// The points at which the victim is killed; the last ones are always among them.
fn chosen(stretches: &[Stretch], budget: Budget) -> Vec<Point> {
    let (ends, thinning) = match budget {
        Budget::All => (usize::MAX, 1),
        Budget::Most => (300, 7),
        Budget::About(_) => (400, usize::MAX),
    };
    let mut points = Vec::new();
    for (calls, stretch) in stretches.iter().enumerate() {
        if stretch.slept {
            points.push(Point { calls, instructions: 0, asleep: true });
        }
        let (first, end) = (usize::from(calls == 0), stretch.length + SLACK + 1);
        // The middle of a long stretch is a loop that waits or copies. Its end costs the way through it, and is as good as the
        // call that follows; the last stretch has none.
        let is_last = calls + 1 == stretches.len();
        let is_too_far = matches!(budget, Budget::About(_)) && end > LONG && !is_last;
        let is_near_end = |at: usize| {
            at - first < ends
                || (end - at <= ends && !is_too_far)
                || (end <= LONG && matches!(budget, Budget::About(_)))
        };
        let taken = (first..end).filter(|at| is_near_end(*at) || at % thinning == 0);
        points.extend(taken.map(|instructions| Point { calls, instructions, asleep: false }));
    }
    let Budget::About(budget) = budget else { return points };
    let stride = points.len().div_ceil(budget).max(1);
    let ending = if stretches.last().is_some_and(|last| last.length > LONG) { 3 } else { ENDING };
    let last = points.len().saturating_sub(ending);
    let mut sleeps = 0;
    let numbered = points.into_iter().enumerate();
    let kept = numbered.filter(|(number, point)| {
        sleeps += usize::from(point.asleep);
        number % stride == 0 || *number >= last || point.asleep && sleeps <= SLEEPS
    });
    kept.map(|(_, point)| point).collect()
}

/// How many sleeps are always tried: each takes as long as its slice.
const SLEEPS: usize = 4;

/// A stretch of more instructions than this is no path that a protocol takes, but a loop.
const LONG: usize = 2_000;

/// An operation of more instructions than this is surveyed only once if few points are wanted.
const LENGTHY: usize = 20_000;

/// How many of the last points are always tried; fewer if the way there is long.
const ENDING: usize = 10;
