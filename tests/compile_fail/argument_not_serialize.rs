//! An argument must be able to travel; the message names the type that cannot.
//~ OnlyHere
//~ Serialize

struct OnlyHere(u64);

fn open(value: OnlyHere) -> u64 {
    value.0
}

fn main() {
    let child = multiprocess::spawn(open, (OnlyHere(42),)).unwrap();
    println!("{}", child.join().unwrap());
}
