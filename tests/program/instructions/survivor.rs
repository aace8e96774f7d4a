//! A process that lives through all rounds of a case: it does the part that it is told to, and answers with what came of it.

use super::case::{Case, Hands, Reply, Stage};
use multiprocess_fixture_native::{Side, fork};
use multiprocess_tests::{processes, trace};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Pid, WaitOptions, set_parent_process_death_signal, waitpid};
use rustix::thread::{CpuSet, sched_setaffinity, sched_yield};
use std::io::{BufRead, BufReader, PipeReader, PipeWriter, Read, Write, pipe};
use std::time::{Duration, Instant};

/// A part that takes longer than this hangs.
const HANGS: Duration = Duration::from_secs(20);

/// One of the two survivors, seen by the process that conducts the rounds.
pub struct Survivor {
    index: usize,
    pid: u32,
    stage: Stage,
    orders: PipeWriter,
    answers: BufReader<PipeReader>,
    busy: bool,
}

impl Survivor {
    /// Makes survivor `index` for the rounds of `case`.
    pub fn start(case: &Case, stage: Stage, index: usize) -> Survivor {
        let (orders_in, orders) = pipe().expect("a pipe can be made");
        let (answers, answers_out) = pipe().expect("a pipe can be made");
        match fork().expect("a survivor can be forked") {
            Side::Child => {
                drop((orders, answers));
                // With the death of who conducts the rounds it ends too, even where it is blocked.
                let _ = set_parent_process_death_signal(Some(processes::Signal::KILL));
                run_anywhere();
                obey(case, stage, index, orders_in, answers_out);
                std::process::exit(0);
            }
            Side::Parent(pid) => Survivor { index, pid, stage, orders, answers: BufReader::new(answers), busy: false },
        }
    }

    /// Tells it to do a part.
    pub fn begin(&mut self, part: usize) {
        self.stage.enter(self.index, false);
        self.orders.write_all(&[part as u8]).expect("a survivor listens");
        self.busy = true;
    }

    /// Waits until its part is done or it sleeps in it.
    pub fn settle(&mut self) {
        let end = Instant::now() + HANGS;
        while !self.is_answer_there(Duration::ZERO) && Instant::now() < end {
            // Asleep with an answer given means that it waits for the next order.
            let asleep = self.stage.has_entered(self.index) && trace::is_blocked(self.pid);
            if asleep {
                return;
            }
            sched_yield();
        }
    }

    /// Whether it has a part to answer for.
    pub fn is_busy(&self) -> bool {
        self.busy
    }

    /// Whether it answers within `limit`.
    pub fn is_answer_there(&self, limit: Duration) -> bool {
        let answers = self.answers.get_ref();
        let limit = Timespec::try_from(limit).expect("the limits here are short");
        let mut waited = [PollFd::new(answers, PollFlags::IN)];
        poll(&mut waited, Some(&limit)).is_ok_and(|ready| ready > 0)
    }

    /// What came of its part.
    pub fn answer(&mut self) -> Result<Reply, String> {
        let who = ["the first", "the second"][self.index];
        if !self.is_answer_there(HANGS) {
            let asleep = processes::find(self.pid).map(|found| format!("{} in {}", found.state, found.sleeps_in));
            return Err(format!("{who} survivor hangs: {}", asleep.unwrap_or_default()));
        }
        self.busy = false;
        let mut line = String::new();
        self.answers.read_line(&mut line).expect("a survivor's answer can be read");
        match line.trim() {
            "fine" => Ok(Reply::Fine),
            "recovered" => Ok(Reply::Recovered),
            "" => Err(format!("{who} survivor has ended")),
            wrong => Err(format!("{who} survivor: {wrong}")),
        }
    }

    /// Tells it to do a part, and waits until it has.
    pub fn perform(&mut self, part: usize) -> Result<Reply, String> {
        self.begin(part);
        self.answer()
    }
}

impl Drop for Survivor {
    fn drop(&mut self) {
        processes::signal(self.pid, processes::Signal::KILL);
        let pid = i32::try_from(self.pid).ok().and_then(Pid::from_raw).expect("a process has a number");
        // It is a child of this process, and killed.
        let _ = waitpid(Some(pid), WaitOptions::empty());
    }
}

/// Takes back what was inherited: that all run on one processor.
fn run_anywhere() {
    let mut all = CpuSet::new();
    (0..CpuSet::MAX_CPU).for_each(|processor| all.set(processor));
    // The kernel leaves out those that there are not; where it refuses, survivors share the one processor.
    let _ = sched_setaffinity(None, &all);
}

/// The survivor's side: one part after the other, until nobody gives orders any more.
fn obey(case: &Case, stage: Stage, index: usize, mut orders: PipeReader, mut answers: PipeWriter) {
    let mut hands = Hands::new();
    let mut order = [0; 1];
    while orders.read_exact(&mut order).is_ok() {
        let action = case.actions[usize::from(order[0])].as_ref().expect("only parts that exist are ordered");
        stage.enter(index, true);
        let line = match action(stage, &mut hands) {
            Ok(Reply::Fine) => "fine".to_owned(),
            Ok(Reply::Recovered) => "recovered".to_owned(),
            Err(wrong) => wrong.replace('\n', " "),
        };
        answers.write_all(format!("{line}\n").as_bytes()).expect("somebody reads the answers");
    }
}
