//! The two ways to start a child, told apart from inside the child.

use multiprocess::{Process, StartMethod, spawn};
use multiprocess_tests::checked;
use multiprocess_tests::methods::{self, start};
use std::fs;

multiprocess_tests::for_each_start_method![context, method_of_a_child_is_its_own];

/// Where the kernel has put a process: the same for all that were cloned from one, another for each image that was
/// executed. `None` where the kernel does not choose at random.
fn placement() -> Option<Vec<u8>> {
    let random = fs::read_to_string("/proc/sys/kernel/randomize_va_space").ok()?;
    let personality = fs::read_to_string("/proc/self/personality").unwrap_or_default();
    let fixed = u32::from_str_radix(personality.trim(), 16).is_ok_and(|bits| bits & 0x0004_0000 != 0);
    if random.trim() == "0" || fixed { None } else { fs::read("/proc/self/auxv").ok() }
}

fn placement_by(method: StartMethod) -> Option<Vec<u8>> {
    start(method, placement, ()).join().expect("the child returns")
}

/// `TestStartMethod.test_context`: each method does what it says: children of the fork server are clones of one process,
/// spawned ones are not.
fn context(method: StartMethod) {
    let (first, second) = (placement_by(method), placement_by(method));
    if first.is_some() {
        assert_eq!(first == second, method == StartMethod::ForkServer);
    }
}

/// `TestStartMethod.test_set_get`: there is no global setting that one start could leave behind for the next.
fn method_of_a_child_is_its_own(method: StartMethod) {
    let usual = || Process::new(placement, ()).start().expect("the child starts").join().expect("the child returns");
    let before = usual();
    placement_by(method);
    assert_eq!(usual(), before);
}

/// `TestStartMethod.test_get_all_start_methods`: the usual method is the fork server. Forking the program itself is not
/// among the methods.
#[test]
fn get_all_start_methods() {
    checked("children by the usual method", || {
        let usual = spawn(placement, ()).expect("the child starts").join().expect("the child returns");
        assert_eq!(usual, placement_by(StartMethod::ForkServer));
        let built = Process::new(placement, ()).start().expect("the child starts").join().expect("the child returns");
        assert_eq!(built, usual);
        let words = [StartMethod::ForkServer, StartMethod::Spawn].map(methods::name);
        assert_eq!(words, ["fork-server", "spawn"]);
    });
}
