"""Questions and texts that answer them: the documentation of two linters, as PyPI packages carry it.

Relevance is given by their construction and not by us:
- `pylint → ruff`: ruff's rules say which check of pylint they took over; pylint's description of the check is the question,
  the rule's explanation (written anew by other people) the one document that answers it.
- `ruff`: what a rule reports is the question, its explanation the answer.
- `pylint`: what a check reports is the question, its description the answer.
"""

import json
import re
import subprocess


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


def collections():
    rules, messages = ruff_rules(), list(pylint_messages())
    explanations = {rule["code"]: rule["explanation"] for rule in rules}
    meanings = {code: meaning for code, _, meaning in messages}
    took_over = {code: "PL" + code for code in meanings if "PL" + code in explanations}
    yield "pylint → ruff", explanations, {code: (meanings[code], rule) for code, rule in took_over.items()}
    reports = {rule["code"]: plain(rule["message_formats"][0]) for rule in rules if rule["message_formats"]}
    yield "ruff", explanations, {code: (text, code) for code, text in reports.items() if text}
    yield "pylint", meanings, {code: (message, code) for code, message, _ in messages if message}
