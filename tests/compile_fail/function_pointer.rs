//! A function pointer is a value that only this process can follow: the function itself must be named.
//~ function pointer
//~ name the function itself

fn double(x: u64) -> u64 {
    x * 2
}

fn main() {
    let pointer: fn(u64) -> u64 = double;
    let child = multiprocess::spawn(pointer, (21,)).unwrap();
    println!("{}", child.join().unwrap());
}
