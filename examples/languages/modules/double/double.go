// Package double doubles.
package double

// Double returns twice a number.
func Double(number int) int { return 2 * number }
