package org.example;

/** Compiled, and used by nobody. */
class Unused {
    int area(int width, int height) {
        return width > height ? width * height : width;
    }
}
