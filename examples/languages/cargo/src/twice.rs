pub fn twice(number: i64) -> i64 {
    2 * number
}
