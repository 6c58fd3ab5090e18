"""Test collections that PyPI packages carry: documents, and questions with the documents that answer them.

Judged by a person:
- `notes`: the notes and bookmarks of one person's knowledge base (Semanlink, carried by cherche 2.2.1), those with some text;
  a tag's name is the question, what that person filed under the tag answers it. English, and some French.

Given by construction, one answer each:
- `pylint → ruff`: ruff's rules say which check of pylint they took over; pylint's description of the check is the question,
  the rule's explanation (written anew by other people) the one document that answers it.
- `ruff`: what a rule reports is the question, its explanation the answer.
- `pylint`: what a check reports is the question, its description the answer.
"""

import importlib.metadata
import json
import re
import subprocess

# Characters of a note that says something.
NOTE_AT_LEAST = 200
# Notes under a tag that is a question: more of them are a subject area, and one alone a private name.
FILED = range(2, 51)


def collections():
    """Title, documents by name, and questions by name: the text, and who answers it."""
    yield "notes", *notes()
    yield from linters()


def linters():
    """Of `collections` those with one answer to each question."""
    rules, messages = ruff_rules(), list(pylint_messages())
    explanations = {rule["code"]: rule["explanation"] for rule in rules}
    meanings = {code: meaning for code, _, meaning in messages}
    took_over = {code: "PL" + code for code in meanings if "PL" + code in explanations}
    yield "pylint → ruff", explanations, {code: (meanings[code], {rule}) for code, rule in took_over.items()}
    reports = {rule["code"]: plain(rule["message_formats"][0]) for rule in rules if rule["message_formats"]}
    yield "ruff", explanations, {code: (text, {code}) for code, text in reports.items() if text}
    yield "pylint", meanings, {code: (message, {code}) for code, message, _ in messages if message}


def notes():
    # The package itself is not imported: it would want a framework for neural networks.
    files = {file.name: file.locate() for file in importlib.metadata.files("cherche") if "semanlink" in file.parts}
    with open(files["docs.json"], encoding="utf-8") as file:
        entries = json.load(file)
    with open(files["tags.json"], encoding="utf-8") as file:
        labels = {name: " ".join(tag["prefLabel"]) for name, tag in json.load(file).items()}
    documents, filed = {}, {}
    for entry in entries:
        text = " ".join(" ".join(entry[part] for part in ["title", "comment", "arxiv_title", "arxiv_summary"]).split())
        if len(text) < NOTE_AT_LEAST:
            continue
        documents[entry["document"]] = text
        for tag in entry["tag"]:
            filed.setdefault(tag, set()).add(entry["document"])
    questions = {tag: (labels[tag], found) for tag, found in filed.items() if len(found) in FILED and labels.get(tag)}
    return documents, questions


def ruff_rules():
    rules = json.loads(subprocess.run(["ruff", "rule", "--all", "--output-format", "json"], capture_output=True, check=True).stdout)
    return [rule for rule in rules if rule.get("code")]


def pylint_messages():
    """Code, what is reported, and what it means, of each message."""
    text = subprocess.run(["pylint", "--list-msgs"], capture_output=True, check=True, text=True).stdout
    for entry in re.split(r"\n(?=:)", text):
        if found := re.match(r":\S+ \((\w+)\): \*(.*?)\*\n(.*)", entry, re.S):
            code, message, meaning = found.groups()
            yield code, plain(message), " ".join(meaning.split())


def plain(message):
    """A message without the places of its arguments."""
    return " ".join(re.sub(r"%\w|%\([^)]*\)\w|\{[^}]*\}|`+", " ", message).split())
