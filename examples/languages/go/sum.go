package main

import (
	"fmt"
	"os"
)

func main() {
	in, _ := os.Open("numbers.txt")
	var n, sum int
	for {
		if _, err := fmt.Fscan(in, &n); err != nil {
			break
		}
		sum += n
	}
	os.WriteFile("result.txt", []byte(fmt.Sprint(twice(sum))), 0o644)
}
