package main

import (
	"fmt"
	"os"
	"strings"

	"example.org/sum/double"
	"github.com/google/uuid"
)

func main() {
	text, err := os.ReadFile("numbers.txt")
	if err != nil {
		panic(err)
	}
	sum := 0
	for _, line := range strings.Fields(string(text)) {
		var number int
		fmt.Sscan(line, &number)
		sum += number
	}
	result := fmt.Sprintf("%d %d\n", double.Double(sum), len(uuid.NewString()))
	if err := os.WriteFile("result.txt", []byte(result), 0o644); err != nil {
		panic(err)
	}
}
