# Something of all that coverage has to tell apart.
class Shape
  attr_reader :side

  def initialize(side)
    raise ArgumentError, 'side' if side.negative? || side > 1000
    @side = side
  end

  def area
    case @side
    when 0
      0
    when 1..100
      @side * @side
    else
      100
    end
  end

  def never
    while @side.positive?
      @side -= 1
    end
    @side&.zero? ? 1 : 2
  end

  # :nocov:
  def hidden
    1
  end
  # :nocov:
end
