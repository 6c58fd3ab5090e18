#[derive(Debug, Clone)]
pub enum Shape {
    Square(u32),
    Oblong { width: u32, height: u32 },
    Line,
}

impl Shape {
    fn area(&self) -> u32 {
        match self {
            Self::Square(side) => side * side,
            Self::Oblong { width, height } if width > height => width * height,
            Self::Oblong { width, .. } => *width,
            Self::Line => 0,
        }
    }
}

pub fn total(shapes: &[Shape]) -> u32 {
    shapes.iter().map(Shape::area).sum()
}
