//! Damage to an object while its owner lives: words of its header changed one by one, noise over it, its file cut short or
//! opened to others.
//!
//! The owner is a child that does nothing meanwhile. Who opens the object is this process, which has not attached to it
//! before; each time it must get an error that names the object, or an object, and nothing else.

use crate::files::{Noise, file_of, is_there};
use crate::kinds::{KINDS, own};
use multiprocess::{Child, Error, ErrorKind, StartMethod};
use multiprocess_tests::checked;
use multiprocess_tests::gate::Gate;
use multiprocess_tests::methods::start;
use multiprocess_tests::names::unique;
use multiprocess_tests::ready::Ready;
use rustix::fs::{FallocateFlags, fallocate};
use std::collections::HashSet;
use std::fs::{self, File, Permissions};
use std::os::unix::fs::{FileExt as _, MetadataExt as _, PermissionsExt as _};
use std::path::PathBuf;

/// The first page of a file: what the object is, and the beginning of the list of its users.
const BEGINNING: u64 = 4096;

/// What of it tells what the object is, and a little more.
const HEADER: u64 = 384;

/// The number of the event in the table.
const EVENT: usize = 5;

/// An object of one kind, whose owner is another process.
struct Owned {
    kind: usize,
    name: String,
    path: PathBuf,
    file: File,
    owner: Child<()>,
    gate: Gate,
}

impl Owned {
    fn new(kind: usize) -> Owned {
        let name = unique("damaged");
        let (mut ready, sayer) = Ready::new();
        let (gate, closed) = Gate::new();
        let owner = start(StartMethod::ForkServer, own, (kind, name.clone(), sayer, closed));
        ready.wait();
        let path = file_of(&name);
        let file = File::options().read(true).write(true).open(&path).expect("the file is ours");
        Owned { kind, name, path, file, owner, gate }
    }

    /// Opens it, and returns how that failed if it did.
    #[track_caller]
    fn open(&self, case: &str) -> Option<Error> {
        let error = (KINDS[self.kind].open)(&self.name).err()?;
        assert_eq!(error.object(), Some(self.name.as_str()), "{case}: {error}");
        Some(error)
    }

    /// It opens again after the damage was mended, and its owner closes it.
    fn finish_sound(self) {
        assert!(self.open("after mending").is_none());
        self.gate.open();
        self.owner.join().expect("the owner returns");
        assert!(!is_there(&self.path), "the last user has removed it");
    }

    /// The damage stays: its owner is killed, and the name can be used again.
    fn give_up(self) {
        self.owner.kill().expect("the owner can be killed");
        self.owner.wait().expect("the owner can be waited for");
        self.gate.open();
        let again = (KINDS[self.kind].create)(&self.name);
        drop(again.unwrap_or_else(|error| panic!("the name stays taken: {error}")));
        assert!(!is_there(&self.path), "the last user has removed it");
    }
}

/// Changes each word in turn, in several ways. What never changes (what it is, of which kind and version, how long) is
/// missed at once; what lives may have any value.
#[test]
fn each_word_of_the_header() {
    for (number, kind) in KINDS.iter().enumerate() {
        checked(&format!("damaging words of a {}", kind.what), || {
            let owned = Owned::new(number);
            let mut seen = HashSet::new();
            let mut bytes = [0; 8];
            let end = if number == EVENT { BEGINNING } else { HEADER };
            for place in (0..end).step_by(8) {
                for change in [u64::MAX, 1, 1 << 32, 1 << 63, 0xFF << 24] {
                    owned.file.read_exact_at(&mut bytes, place).expect("the word is there");
                    let changed = u64::from_le_bytes(bytes) ^ change;
                    owned.file.write_all_at(&changed.to_le_bytes(), place).expect("the file can be written");
                    seen.extend(owned.open(&format!("word {place} changed by {change:#x}")).map(|error| error.kind()));
                    owned.file.write_all_at(&bytes, place).expect("the file can be written");
                }
            }
            for kind in [ErrorKind::WrongKind, ErrorKind::WrongVersion, ErrorKind::Damaged] {
                assert!(seen.contains(&kind), "nothing was {kind:?}, only {seen:?}");
            }
            owned.finish_sound();
        });
    }
}

