//! `Semaphore`: the permits of the dead come back, forgotten ones and released ones are neither lost nor doubled.

use super::case::{AFTER, Case, EARLY, Hands, LATE, PATIENCE, RELEASE, Reply, SETUP, Stage};
use super::forever;
use super::locks::let_go;
use multiprocess::Semaphore;

/// The cases of this file.
pub const CASES: &[fn() -> Case] = &[acquire, acquire_two, acquire_contended, give_back, add, forget];

fn semaphore(permits: u32) -> &'static Semaphore {
    forever(Semaphore::new(permits).expect("a semaphore can be made"))
}

fn acquire() -> Case {
    let semaphore = semaphore(1);
    Case::new("Semaphore::acquire", "one permit, free", move |stage| {
        drop(semaphore.acquire());
        stage.begin();
        let _permit = semaphore.acquire();
        stage.victim_inside(true);
        stage.end();
    })
    .part(LATE, take_only(semaphore))
    .checked_by(all_of(semaphore, 1))
}

fn acquire_two() -> Case {
    let semaphore = semaphore(3);
    Case::new("Semaphore::acquire, twice", "three permits, free", move |stage| {
        drop(semaphore.acquire());
        stage.begin();
        let _permits = (semaphore.acquire(), semaphore.acquire());
        stage.end();
    })
    .part(LATE, all_of(semaphore, 3))
    .checked_by(all_of(semaphore, 3))
}

fn acquire_contended() -> Case {
    let semaphore = semaphore(1);
    Case::new("Semaphore::acquire", "taken, another blocked", move |stage| {
        drop(semaphore.acquire());
        stage.begin();
        let _permit = semaphore.acquire();
        stage.victim_inside(true);
        stage.end();
    })
    .part(SETUP, move |_, hands| {
        hands.push(Box::new(semaphore.acquire()));
        Ok(Reply::Fine)
    })
    .part(EARLY, take_only(semaphore))
    .part(RELEASE, let_go)
    .checked_by(all_of(semaphore, 1))
}

fn give_back() -> Case {
    let semaphore = semaphore(1);
    Case::new("Semaphore, drop of a permit", "one blocked", move |stage| {
        let permit = semaphore.acquire();
        stage.begin();
        drop(permit);
        stage.end();
    })
    .part(EARLY, take_only(semaphore))
    .checked_by(all_of(semaphore, 1))
}

fn add() -> Case {
    let semaphore = semaphore(0);
    Case::new("Semaphore::release", "none there, one blocked", move |stage| {
        let _ = semaphore.try_acquire();
        stage.begin();
        // The survivors find one more permit than before, or none, but never two.
        let _ = semaphore.release(1);
        stage.end();
    })
    .part(EARLY, move |_, _| {
        drop(semaphore.acquire_timeout(PATIENCE).ok_or("there is no permit")?);
        Ok(Reply::Fine)
    })
    .part(AFTER, move |_, _| {
        semaphore.release(1).map_err(|refused| refused.to_string())?;
        Ok(Reply::Recovered)
    })
    .part(super::case::CHECK, move |_, _| {
        // One from the victim, or from the survivor, or from both: gone for good, so that the next round finds none.
        let mut found = 0;
        while let Some(permit) = semaphore.try_acquire() {
            permit.forget();
            found += 1;
        }
        if (1..=2).contains(&found) { Ok(Reply::Fine) } else { Err(format!("{found} permits after one release")) }
    })
}

fn forget() -> Case {
    let semaphore = semaphore(2);
    Case::new("Permit::forget", "two permits", move |stage| {
        let permit = semaphore.acquire();
        stage.begin();
        permit.forget();
        stage.end();
    })
    .part(super::case::CHECK, move |_, _| {
        let mut permits = Vec::new();
        while let Some(permit) = semaphore.try_acquire() {
            permits.push(permit);
        }
        match permits.len() {
            1 => semaphore.release(1).map(|()| Reply::Fine).map_err(|refused| refused.to_string()),
            2 => Ok(Reply::Recovered),
            other => Err(format!("{other} of two permits are there after one was forgotten")),
        }
    })
    .part(super::case::FINISH, all_of(semaphore, 2))
}

/// Acquires the only permit and gives it back.
fn take_only(semaphore: &'static Semaphore) -> impl Fn(Stage, &mut Hands) -> Result<Reply, String> + Clone + 'static {
    move |stage, _| {
        let permit = semaphore.acquire_timeout(PATIENCE).ok_or("the only permit does not come back")?;
        let inside = stage.is_victim_inside();
        if inside && !stage.is_victim_killed() {
            return Err("one permit, and two who have it".to_owned());
        }
        stage.alone(|| ())?;
        stage.victim_inside(false);
        drop(permit);
        Ok(if inside { Reply::Recovered } else { Reply::Fine })
    }
}

/// Acquires all permits, sees that there is no further one, and gives them back.
fn all_of(
    semaphore: &'static Semaphore,
    count: u32,
) -> impl Fn(Stage, &mut Hands) -> Result<Reply, String> + Clone + 'static {
    move |stage, _| {
        let acquire = || semaphore.acquire_timeout(PATIENCE);
        let permits: Vec<_> = (0..count).map_while(|_| acquire()).collect();
        if permits.len() < count as usize {
            return Err(format!("{} of {count} permits are there", permits.len()));
        }
        if semaphore.try_acquire().is_some() {
            return Err(format!("there are more than {count} permits"));
        }
        drop(permits);
        if stage.is_victim_killed() && semaphore.available() != count {
            return Err(format!("{} of {count} permits are available", semaphore.available()));
        }
        Ok(Reply::Fine)
    }
}
