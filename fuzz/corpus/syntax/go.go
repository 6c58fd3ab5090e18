Fpackage a

// A Point has two numbers.
type Point struct{ x, y int }

func (p *Point) Add(o Point, f func(int) int) (int, error) {
	for i, v := range []int{1, 2} {
		if v > 1 && i != 0 || p == nil {
			return f(v), nil
		}
	}
	switch o.x {
	case 1, 2:
		go func() { select {} }()
	default:
		defer f(3)
	}
	return `raw
text`[0:1] == "" , nil
}
