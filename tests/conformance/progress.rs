//! `Tasks::progress`: the bar of a call counts what is done of it, and shows how it ended.

use multiprocess::indicatif::{ProgressBar, ProgressDrawTarget};
use multiprocess::{Pool, TaskError};
use std::iter;

multiprocess_tests::checked_tests![
    bar_counts_each_item_once,
    call_that_fails_leaves_its_bar_where_it_is,
    dropped_iterator_leaves_its_bar_where_it_is,
    item_of_a_dead_worker_counts,
    number_that_becomes_known_is_the_total,
    usual_bar_draws_on_terminals_alone,
    total_that_was_chosen_stays,
];

fn pool() -> Pool {
    Pool::new(2).expect("a pool can be made")
}

/// A bar that draws nowhere and has no length.
fn bar() -> ProgressBar {
    ProgressBar::with_draw_target(None, ProgressDrawTarget::hidden())
}

fn double(x: u32) -> u32 {
    x * 2
}

fn looks(bar: &ProgressBar) -> (u64, Option<u64>, bool) {
    (bar.position(), bar.length(), bar.is_finished())
}

fn bar_counts_each_item_once() {
    let pool = pool();
    for chunk_size in [1, 7, 1000] {
        let tasks = pool.tasks().chunk_size(chunk_size);
        let (mapped, pairs, ordered, unordered) = (bar(), bar(), bar(), bar());
        tasks.progress_with(&mapped).map(double, 0..500).expect("the tasks return");
        let sums = tasks.progress_with(&pairs).starmap(|a: u32, b: u32| a + b, vec![(1, 2); 500]);
        assert_eq!(sums.expect("the tasks return"), [3; 500]);
        assert_eq!(tasks.progress_with(&ordered).imap(double, 0..500).count(), 500);
        assert_eq!(tasks.progress_with(&unordered).imap_unordered(double, 0..500).count(), 500);
        for bar in [mapped, pairs, ordered, unordered] {
            assert_eq!(looks(&bar), (500, Some(500), true), "in chunks of {chunk_size}");
        }
    }
}

/// Nobody knows how many there are until the inputs have come to their end.
fn number_that_becomes_known_is_the_total() {
    let pool = pool();
    let (bar, mut left) = (bar(), 30);
    let inputs = iter::from_fn(|| {
        left -= 1;
        (left >= 0).then_some(left as u32)
    });
    let mut values = pool.tasks().look_ahead(2).progress_with(&bar).imap(double, inputs);
    assert!(values.next().is_some());
    assert_eq!(bar.length(), None);
    assert_eq!(values.count(), 29);
    assert_eq!(looks(&bar), (30, Some(30), true));
}

fn total_that_was_chosen_stays() {
    let pool = pool();
    let bar = bar();
    bar.set_length(1000);
    pool.tasks().progress_with(&bar).map(double, 0..10).expect("the tasks return");
    assert_eq!(bar.length(), Some(1000));
}

fn call_that_fails_leaves_its_bar_where_it_is() {
    let pool = pool();
    let bar = bar();
    bar.set_length(1000);
    let error = pool.tasks().progress_with(&bar).map(|x: u32| 100 / x, 0..10).expect_err("one is a division by 0");
    assert!(matches!(error, TaskError::Panicked(_)), "{error}");
    assert_eq!(looks(&bar), (10, Some(1000), true), "all are done, but this was not the end that was hoped for");
}

fn dropped_iterator_leaves_its_bar_where_it_is() {
    let pool = pool();
    let bar = bar();
    let mut values = pool.tasks().look_ahead(4).progress_with(&bar).imap(double, 0..1000);
    assert!(values.next().is_some());
    assert!(!bar.is_finished());
    drop(values);
    let (position, length, is_finished) = looks(&bar);
    assert!(is_finished && length == Some(1000) && (1..=6).contains(&position), "at {position}");
}

fn item_of_a_dead_worker_counts() {
    let pool = pool();
    let bar = bar();
    let fatal = |x: u32| if x == 13 { std::process::abort() } else { x };
    let values = pool.tasks().chunk_size(10).progress_with(&bar).imap(fatal, 0..40);
    assert_eq!(values.filter(|value| matches!(value, Err(TaskError::WorkerDied(_)))).count(), 1);
    assert_eq!(looks(&bar), (40, Some(40), true));
}

/// The standard error of a test is no terminal, or the test runner's business: what counts is that the call is as good.
fn usual_bar_draws_on_terminals_alone() {
    let pool = pool();
    let values = pool.tasks().progress().map(double, 0..100).expect("the tasks return");
    assert_eq!(values[99], 198);
    assert_eq!(pool.tasks().progress().imap(double, iter::repeat(1)).take(10).count(), 10);
}
