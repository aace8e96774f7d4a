//! Named objects: a name that somebody died with can be used again, by all in the same way, and nothing is left of it when
//! nobody uses it.

use super::case::{CHECK, Case, FINISH, Hands, LATE, Reply, SETUP, Stage};
use multiprocess::Mutex;
use multiprocess_tests::names;
use std::fs;

/// The cases of this file.
pub const CASES: &[fn() -> Case] = &[create, open, open_or_create, close, close_last];

/// What all processes of a case know the object by.
#[derive(Clone, Copy)]
struct Name(&'static str);

impl Name {
    fn new() -> Name {
        Name(names::unique("killed-with").leak())
    }

    /// Opens or makes the object and keeps it.
    fn attach(self) -> impl Fn(Stage, &mut Hands) -> Result<Reply, String> + Clone + 'static {
        move |_, hands| {
            let mutex = Mutex::<u64>::open_or_create(self.0, 7).map_err(|error| error.to_string())?;
            hands.push(Box::new(mutex));
            Ok(Reply::Fine)
        }
    }

    /// Does all that the case asks for at the end: the object can be had, holds what it was made with, and is let go.
    fn use_and_close(self) -> impl Fn(Stage, &mut Hands) -> Result<Reply, String> + Clone + 'static {
        move |_, hands| {
            let mutex = Mutex::<u64>::open_or_create(self.0, 7).map_err(|error| error.to_string())?;
            let (value, told) = match mutex.lock() {
                Ok(value) => (*value, Reply::Fine),
                Err(_) => (*mutex.recover(), Reply::Recovered),
            };
            hands.clear();
            if value == 7 { Ok(told) } else { Err(format!("it was made with 7 and holds {value}")) }
        }
    }

    /// The first survivor finds the object that the second one has.
    fn same_as_other(self) -> impl Fn(Stage, &mut Hands) -> Result<Reply, String> + 'static {
        move |_, hands| {
            let mutex = Mutex::<u64>::open(self.0).map_err(|error| format!("it is there, and opening it: {error}"))?;
            let value = *mutex.lock().map_err(|died| died.to_string())?;
            hands.clear();
            if value == 7 { Ok(Reply::Fine) } else { Err(format!("it was made with 7 and holds {value}")) }
        }
    }

    /// That no file of that name is left.
    fn nothing_left(self) -> impl Fn() -> Result<(), String> + 'static {
        move || {
            let entries = fs::read_dir("/dev/shm").map_err(|error| error.to_string())?;
            let names = entries.flatten().map(|entry| entry.file_name().to_string_lossy().into_owned());
            let left: Vec<String> = names.filter(|name| name.contains(self.0)).collect();
            if left.is_empty() { Ok(()) } else { Err(format!("left behind: {left:?}")) }
        }
    }

    /// The survivors' parts: one attaches while the victim stands where it will die, the other afterwards.
    fn shared(self, case: Case) -> Case {
        case.part(LATE, self.attach())
            .part(CHECK, self.same_as_other())
            .part(FINISH, self.use_and_close())
            .afterwards(self.nothing_left())
    }
}

fn create() -> Case {
    let name = Name::new();
    name.shared(Case::new("named, create", "a new name", move |stage| {
        stage.begin();
        let _mutex = Mutex::<u64>::create(name.0, 7);
        stage.end();
    }))
}

fn open() -> Case {
    let name = Name::new();
    name.shared(Case::new("named, open", "another has it", move |stage| {
        stage.begin();
        let _mutex = Mutex::<u64>::open(name.0);
        stage.end();
    }))
    .part(SETUP, name.attach())
}

fn open_or_create() -> Case {
    let name = Name::new();
    name.shared(Case::new("named, open_or_create", "a new name", move |stage| {
        stage.begin();
        let _mutex = Mutex::<u64>::open_or_create(name.0, 7);
        stage.end();
    }))
}

fn close() -> Case {
    let name = Name::new();
    name.shared(Case::new("named, drop", "another has it", move |stage| {
        let mutex = Mutex::<u64>::open_or_create(name.0, 7);
        stage.begin();
        drop(mutex);
        stage.end();
    }))
    .part(SETUP, name.attach())
}

fn close_last() -> Case {
    let name = Name::new();
    name.shared(Case::new("named, drop", "the last one", move |stage| {
        let mutex = Mutex::<u64>::open_or_create(name.0, 7);
        stage.begin();
        drop(mutex);
        stage.end();
    }))
}
