// Package shapes has something of all that coverage has to tell apart.
package shapes

import "errors"

// Shape is a square or nothing.
type Shape struct{ side int }

// New refuses what is no side.
func New(side int) (Shape, error) {
	if side < 0 || side > 1000 {
		return Shape{}, errors.New("no side")
	}
	return Shape{side}, nil
}

// Area is that of all shapes.
func Area(shapes ...Shape) int {
	sum := 0
	for _, shape := range shapes {
		switch {
		case shape.side == 0:
			continue
		case shape.side > 100:
			sum += 100
		default:
			sum += shape.side * shape.side
		}
	}
	return sum
}

// Never is not called.
func Never(n int) func() int {
	return func() int {
		if n > 1 { return n }; return 1
	}
}

// Half has a function within, which runs.
func Half(n int) int {
	half := func() int { return n / 2 }
	return half()
}
