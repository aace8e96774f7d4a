//! A child is joined once: the value moves out.
//~ use of moved value
//~ child

fn answer() -> u64 {
    42
}

fn main() {
    let child = multiprocess::spawn(answer, ()).unwrap();
    println!("{}", child.join().unwrap());
    println!("{}", child.join().unwrap());
}
