//! Files that lie where an object would be and are none, with nobody who owns them: links, folders, damaged copies, noise.

use crate::kinds::KINDS;
use multiprocess::{ErrorKind, Event};
use multiprocess_tests::checked;
use multiprocess_tests::names::unique;
use multiprocess_tests::privilege::needs_root;
use multiprocess_tests::scratch::Scratch;
use rustix::fs::{CWD, FileType, Mode, mknodat};
use std::fs::{self, File, Permissions};
use std::io::Write as _;
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _, fchown, symlink};
use std::path::{Path, PathBuf};

/// The file behind the open object called `name`: the library's own prefix and the name.
pub fn file_of(name: &str) -> PathBuf {
    let folder = fs::read_dir("/dev/shm").expect("the folder of shared memory can be read");
    let paths = folder.flatten().map(|entry| entry.path());
    let found: Vec<PathBuf> = paths.filter(|path| path.to_string_lossy().ends_with(name)).collect();
    assert_eq!(found.len(), 1, "one file for one object: {found:?}");
    found.into_iter().next().expect("there is one")
}

/// A source of noise that is the same in every run (splitmix64).
pub struct Noise(pub u64);

impl Noise {
    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }

    pub fn bytes(&mut self, length: usize) -> Vec<u8> {
        let words = std::iter::repeat_with(|| self.next().to_le_bytes());
        words.take(length.div_ceil(8)).flatten().take(length).collect()
    }
}

/// A name, the path of its file, and what that file holds when it is an event's. Nobody has it open any more.
struct Place {
    name: String,
    path: PathBuf,
    sound: Vec<u8>,
}

impl Place {
    fn new() -> Place {
        let name = unique("file");
        let event = Event::create(&name).expect("an event can be made");
        let path = file_of(&name);
        let sound = fs::read(&path).expect("the file can be read");
        drop(event);
        assert!(!path.exists(), "the last user has removed it");
        Place { name, path, sound }
    }

    /// Puts a file there that holds `bytes`, as an object's file would be but for its contents. What is done to it further is
    /// done through the file: another process may sweep its name away at any time.
    fn put(&self, bytes: &[u8]) -> File {
        let options = File::options().write(true).create_new(true).mode(0o600).open(&self.path);
        let mut file = options.expect("nothing is there");
        file.write_all(bytes).expect("the file can be written");
        file
    }

    /// Opens it as every kind, and wants errors. `put` lays it there anew each time, because a name without a live user
    /// may be cleaned up by whoever comes across it.
    fn opens_as_nothing(&self, case: &str, put: impl Fn()) {
        for kind in &KINDS {
            put();
            let Err(error) = (kind.open)(&self.name) else { panic!("{case} was opened as a {}", kind.what) };
            assert_eq!(error.object(), Some(self.name.as_str()), "{case}: {error}");
            assert!(error.to_string().contains(&self.name), "{case}: {error}");
            self.remove();
        }
    }

    /// Creates every kind over it: an object that works, or an error that names it.
    fn creates_or_says_why(&self, case: &str, put: impl Fn()) {
        for (number, kind) in KINDS.iter().enumerate() {
            for call in [kind.create, kind.open_or_create] {
                put();
                match call(&self.name) {
                    Ok(object) => {
                        let opened = (kind.open)(&self.name).unwrap_or_else(|error| panic!("{case}: {error}"));
                        drop((object, opened));
                    }
                    Err(error) => assert_eq!(error.object(), Some(self.name.as_str()), "{case}, {number}: {error}"),
                }
                self.remove();
            }
        }
    }

    /// Removes whatever is there now.
    fn remove(&self) {
        if fs::remove_file(&self.path).is_err() {
            // It is a folder, or there is nothing, which is what is wanted.
            let _ = fs::remove_dir(&self.path);
        }
    }
}

/// Runs `put` before each call on a place of its own.
fn is_no_object(case: &str, put: impl Fn(&Place)) {
    let place = Place::new();
    place.opens_as_nothing(case, || put(&place));
    place.creates_or_says_why(case, || put(&place));
}

#[test]
fn folder() {
    checked("a folder", || {
        is_no_object("a folder", |place| fs::create_dir(&place.path).expect("a folder can be made"));
    });
}

#[test]
fn named_pipe_does_not_block() {
    checked("a named pipe", || {
        is_no_object("a named pipe", |place| {
            mknodat(CWD, &place.path, FileType::Fifo, Mode::RUSR | Mode::WUSR, 0).expect("a named pipe can be made");
        });
    });
}

