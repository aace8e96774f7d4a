//! A program that gives up some of its rights, before its first start or between two, and compares its child with
//! itself.
//!
//! Arguments: the change, `before` or `between`, `process` or `thread` (who changes and starts), the start method,
//! and a folder.

use crate::outcome;
use multiprocess::{Process, StartMethod};
use multiprocess_tests::methods;
use rustix::fs::{AtFlags, CWD, StatxFlags, statx};
use rustix::mount::{MountPropagationFlags, mount_bind_recursive, mount_change};
use rustix::process::{Gid, Uid, chroot};
use rustix::thread::{self, CapabilitySet, UnshareFlags};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fs;

/// The user and group that nobody else runs as.
const NOBODY: u32 = 65_534;

/// Makes the change and prints `equal`, `less`, `more` with the excess, or the error of the start.
pub fn run(arguments: &[String]) {
    let [change, moment, place, method, folder] = arguments else { panic!("five arguments are needed") };
    let method = methods::named(method);
    if change == "root" {
        bind_everything_at(folder);
    }
    if moment == "between" {
        start(method).expect("the first start, with all rights, works").join().expect("its child returns");
    }
    let verdict = match place.as_str() {
        "process" => changed_start(change, method, folder),
        _ => std::thread::scope(|scope| {
            scope
                .spawn(|| changed_start(change, method, folder))
                .join()
                .expect("the thread with fewer rights does not panic")
        }),
    };
    println!("verdict {verdict}");
}

fn changed_start(change: &str, method: StartMethod, folder: &str) -> String {
    give_up(change, folder);
    let own = Rights::of_this_thread();
    match start(method) {
        Ok(child) => match child.join() {
            Ok(child) => child.compared_with(&own),
            Err(error) => outcome::value::<()>(Err(error)),
        },
        Err(error) => outcome::refusal(&error),
    }
}

fn start(method: StartMethod) -> Result<multiprocess::Child<Rights>, multiprocess::Error> {
    Process::new(Rights::of_this_thread, ()).start_method(method).start()
}

/// Gives up one kind of right. What the C library does for all threads is done by it; the rest concerns the calling
/// thread.
fn give_up(change: &str, folder: &str) {
    match change {
        "user" => multiprocess_fixture_native::drop_to(NOBODY, NOBODY).expect("root may become nobody"),
        "thread-user" => {
            let (user, group) = (Uid::from_raw(NOBODY), Gid::from_raw(NOBODY));
            thread::set_thread_groups(&[]).expect("root may leave its groups");
            thread::set_thread_res_gid(group, group, group).expect("root may change its group");
            thread::set_thread_res_uid(user, user, user).expect("root may become nobody");
        }
        "effective-user" => {
            thread::set_thread_res_uid(None, Uid::from_raw(NOBODY), None).expect("root may act as nobody");
        }
        "no-new-privs" => thread::set_no_new_privs(true).expect("anybody may give up new privileges"),
        "capability" => {
            let mut sets = thread::capabilities(None).expect("a thread may see its capabilities");
            for set in [&mut sets.effective, &mut sets.permitted, &mut sets.inheritable] {
                set.remove(CapabilitySet::SYS_CHROOT);
            }
            thread::set_capabilities(None, sets).expect("anybody may drop a capability");
        }
        "bounding" => {
            thread::remove_capability_from_bounding_set(CapabilitySet::SYS_CHROOT)
                .expect("root may shrink its bounding set");
        }
        "root" => enter(folder),
        namespace => unshare(namespace),
    }
}

fn unshare(namespace: &str) {
    let flag = match namespace {
        "uts" => UnshareFlags::NEWUTS,
        "ipc" => UnshareFlags::NEWIPC,
        "net" => UnshareFlags::NEWNET,
        "mount" => UnshareFlags::NEWNS,
        "processes" => UnshareFlags::NEWPID,
        "user-namespace" => UnshareFlags::NEWUSER,
        unknown => panic!("no change is called {unknown:?}"),
    };
    // SAFETY: unshare is unsound only for descriptor tables, and none of these flags separates those.
    unsafe { thread::unshare_unsafe(flag) }.expect("root may leave its namespaces");
}

/// Makes the whole file system visible at `folder` too, for this process alone.
fn bind_everything_at(folder: &str) {
    unshare("mount");
    let all = MountPropagationFlags::PRIVATE | MountPropagationFlags::REC;
    mount_change("/", all).expect("root may make its mounts private");
    mount_bind_recursive("/", folder).expect("root may bind its file system");
}

