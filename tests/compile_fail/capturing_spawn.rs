//! A closure that captures a value cannot be sent by `spawn`.
//~ captures
//~ pass values as arguments

fn main() {
    let offset = 40_u64;
    let child = multiprocess::spawn(move |x: u64| x + offset, (2,)).unwrap();
    println!("{}", child.join().unwrap());
}
