mod twice;

use std::fs;

fn main() {
    let text = fs::read_to_string("numbers.txt").expect("numbers.txt");
    let sum: i64 = text.lines().map(|line| line.parse::<i64>().expect("a number")).sum();
    let mut buffer = itoa::Buffer::new();
    fs::write("result.txt", buffer.format(twice::twice(sum))).expect("result.txt");
}