/// Noise over the whole header, several hundred times.
#[test]
fn noise_over_the_header() {
    const SEED: u64 = 0x5EED_0002;
    println!("seed {SEED:#x}");
    checked("noise over headers", || {
        let mut noise = Noise(SEED);
        for kind in [EVENT, 6, 10, 11] {
            let owned = Owned::new(kind);
            let mut sound = vec![0; usize::try_from(BEGINNING).expect("a page is small")];
            owned.file.read_exact_at(&mut sound, 0).expect("the header is there");
            for round in 0..100 {
                // The first bytes tell what it is; noise in them hides the rest.
                let kept = 8 * (round % 16);
                let bytes = noise.bytes(sound.len() - kept);
                owned.file.write_all_at(&bytes, kept as u64).expect("the file can be written");
                let error = owned.open("noise");
                assert!(kept > 0 || error.is_some(), "noise was opened as a {}", KINDS[kind].what);
                owned.file.write_all_at(&sound, 0).expect("the file can be written");
            }
            owned.give_up();
        }
    });
}

#[test]
fn zeros_and_ones_over_the_header() {
    checked("uniform bytes over headers", || {
        for byte in [0, 0xFF] {
            let owned = Owned::new(EVENT);
            let bytes = vec![byte; usize::try_from(BEGINNING).expect("a page is small")];
            owned.file.write_all_at(&bytes, 0).expect("the file can be written");
            assert!(owned.open("uniform bytes").is_some());
            owned.give_up();
        }
    });
}

/// Cut short, it must be refused: reading where a file has no bytes any more ends a process by SIGBUS.
#[test]
fn file_cut_short() {
    checked("files cut short", || {
        for kind in [EVENT, 10, 11] {
            let owned = Owned::new(kind);
            let whole = owned.file.metadata().expect("the file is there").len();
            for length in [whole - 1, whole - 4096, whole / 2, 4096, 4095, 64, 63, 8, 1, 0] {
                owned.file.set_len(length).expect("the file can be cut");
                assert!(
                    owned.open(&format!("{length} of {whole} bytes")).is_some(),
                    "{length} of {whole} bytes opened"
                );
            }
            owned.give_up();
        }
    });
}

/// Memory that the owner had reserved and that is there no more: whoever touched it might die of it where memory is short.
#[test]
fn file_with_a_hole() {
    checked("files with a hole", || {
        for kind in 0..KINDS.len() {
            let owned = Owned::new(kind);
            let place = FallocateFlags::PUNCH_HOLE | FallocateFlags::KEEP_SIZE;
            // What it has beyond one page; some kinds have nothing there.
            let taken = || owned.file.metadata().expect("the file is there").blocks() * 512;
            let before = taken();
            fallocate(&owned.file, place, BEGINNING, BEGINNING).expect("a hole can be made");
            if taken() == before {
                assert!(owned.open("a hole where nothing was").is_none());
                owned.finish_sound();
                continue;
            }
            let error = owned.open("a hole").expect("part of it is missing");
            assert_eq!(error.kind(), ErrorKind::Damaged, "{error}");
            assert!(error.to_string().contains("not there"), "{error}");
            owned.give_up();
        }
    });
}

/// What others may read or write is refused, also while it is in use.
#[test]
fn file_opened_to_others() {
    checked("files opened to others", || {
        let owned = Owned::new(EVENT);
        for mode in [0o644, 0o666, 0o640] {
            fs::set_permissions(&owned.path, Permissions::from_mode(mode)).expect("the mode can be set");
            assert!(owned.open(&format!("mode {mode:o}")).is_some(), "a file of mode {mode:o} was opened");
        }
        fs::set_permissions(&owned.path, Permissions::from_mode(0o600)).expect("the mode can be set");
        owned.finish_sound();
    });
}
