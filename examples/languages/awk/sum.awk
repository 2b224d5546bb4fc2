BEGIN {
    while ((getline number < "numbers.txt") > 0) sum += number
    print 2 * sum > "result.txt"
}
