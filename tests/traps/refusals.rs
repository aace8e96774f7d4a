//! Programs that cannot be found again by a child, and code outside the executable: refused at once, with the reason.

use crate::fixture::{self, Profile};
use crate::line;
use multiprocess_tests::{program, watched};
use std::fs;
use std::process::Command;
use std::time::Duration;

#[test]
fn program_started_through_the_dynamic_loader_is_refused() {
    watched("a program that the dynamic loader was told to run", Duration::from_secs(60), || {
        let program = env!("CARGO_BIN_EXE_multiprocess-test-program");
        let loader =
            interpreter(&fs::read(program).expect("the program can be read")).expect("the program names a loader");
        let output = Command::new(&loader).args([program, "loader"]).output().expect("the loader can be run");
        let printed = String::from_utf8_lossy(&output.stdout);
        assert!(printed.starts_with("main\n"), "{loader}: {printed}{}", String::from_utf8_lossy(&output.stderr));
        let outcome = line(&printed, "outcome");
        assert!(outcome.starts_with("start-error "), "{outcome}");
        assert!(outcome.contains("loader"), "the refusal does not say why: {outcome}");
    });
}

#[test]
fn function_of_a_plugin_is_refused() {
    watched("a plugin that starts a process", fixture::LIMIT, || {
        let plugin =
            fixture::build("multiprocess-fixture-plugin", Profile::Dev).join("libmultiprocess_fixture_plugin.so");
        let printed = program!("plugin", &plugin).succeed();
        let said = line(&printed, "plugin");
        assert!(said.starts_with("OutsideExecutable: "), "{said}");
        assert!(said.contains("executable"), "the refusal does not say why: {said}");
        // The program itself is unharmed.
        assert_eq!(line(&printed, "program"), "value 42");
    });
}

/// The program header that names the loader has this type.
const PT_INTERP: u64 = 3;

/// The path of the loader that a 64-bit little-endian ELF file asks for.
fn interpreter(file: &[u8]) -> Option<String> {
    let number = |at: usize, len: usize| {
        let bytes = file.get(at..at + len)?;
        Some(bytes.iter().rev().fold(0_u64, |number, byte| number << 8 | u64::from(*byte)))
    };
    let (table, size, count) = (number(32, 8)? as usize, number(54, 2)? as usize, number(56, 2)? as usize);
    let header = (0..count).map(|index| table + index * size).find(|at| number(*at, 4) == Some(PT_INTERP))?;
    let (at, len) = (number(header + 8, 8)? as usize, number(header + 32, 8)? as usize);
    let path = file.get(at..at + len)?.strip_suffix(b"\0")?;
    String::from_utf8(path.to_vec()).ok()
}
