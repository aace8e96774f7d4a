//! A scope ends before its caller, but its children are processes all the same: a closure that captures is refused
//! there too.
//~ captures
//~ pass values as arguments

fn main() {
    let offset = 40_u64;
    multiprocess::scope(|scope| {
        let child = scope.spawn(move |x: u64| x + offset, (2,)).unwrap();
        println!("{}", child.join().unwrap());
    })
    .unwrap();
}