fn enter(folder: &str) {
    chroot(folder).expect("root may change its root");
    std::env::set_current_dir("/").expect("the new root can be entered");
}

/// Prints what a start gives in a root that holds one file and nothing else: no loader, no `/proc`. Arguments: the
/// folder, the moment, and the start method.
pub fn bare_root(arguments: &[String]) {
    let [folder, moment, method] = arguments else { panic!("three arguments are needed") };
    let method = methods::named(method);
    let start = || outcome::joined(Process::new(root_listing, ()).start_method(method).start());
    if moment == "between" {
        start();
    }
    enter(folder);
    println!("own {:?}", root_listing());
    println!("outcome {}", start());
}

fn root_listing() -> Vec<String> {
    let entries = fs::read_dir("/").expect("the root can be listed");
    entries.map(|entry| entry.expect("an entry can be read").file_name().to_string_lossy().into_owned()).collect()
}

/// All that the kernel asks about when a thread wants something.
#[derive(Debug, Serialize, Deserialize)]
struct Rights {
    /// The lines of `status` by name: identities, groups, capabilities, and whether new privileges are given up.
    status: BTreeMap<String, Vec<u64>>,
    /// The namespaces by kind.
    namespaces: BTreeMap<String, String>,
    /// The mount and the inode of the root.
    root: (u64, u64),
}

/// The lines that are sets of bits, in which a child may have fewer.
const CAPABILITIES: [&str; 5] = ["CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"];

/// The kinds of namespaces. A process that changed its user may look at its own, but not list them.
const NAMESPACES: [&str; 9] = ["cgroup", "ipc", "mnt", "net", "pid", "pid_for_children", "time", "user", "uts"];

impl Rights {
    fn of_this_thread() -> Rights {
        let status = fs::read_to_string("/proc/thread-self/status").expect("a thread may read its status");
        let lines = status.lines().filter_map(|line| line.split_once(':'));
        let status = lines.filter_map(|(name, text)| {
            let base = match name {
                "Uid" | "Gid" | "Groups" | "NoNewPrivs" | "Seccomp" => 10,
                name if CAPABILITIES.contains(&name) => 16,
                _ => return None,
            };
            let numbers = text
                .split_whitespace()
                .map(|number| u64::from_str_radix(number, base).expect("the kernel writes numbers"));
            Some((name.to_owned(), numbers.collect()))
        });
        let namespaces = NAMESPACES.into_iter().map(|kind| {
            let link = fs::read_link(format!("/proc/thread-self/ns/{kind}"));
            (kind.to_owned(), link.map_or_else(|error| error.to_string(), |link| link.display().to_string()))
        });
        let root =
            statx(CWD, "/", AtFlags::empty(), StatxFlags::INO | StatxFlags::MNT_ID).expect("the root can be looked at");
        Rights { status: status.collect(), namespaces: namespaces.collect(), root: (root.stx_mnt_id, root.stx_ino) }
    }

    /// `equal`, `less: ..` or `more: ..`, seen from the child.
    fn compared_with(&self, parent: &Rights) -> String {
        let (mut less, mut more) = (Vec::new(), Vec::new());
        for (name, own) in &self.status {
            let parents = &parent.status[name];
            if own == parents {
                continue;
            }
            let smaller = match name.as_str() {
                name if CAPABILITIES.contains(&name) => own[0] & !parents[0] == 0,
                "Groups" => own.iter().all(|group| parents.contains(group)),
                "NoNewPrivs" | "Seccomp" => own > parents,
                _ => false,
            };
            let difference = format!("{name} {own:x?} where the parent has {parents:x?}");
            if smaller { less.push(difference) } else { more.push(difference) }
        }
        // A thread's own process namespace never changes; what it may change is that of its children.
        let mut namespaces = parent.namespaces.clone();
        let own = &self.namespaces["pid"];
        if !namespaces["pid_for_children"].starts_with("pid:") && *own != namespaces["pid"] {
            // The new namespace had no name until the child came, which is in it.
            namespaces.insert("pid_for_children".to_owned(), own.clone());
        }
        namespaces.insert("pid".to_owned(), namespaces["pid_for_children"].clone());
        if self.namespaces != namespaces {
            more.push(format!("namespaces {:?} where the parent gives {namespaces:?}", self.namespaces));
        }
        if self.root != parent.root {
            more.push(format!("root {:?} where the parent has {:?}", self.root, parent.root));
        }
        match (more.is_empty(), less.is_empty()) {
            (true, true) => "equal".to_owned(),
            (true, false) => format!("less: {}", less.join("; ")),
            (false, _) => format!("more: {}", more.join("; ")),
        }
    }
}
