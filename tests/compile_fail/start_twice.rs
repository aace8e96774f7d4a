//! A process is started once.
//~ use of moved value
//~ process

fn answer() -> u64 {
    42
}

fn main() {
    let process = multiprocess::Process::new(answer, ());
    let first = process.start().unwrap();
    let second = process.start().unwrap();
    println!("{} {}", first.join().unwrap(), second.join().unwrap());
}