/// A link is not followed, whether it leads to a sound object's bytes, somebody's file, or nowhere; what it leads to stays as
/// it is.
#[test]
fn link() {
    checked("links", || {
        let scratch = Scratch::new();
        let target = scratch.join("target");
        let sound = Place::new().sound;
        for bytes in [&sound[..], b"precious"] {
            fs::write(&target, bytes).expect("a file can be written");
            fs::set_permissions(&target, Permissions::from_mode(0o600)).expect("the mode can be set");
            is_no_object("a link", |place| symlink(&target, &place.path).expect("a link can be made"));
            assert!(fs::read(&target).expect("the file is there") == bytes, "the link's target was changed");
        }
        is_no_object("a link to nowhere", |place| {
            symlink(scratch.join("no"), &place.path).expect("a link can be made")
        });
        assert!(!scratch.join("no").exists(), "the link's target was made");
        is_no_object("a link to the null device", |place| {
            symlink("/dev/null", &place.path).expect("a link can be made")
        });
    });
}

/// A link that leads to a live object of another name is not that object.
#[test]
fn link_to_a_live_object() {
    checked("a link to a live object", || {
        let name = unique("target");
        let event = Event::create(&name).expect("an event can be made");
        let target = file_of(&name);
        let place = Place::new();
        let put = || symlink(&target, &place.path).expect("a link can be made");
        place.opens_as_nothing("a link to a live object", put);
        place.creates_or_says_why("a link to a live object", put);
        event.set();
        assert!(Event::open(&name).expect("it is still there").is_set());
    });
}

#[test]
fn uniform_bytes() {
    checked("uniform bytes", || {
        for byte in [0, 0xFF, b'A'] {
            for length in [0, 1, 63, 64, 4096, 65_536] {
                let bytes = vec![byte; length];
                is_no_object(&format!("{length} bytes {byte:#x}"), |place| drop(place.put(&bytes)));
            }
        }
    });
}

/// What a program that was killed while it made an object may leave: any length of it. And a file that grew.
#[test]
fn sound_bytes_of_another_length() {
    checked("sound bytes of another length", || {
        let length = Place::new().sound.len();
        let lengths = [1, 8, 64, 100, 512, 4095, 4096, 4097, length / 2, length - 1, length + 1, length + 4096];
        for cut in lengths {
            is_no_object(&format!("{cut} of {length} bytes"), |place| {
                let mut bytes = place.sound.clone();
                bytes.resize(cut, 0);
                place.put(&bytes);
            });
        }
    });
}

/// A sound file that nobody has open is what a killed user left. It counts as gone.
#[test]
fn sound_bytes_without_an_owner() {
    checked("a sound file without an owner", || {
        let place = Place::new();
        place.put(&place.sound);
        let error = Event::open(&place.name).map(drop).expect_err("nobody has it open");
        assert_eq!((error.kind(), error.object()), (ErrorKind::NotFound, Some(place.name.as_str())), "{error}");
        assert!(!is_there(&place.path), "who finds such a file removes it");
        place.put(&place.sound);
        let event = Event::create(&place.name).expect("the name is free");
        assert!(!event.is_set());
    });
}

/// Several hundred files of noise, some with the beginning of a sound one.
#[test]
fn noise() {
    const SEED: u64 = 0x5EED_0001;
    println!("seed {SEED:#x}");
    checked("files of noise", || {
        let mut noise = Noise(SEED);
        let place = Place::new();
        for round in 0..400 {
            let length = usize::try_from(noise.next() % 20_000).expect("a length is small");
            let mut bytes = noise.bytes(length);
            let sound = usize::try_from(noise.next() % 256).expect("a length is small").min(length) & !7;
            if round % 2 == 0 {
                bytes[..sound].copy_from_slice(&place.sound[..sound]);
            }
            let kind = &KINDS[round % KINDS.len()];
            place.put(&bytes);
            let Err(error) = (kind.open)(&place.name) else { panic!("noise was opened as a {}", kind.what) };
            assert_eq!(error.object(), Some(place.name.as_str()), "round {round}: {error}");
            place.remove();
            place.put(&bytes);
            match (kind.open_or_create)(&place.name) {
                Ok(object) => drop(object),
                Err(error) => assert_eq!(error.object(), Some(place.name.as_str()), "round {round}: {error}"),
            }
            place.remove();
        }
    });
}

/// A file that others may read, or that belongs to somebody else, is not ours, whatever it holds.
#[test]
fn file_of_others() {
    checked("files of others", || {
        for mode in [0o644, 0o660, 0o777, 0o400, 0o000] {
            is_no_object(&format!("a file of mode {mode:o}"), |place| {
                let file = place.put(&place.sound);
                file.set_permissions(Permissions::from_mode(mode)).expect("the mode can be set");
            });
        }
        if needs_root("a file of another user") {
            is_no_object("a file of another user", |place| {
                let file = place.put(&place.sound);
                fchown(&file, Some(12_345), Some(12_345)).expect("root may give a file away");
            });
        }
    });
}

/// Whether anything of the library lies at `path`.
pub fn is_there(path: &Path) -> bool {
    path.symlink_metadata().is_ok()
}
