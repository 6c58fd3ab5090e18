//! Something of all that coverage has to tell apart.

mod shapes;

use shapes::{Shape, total};

fn smallest<T: PartialOrd + Copy>(all: &[T]) -> Option<T> {
    let mut found = *all.first()?;
    for one in all {
        if *one < found {
            found = *one;
        }
    }
    Some(found)
}

fn number(text: &str) -> Result<u32, std::num::ParseIntError> {
    let number = text.trim().parse()?;
    Ok(if number > 100 { 100 } else { number })
}

fn never(n: u32) -> u32 {
    if n == 0 || n > 7 && n % 2 == 0 {
        return 1;
    }
    n * 2
}

macro_rules! twice {
    ($value:expr) => {
        if $value > 1 { $value * 2 } else { $value }
    };
}

fn main() {
    let doubled: Vec<i32> = [3, 1, 2].iter().map(|n| twice!(*n)).collect();
    println!("{:?} {:?}", smallest(&doubled), smallest(&[2.5, 1.5]));
    println!("{:?} {}", number("12"), number("x").is_err());
    let unused = |n: u32| {
        // A closure that nobody calls.
        never(n)
    };
    let _ = unused;
    println!("{}", total(&[Shape::Square(2), Shape::Line]));
}
