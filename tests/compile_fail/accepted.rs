//! The positive control: what the other programs do wrongly is done rightly here, and it builds.

fn add(a: u64, b: u64) -> u64 {
    a + b
}

fn main() {
    let child = multiprocess::spawn(add, (40, 2)).unwrap();
    println!("{}", child.join().unwrap());
    let process = multiprocess::Process::new(|x: u64| x * 2, (21,));
    println!("{}", process.start().unwrap().join().unwrap());
    multiprocess::scope(|scope| {
        println!("{}", scope.spawn(add, (40, 2)).unwrap().join().unwrap());
    })
    .unwrap();
}
