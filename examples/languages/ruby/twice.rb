def twice(n) = 2 * n
