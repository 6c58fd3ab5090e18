"""Questions and answers by which the likeness of texts in learning is measured, as JSON: the linters of `questions.py`, with
texts of a few sentences, as patterns have them.

Usage: likeness.py > FILE (needs ruff and pylint from PyPI). `crates/qe/src/learn/similarity/tests/measured.rs` says what reads it.
"""

import json
import random
import re
import sys

from questions import linters

# Questions of one collection: those of a larger one are drawn, the same in each run.
QUESTIONS = 300
# Bytes of a text, about.
LONGEST = 400


def short(text):
    """The beginning, without code and marks of Markdown."""
    plain = " ".join(re.sub(r"```.*?```|[#`*]", " ", text, flags=re.S).split())
    return plain[:LONGEST]


found = []
for title, documents, questions in linters():
    names = sorted(documents)
    place = {name: number for number, name in enumerate(names)}
    drawn = random.Random(7).sample(sorted(questions), min(QUESTIONS, len(questions)))
    asked = [(short(questions[name][0]), place[next(iter(questions[name][1]))]) for name in drawn]
    found.append({"title": title, "texts": [short(documents[name]) for name in names], "questions": asked})
json.dump(found, sys.stdout)
