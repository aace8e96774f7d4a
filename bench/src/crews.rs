//! The crews that do the tasks of P8: our pool, and those of others.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::error::Error;
use std::hint::black_box;
use std::iter::repeat_n;
use std::rc::Rc;
use std::thread;
use std::time::{Duration, Instant};

use crossbeam_channel as crossbeam;
use multiprocess::Pool;
use rayon::iter::{IntoParallelIterator, ParallelIterator};

use crate::placement::{Placement, pin_partner, there};
use crate::python::Python;
use crate::rounds::Contender;
use crate::tasks::{Load, echo, rounds_per_microsecond, work};

pub(crate) const MAP_ONE: &str = "map, chunk 1";
pub(crate) const MAP: &str = "map";
pub(crate) const SUBMIT: &str = "submit + get";
pub(crate) const IMAP: &str = "imap";
pub(crate) const APPLY: &str = "apply";
pub(crate) const RAYON_SPAWN: &str = "rayon, spawn in scope";
pub(crate) const RAYON_ITER: &str = "rayon, par_iter";
pub(crate) const CROSSBEAM: &str = "crossbeam, threads";
pub(crate) const PROCSPAWN: &str = "procspawn, Pool";
pub(crate) const PY_MAP_ONE: &str = "CPython, map(chunksize=1)";
pub(crate) const PY_MAP: &str = "CPython, map";
pub(crate) const PY_IMAP: &str = "CPython, imap";
pub(crate) const PY_APPLY: &str = "CPython, apply";
pub(crate) const PY_SUBMIT: &str = "CPython, executor";
pub(crate) const MEMCPY: &str = "memcpy";

/// How many workers each crew has.
pub(crate) const WORKERS: usize = 2;

/// How many tasks procspawn has at a time: each takes three descriptors.
const PROCSPAWN_WINDOW: usize = 64;

/// All crews, at rest.
pub(crate) struct Crews {
    pool: Rc<Pool>,
    rayon: Rc<rayon::ThreadPool>,
    threads: Rc<Threads>,
    procspawn: Rc<procspawn::Pool>,
    python: Option<Rc<RefCell<Python>>>,
    rate: f64,
}

impl Crews {
    pub(crate) fn start(placement: Placement) -> Result<Crews, Box<dyn Error>> {
        // Our caller is on the first CPU then and both workers on the second. In rayon the caller sleeps, and so each CPU has a worker.
        let beside = move |index| {
            if index > 0 {
                pin_partner(placement)
            }
        };
        let rayon = rayon::ThreadPoolBuilder::new().num_threads(WORKERS).start_handler(beside).build()?;
        let procspawn = there(placement, || procspawn::Pool::new(WORKERS))?;
        Ok(Crews {
            pool: Rc::new(Pool::new(WORKERS)?),
            rayon: Rc::new(rayon),
            threads: Rc::new(Threads::start(placement)),
            procspawn: Rc::new(procspawn?),
            python: Python::start(placement)?.map(RefCell::new).map(Rc::new),
            rate: rounds_per_microsecond(),
        })
    }

    /// Everybody, with tasks whose arguments and results are numbers.
    pub(crate) fn with_numbers(&self, load: Load) -> Vec<Contender> {
        let rounds = (load.length.as_secs_f64() * 1e6 * self.rate) as u64;
        let (count, slow) = (load.count, load.slow);
        let mut contenders = self.ours(rounds, count, slow);
        contenders.extend(self.threads(rounds, count));
        let procspawn = Rc::clone(&self.procspawn);
        contenders.push(Contender::each(PROCSPAWN, slow, move || Some(procspawn_numbers(&procspawn, rounds, slow))));
        let ways = [
            (PY_MAP_ONE, "map1", slow),
            (PY_MAP, "map", count),
            (PY_IMAP, "imap", slow),
            (PY_SUBMIT, "submit", slow),
            (PY_APPLY, "apply", slow.min(500)),
        ];
        contenders.extend(ways.into_iter().filter_map(|(name, way, count)| {
            let python = Rc::clone(self.python.as_ref()?);
            Some(Contender::each(name, count, move || {
                Some(python.borrow_mut().sample(way, load.length, 0, count).expect("CPython answers"))
            }))
        }));
        contenders
    }

    /// Our own ways of giving work.
    fn ours(&self, rounds: u64, count: u32, slow: u32) -> Vec<Contender> {
        let pool = || Rc::clone(&self.pool);
        let (a, b, c, d, e) = (pool(), pool(), pool(), pool(), pool());
        let inputs = move || repeat_n(black_box(rounds), count as usize);
        vec![
            Contender::each(MAP_ONE, count, move || {
                Some(time(|| a.tasks().chunk_size(1).map(work, inputs()).expect("all values")))
            }),
            Contender::each(MAP, count, move || Some(time(|| b.map(work, inputs()).expect("all values")))),
            Contender::each(SUBMIT, count, move || Some(submit_all(&c, rounds, count))),
            Contender::each(IMAP, count, move || {
                Some(time(|| d.imap(work, inputs()).for_each(|value| _ = black_box(value.expect("a value")))))
            }),
            Contender::each(APPLY, slow, move || {
                Some(time(|| (0..slow).for_each(|_| _ = black_box(e.apply(work, (rounds,)).expect("a value")))))
            }),
        ]
    }

