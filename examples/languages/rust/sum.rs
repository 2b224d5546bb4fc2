use std::fs;
mod twice;
fn main() {
    let text = fs::read_to_string("numbers.txt").unwrap();
    let sum: i32 = text.lines().map(|line| line.parse::<i32>().unwrap()).sum();
    fs::write("result.txt", twice::twice(sum).to_string()).unwrap();
}
