"""How well memory search finds what is meant: nDCG@10 by words, by vectors and by both, beside SQLite's FTS5 and the search
of the official memory server (a substring of the whole query), on collections that PyPI packages carry.

Usage: retrieval.py -- COMMAND…

The collections are those of `descriptions.py`.
"""

import json
import math
import random
import re
import sqlite3
import sys

from ranx import Qrels, Run, evaluate

from descriptions import collections
from tools import check, finish, opened

DEPTH = 50
# Questions of one collection: those of a larger one are drawn, the same in each run.
QUESTIONS = 300
# What the hybrid mode must add to the lexical one on the mean of the collections.
MARGIN_AT_LEAST = 0.003
COMMON = set("a an and are as at be by for from has have how if in into is it its no not of on or s should that the their there"
             " these they this to use used using was when which will with you your".split())


class Fts5:
    def __init__(self, documents):
        self.file = sqlite3.connect(":memory:")
        self.file.execute("CREATE VIRTUAL TABLE d USING fts5(name UNINDEXED, text, tokenize='porter unicode61')")
        self.file.executemany("INSERT INTO d VALUES (?, ?)", documents.items())

    def __call__(self, query):
        words = re.findall(r"\w+", query.lower())
        words = [word for word in words if word not in COMMON] or words
        question = " OR ".join(f'"{word}"' for word in dict.fromkeys(words))
        rows = self.file.execute("SELECT name FROM d WHERE d MATCH ? ORDER BY rank LIMIT ?", (question, DEPTH))
        return [name for (name,) in rows]


def substring(documents):
    return lambda query: [name for name, text in documents.items() if query.lower() in text.lower()][:DEPTH]


def reciprocal_ranks(*lists):
    """Reciprocal rank fusion, equal weights, k = 60."""
    scores = {}
    for ranking in lists:
        for rank, name in enumerate(ranking, 1):
            scores[name] = scores.get(name, 0) + 1 / (60 + rank)
    return sorted(scores, key=scores.get, reverse=True)


def ndcg(ranking, relevant):
    """With one relevant document the ideal gain is 1."""
    return 1 / math.log2(ranking[:10].index(relevant) + 2) if relevant in ranking[:10] else 0.0


def interval(differences):
    """95 % of the means of resampled questions."""
    chance = random.Random(7)
    means = sorted(sum(chance.choices(differences, k=len(differences))) / len(differences) for _ in range(2000))
    return means[50], means[1949]


def main():
    _, tools = opened(sys.argv)
    gains = []
    for title, documents, questions in collections():
        names = {}
        for name, text in documents.items():
            names[tools.call("qe_memory_store", namespace=title, value=text)["id"]] = name

        def ours(query, **how):
            found = tools.call("qe_memory_search", query=query[:4000], namespaces=[title], limit=DEPTH, **how)
            return [names[hit["id"]] for hit in found["results"]]

        methods = {
            "memory server (substring)": substring(documents),
            "FTS5 (porter, OR)": Fts5(documents),
            "lexical": lambda query: ours(query, mode="lexical"),
            "vector": lambda query: ours(query, mode="vector"),
            "hybrid, alpha 0.3": lambda query: ours(query, alpha=0.3),
            "hybrid (default)": ours,
            "hybrid, alpha 0.7": lambda query: ours(query, alpha=0.7),
            "reciprocal ranks": lambda query: reciprocal_ranks(ours(query, mode="lexical"), ours(query, mode="vector")),
        }
        drawn = random.Random(7).sample(sorted(questions), min(QUESTIONS, len(questions)))
        questions = {name: questions[name] for name in drawn}
        print(f"{title}: {len(documents)} documents, {len(questions)} questions")
        qrels = Qrels({name: {relevant: 1} for name, (_, relevant) in questions.items()})
        scores = {}
        for method, search in methods.items():
            rankings = {name: search(query) for name, (query, _) in questions.items()}
            scores[method] = [ndcg(rankings[name], relevant) for name, (_, relevant) in questions.items()]
            mean = sum(scores[method]) / len(questions)
            recall = sum(relevant in rankings[name][:10] for name, (_, relevant) in questions.items()) / len(questions)
            run = Run({name: {one: 1 / rank for rank, one in enumerate(ranking, 1)} or {"": 0.0} for name, ranking in rankings.items()})
            theirs = evaluate(qrels, run, "ndcg@10")
            print(f"  {method:28} nDCG@10 {mean:.4f}  recall@10 {recall:.4f}  (ranx {theirs:.4f})", flush=True)
            if abs(theirs - mean) > 1e-6:
                check(f"{title}: {method}: nDCG@10 is that of ranx", False, f"{mean} and {theirs}")
        gain = [both - words for both, words in zip(scores["hybrid (default)"], scores["lexical"])]
        low, high = interval(gain)
        gains.append(sum(gain) / len(gain))
        print(f"  hybrid − lexical: {gains[-1]:+.4f} (95 % {low:+.4f} … {high:+.4f})")
        lexical, fts5 = (sum(scores[method]) / len(questions) for method in ("lexical", "FTS5 (porter, OR)"))
        check(f"{title}: our words find no less than FTS5's", lexical >= fts5 - 0.01, f"{lexical:.4f} and {fts5:.4f}")
    mean = sum(gains) / len(gains)
    check("hybrid beats lexical on the mean of the collections", mean >= MARGIN_AT_LEAST, f"{mean:+.4f}")
    tools.close()
    finish()


main()
