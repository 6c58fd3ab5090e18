"""Test collections with the judgements of people, from files that are not part of this repository (docs/memory.md says where
to get them). Each is a list of parts that are searched apart: documents by name, and questions by name: the text, and who
answers it.
"""

import json
import os
import re

SESSION = re.compile(r"session_\d+")
TURN = re.compile(r"D(\d+):0*(\d+)")
# What is asked of things that were never said (category 5) has no answer.
CATEGORIES = (1, 2, 3, 4)


def locomo(file):
    """LoCoMo: what two people said to each other in ten long conversations, each apart; the turns that answer a question."""
    with open(file, encoding="utf-8") as opened:
        return [conversation(one) for one in json.load(opened)]


def conversation(sample):
    documents, questions = {}, {}
    for session, turns in sample["conversation"].items():
        if SESSION.fullmatch(session):
            date = sample["conversation"][session + "_date_time"]
            for turn in turns:
                image = f" [{turn['blip_caption']}]" if "blip_caption" in turn else ""
                documents[turn["dia_id"]] = f"{turn['speaker']}, {date}: {turn['text']}{image}"
    for number, asked in enumerate(sample["qa"]):
        # Some name several turns in one string, or turns that are not there.
        found = {f"D{session}:{turn}" for session, turn in TURN.findall(" ".join(asked["evidence"]))} & documents.keys()
        if asked["category"] in CATEGORIES and found:
            questions[f"{sample['sample_id']}/{number}"] = (asked["question"], found)
    return documents, questions


def cranfield(folder):
    """Cranfield: abstracts on aerodynamics; judged from 1 (the least relevant) to 4, and -1 for what is of no interest."""
    return [smart(folder, ("cran.all.1400", "cran.qry", "cranqrel"), lambda degree: int(degree[0]) > 0)]


def cisi(folder):
    """CISI: abstracts on library science; what is named is relevant."""
    return [smart(folder, ("CISI.ALL", "CISI.QRY", "CISI.REL"), lambda _: True)]


def smart(folder, names, is_relevant):
    """The format of the SMART system: `.I` begins an entry, other letters its fields. Judgements count questions from 1."""
    entries, asked, judgements = (read(os.path.join(folder, name)) for name in names)
    documents = {name: text for name, text in fields(entries, ("T", "W")) if text}
    questions = {str(number): (text, set()) for number, (_, text) in enumerate(fields(asked, ("W",)), 1)}
    for line in judgements.splitlines():
        question, document, *degree = line.split()
        if document in documents and is_relevant(degree):
            questions[question][1].add(document)
    return documents, {name: one for name, one in questions.items() if one[1]}


def read(path):
    with open(path, encoding="latin-1") as file:
        return file.read()


def fields(text, wanted):
    """Name of each entry, and the text of the fields that are wanted."""
    for entry in re.split(r"^\.I ", text, flags=re.M)[1:]:
        name, _, rest = entry.partition("\n")
        parts = re.findall(r"^\.([A-Z])[ \t]*\n(.*?)(?=^\.[A-Z][ \t]*$|\Z)", rest, re.M | re.S)
        yield name.strip(), "\n".join(" ".join(part.split()) for letter, part in parts if letter in wanted).strip()
