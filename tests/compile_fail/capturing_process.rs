//! A closure that captures a value cannot be sent by the builder.
//~ captures
//~ pass values as arguments

fn main() {
    let offset = 40_u64;
    let child = multiprocess::Process::new(move |x: u64| x + offset, (2,)).start().unwrap();
    println!("{}", child.join().unwrap());
}
