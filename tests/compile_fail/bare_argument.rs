//! Arguments are a tuple, also when there is only one.
//~ expected tuple

fn double(x: u64) -> u64 {
    x * 2
}

fn main() {
    let child = multiprocess::spawn(double, 21_u64).unwrap();
    println!("{}", child.join().unwrap());
}
