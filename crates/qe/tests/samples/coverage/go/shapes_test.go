package shapes

import "testing"

func TestArea(t *testing.T) {
	square, err := New(3)
	if err != nil || Area(square, Shape{}) != 9 || Half(5) != 2 {
		t.Fatal(square, err)
	}
}
