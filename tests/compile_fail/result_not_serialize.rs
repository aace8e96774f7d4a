//! A result must be able to travel; the message names the type that cannot.
//~ OnlyThere
//~ Serialize

struct OnlyThere(u64);

fn make() -> OnlyThere {
    OnlyThere(42)
}

fn main() {
    let child = multiprocess::spawn(make, ()).unwrap();
    println!("{}", child.join().unwrap().0);
}
