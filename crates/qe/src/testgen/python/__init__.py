"""Test generation for Python, run by the interpreter of the project."""
