package org.example;

import java.util.ArrayList;
import java.util.List;
import java.util.function.IntUnaryOperator;

/** Something of all that coverage has to tell apart. */
public class Shapes {
    enum Kind { SQUARE, LINE }

    interface Area {
        int of(int side);

        default int twice(int side) {
            return 2 * of(side);
        }
    }

    private final List<Integer> sides = new ArrayList<>();
    private final IntUnaryOperator half = n -> n / 2;

    static int never(int n) {
        while (n > 0) {
            n--;
        }
        return n;
    }

    void add(int side) {
        if (side < 0 || side > 1000) {
            throw new IllegalArgumentException("side: " + side);
        }
        sides.add(side);
    }

    int area(Kind kind) {
        int sum = 0;
        for (int side : sides) {
            switch (kind) {
                case SQUARE:
                    sum += side * side;
                    break;
                case LINE:
                    sum += 0;
                    break;
            }
        }
        return sum;
    }

    String told(String name) {
        try (java.io.StringWriter out = new java.io.StringWriter()) {
            out.write(name == null ? "?" : name);
            return out.toString();
        } catch (java.io.IOException error) {
            return "";
        }
    }

    class Inner {
        int first() {
            return sides.isEmpty() ? 0 : half.applyAsInt(sides.get(0));
        }
    }

    public static void main(String[] arguments) {
        Shapes shapes = new Shapes();
        shapes.add(3);
        shapes.add(4);
        Area area = new Area() {
            @Override
            public int of(int side) {
                return side * side;
            }
        };
        System.out.println(shapes.area(Kind.SQUARE) + area.twice(2) + shapes.new Inner().first());
        System.out.println(shapes.told(null));
        try {
            shapes.add(-1);
        } catch (IllegalArgumentException expected) {
            System.out.println(expected.getMessage());
        }
        Runnable later = () -> System.out.println(never(1));
        if (arguments.length > 0) later.run();
    }
}