    /// The peers that are threads of this process.
    fn threads(&self, rounds: u64, count: u32) -> Vec<Contender> {
        let (a, b, c) = (Rc::clone(&self.rayon), Rc::clone(&self.rayon), Rc::clone(&self.threads));
        vec![
            Contender::each(RAYON_SPAWN, count, move || {
                Some(time(|| {
                    let mut results = vec![0; count as usize];
                    let rounds = black_box(rounds);
                    a.scope(|scope| {
                        for result in &mut results {
                            scope.spawn(move |_| *result = work(rounds));
                        }
                    });
                    results
                }))
            }),
            Contender::each(RAYON_ITER, count, move || {
                Some(time(|| {
                    let rounds = black_box(rounds);
                    b.install(|| (0..count).into_par_iter().map(|_| work(rounds)).collect::<Vec<u64>>())
                }))
            }),
            Contender::each(CROSSBEAM, count, move || Some(time(|| c.map(rounds, count)))),
        ]
    }

    /// Those processes that can be given bytes, with tasks that give back what they get, and a copy.
    pub(crate) fn with_bytes(&self, length: usize, count: u32) -> Vec<Contender> {
        let (a, b, c, d) =
            (Rc::clone(&self.pool), Rc::clone(&self.pool), Rc::clone(&self.pool), Rc::clone(&self.procspawn));
        let slow = count.min(500);
        let inputs = move |count: u32| vec![vec![7u8; length]; count as usize];
        let mut contenders = vec![
            Contender::each(MAP_ONE, count, move || {
                let inputs = inputs(count);
                Some(time(|| a.tasks().chunk_size(1).map(echo, inputs).expect("all values")))
            }),
            Contender::each(MAP, count, move || {
                let inputs = inputs(count);
                Some(time(|| b.map(echo, inputs).expect("all values")))
            }),
            Contender::each(APPLY, slow, move || {
                let inputs = inputs(slow);
                Some(time(|| {
                    inputs.into_iter().for_each(|bytes| _ = black_box(c.apply(echo, (bytes,)).expect("a value")))
                }))
            }),
            Contender::each(MEMCPY, count, move || Some(copies(length, count))),
        ];
        // It hangs when arguments do not fit into a socket's buffer: it sends them before anybody receives.
        if length < 1 << 16 {
            contenders.push(Contender::each(PROCSPAWN, slow, move || Some(procspawn_bytes(&d, inputs(slow)))));
        }
        contenders.extend([(PY_MAP_ONE, "map1"), (PY_APPLY, "apply")].into_iter().filter_map(|(name, way)| {
            let python = Rc::clone(self.python.as_ref()?);
            Some(Contender::each(name, slow, move || {
                Some(python.borrow_mut().sample(way, Duration::ZERO, length, slow).expect("CPython answers"))
            }))
        }));
        contenders
    }
}

/// How long the work takes, without the end of what it returns.
pub(crate) fn time<R>(work: impl FnOnce() -> R) -> Duration {
    let start = Instant::now();
    let result = work();
    let time = start.elapsed();
    drop(black_box(result));
    time
}

/// Gives all tasks, and then takes all results.
pub(crate) fn submit_all(pool: &Pool, rounds: u64, count: u32) -> Duration {
    time(|| {
        let tasks: Vec<_> = (0..count).map(|_| pool.submit(work, (rounds,)).expect("an open pool")).collect();
        tasks.into_iter().for_each(|task| _ = black_box(task.get().expect("a value")));
    })
}

/// Copies that are as long as the arguments, each from one place to another.
fn copies(length: usize, times: u32) -> Duration {
    let (from, mut to) = (vec![7u8; length], vec![0u8; length]);
    time(|| (0..times).for_each(|_| black_box(&mut to).copy_from_slice(black_box(&from))))
}

fn procspawn_numbers(pool: &procspawn::Pool, rounds: u64, count: u32) -> Duration {
    let give = |_| procspawn::spawn!(in pool, (rounds) || work(rounds));
    procspawn_window((0..count).map(give))
}

fn procspawn_bytes(pool: &procspawn::Pool, inputs: Vec<Vec<u8>>) -> Duration {
    let give = |bytes: Vec<u8>| procspawn::spawn!(in pool, (bytes) || echo(bytes));
    procspawn_window(inputs.into_iter().map(give))
}

fn procspawn_window<R>(handles: impl Iterator<Item = procspawn::JoinHandle<R>>) -> Duration
where
    R: serde::Serialize + serde::de::DeserializeOwned,
{
    time(|| {
        let mut window = VecDeque::new();
        for handle in handles {
            window.push_back(handle);
            if window.len() == PROCSPAWN_WINDOW {
                window.pop_front().map(|handle| black_box(handle.join().expect("a value")));
            }
        }
        // In the order in which they were given: the other way round this pool never ends.
        window.into_iter().for_each(|handle| _ = black_box(handle.join().expect("a value")));
    })
}

/// Threads that take tasks from one channel and put results into another.
struct Threads {
    to: crossbeam::Sender<u64>,
    from: crossbeam::Receiver<u64>,
}

impl Threads {
    fn start(placement: Placement) -> Threads {
        let ((to, tasks), (results, from)) = (crossbeam::unbounded::<u64>(), crossbeam::unbounded());
        for _ in 0..WORKERS {
            let (tasks, results) = (tasks.clone(), results.clone());
            // They end when the senders do, with this process at the latest.
            thread::spawn(move || {
                pin_partner(placement);
                tasks.into_iter().try_for_each(|rounds| results.send(work(rounds)))
            });
        }
        Threads { to, from }
    }

    fn map(&self, rounds: u64, count: u32) -> Vec<u64> {
        (0..count).for_each(|_| self.to.send(rounds).expect("two threads"));
        self.from.iter().take(count as usize).collect()
    }
}
