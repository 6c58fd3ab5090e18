Gpackage a;
import java.util.*;
@interface Mark { int value() default 1; }
class A<T extends Comparable<T>> {
  @Test @Mark(2) public int f(int a, String... b) throws Exception {
    label: for (int i = 0; i < a; i++) { if (a > 1 ? b == null : i < 2) continue label; }
    try { return switch (a) { case 1, 2 -> 3; default -> { yield 4; } }; }
    catch (IllegalStateException | Error e) { Runnable r = () -> System.out.println("\u00e9" + e); }
    finally { do { a--; } while (a > 0 && a < 9); }
    return """
      text""".length();
  }
}
