"""How well memory search finds what is meant: nDCG@10 by words, by vectors and by both, beside SQLite's FTS5 and the search
of the official memory server (a substring of the whole query), on the collections of `questions.py`.

Usage: retrieval.py [choose] -- COMMAND…

Every second question chooses how the two scores are mixed (`choose` prints what each way would give); the others, which had
no part in that, are what is reported. Sums are checked with trec_eval, the measure's own program.
"""

import math
import random
import re
import sqlite3
import sys

import pytrec_eval

from questions import collections
from tools import check, finish, opened

DEPTH = 50
# Questions of one collection: those of a larger one are drawn, the same in each run.
QUESTIONS = 300
# How far below nothing the interval of what the hybrid mode adds to the lexical one may reach, over the questions of all
# collections. On these it adds little: their questions name what they are about.
LOSS_AT_MOST = 0.005
# What another way of finding words may be ahead of ours on the mean of the collections.
BEHIND_AT_MOST = 0.01
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
        question = " OR ".join(f'"{word}"' for word in dict.fromkeys(words)) or '""'
        rows = self.file.execute("SELECT name FROM d WHERE d MATCH ? ORDER BY rank LIMIT ?", (question, DEPTH))
        return [name for (name,) in rows]


def substring(documents):
    return lambda query: [name for name, text in documents.items() if query.lower() in text.lower()][:DEPTH]


def ndcg(ranking, relevant):
    gain = sum(1 / math.log2(at + 2) for at, name in enumerate(ranking[:10]) if name in relevant)
    return gain / sum(1 / math.log2(at + 2) for at in range(min(10, len(relevant))))


def mean(values):
    return sum(values) / len(values)


def interval(differences):
    """95 % of the means of resampled questions: the two ways are compared on the same ones."""
    chance = random.Random(7)
    means = sorted(mean(chance.choices(differences, k=len(differences))) for _ in range(2000))
    return means[50], means[1949]


def trec_eval(rankings, questions):
    judged = {name: dict.fromkeys(relevant, 1) for name, (_, relevant) in questions.items()}
    run = {name: {one: float(-rank) for rank, one in enumerate(ranking)} for name, ranking in rankings.items()}
    measured = pytrec_eval.RelevanceEvaluator(judged, {"ndcg_cut.10"}).evaluate(run)
    return sum(one["ndcg_cut_10"] for one in measured.values()) / len(questions)


class Collection:
    def __init__(self, tools, title, documents):
        self.tools, self.title, self.names = tools, title, {}
        for name, text in documents.items():
            self.names[tools.call("qe_memory_store", namespace=title, value=text)["id"]] = name

    def search(self, query, **how):
        return self.tools.call("qe_memory_search", query=query[:4000], namespaces=[self.title], limit=DEPTH, **how)

    def ranking(self, query, **how):
        return [self.names[hit["id"]] for hit in self.search(query, **how)["results"]]

    def candidates(self, query):
        """Both scores of all candidates, by name."""
        found, cursor = {}, {}
        while True:
            page = self.search(query, explain=True, **cursor)
            for hit in page["results"]:
                found[self.names[hit["id"]]] = (hit["parts"]["bm25"], hit["parts"]["cosine"])
            if "next_cursor" not in page:
                return found
            cursor = {"cursor": page["next_cursor"]}


def drawn(questions, half):
    """Half of the questions (0: to choose by, 1: to report), no more than `QUESTIONS`."""
    names = sorted(questions)
    random.Random(7).shuffle(names)
    names = names[half::2]
    return {name: questions[name] for name in names[:QUESTIONS]}


def report(tools):
    gains, means, apart = [], [], 0.0
    for title, judged, documents, questions in collections():
        ours = Collection(tools, title, documents)
        methods = {
            "memory server (substring)": substring(documents),
            "FTS5 (porter, OR)": Fts5(documents),
            "lexical": lambda query: ours.ranking(query, mode="lexical"),
            "vector": lambda query: ours.ranking(query, mode="vector"),
            "hybrid (default)": ours.ranking,
        }
        questions = drawn(questions, 1)
        print(f"{title}: {len(documents)} documents, {len(questions)} questions, {'judged' if judged else 'constructed'}")
        scores = {}
        for method, search in methods.items():
            rankings = {name: search(query) for name, (query, _) in questions.items()}
            scores[method] = [ndcg(rankings[name], relevant) for name, (_, relevant) in questions.items()]
            theirs = trec_eval(rankings, questions)
            print(f"  {method:28} nDCG@10 {mean(scores[method]):.4f}  (trec_eval {theirs:.4f})", flush=True)
            apart = max(apart, abs(theirs - mean(scores[method])))
        gain = [both - words for both, words in zip(scores["hybrid (default)"], scores["lexical"])]
        low, high = interval(gain)
        added = f"{mean(gain):+.4f} (95 % {low:+.4f} … {high:+.4f})"
        print(f"  hybrid − lexical: {added}")
        gains += gain
        means.append({method: mean(each) for method, each in scores.items()})
    over_all = {method: mean([each[method] for each in means]) for method in means[0]}
    lexical, hybrid = over_all["lexical"], over_all["hybrid (default)"]
    fts5, substrings = over_all["FTS5 (porter, OR)"], over_all["memory server (substring)"]
    low, high = interval(gains)
    added = f"{mean(gains):+.4f} (95 % {low:+.4f} … {high:+.4f}) on {len(gains)} questions"
    check("hybrid finds more than lexical", mean(gains) > 0 and low >= -LOSS_AT_MOST, added)
    check("our words find what FTS5's do", lexical >= fts5 - BEHIND_AT_MOST, f"{lexical:.4f} and {fts5:.4f}")
    check("hybrid finds twice what a substring does", hybrid >= 2 * substrings, f"{hybrid:.4f} and {substrings:.4f}")
    check("nDCG@10 is that of trec_eval", apart <= 1e-6, f"{apart:.1e} apart at most")


def scale(values, low):
    """From 0 to 1: where `low` is none, from the least that there is."""
    least, most = (min(values) if low is None else low), max(values)
    return [(value - least) / (most - least) if most > least else 0.0 for value in values]


def mixed(found, alpha, words_from, meaning_from):
    """A ranking by the mix of both scores, each on its scale; a fixed scale of meaning ends at 1."""
    names = list(found)
    words = scale([bm25 for bm25, _ in found.values()], words_from)
    cosines = [0.0 if cosine is None else cosine for _, cosine in found.values()]
    meaning = scale(cosines, None) if meaning_from is None else [(one - meaning_from) / (1 - meaning_from) for one in cosines]
    score = {name: alpha * one + (1 - alpha) * other for name, one, other in zip(names, words, meaning)}
    return sorted(names, key=lambda name: -score[name])


def reciprocal_ranks(found):
    """Reciprocal rank fusion, equal weights, k = 60."""
    score = dict.fromkeys(found, 0.0)
    for part in (0, 1):
        ranked = [name for name in found if found[name][part] and (part == 1 or found[name][0] > 0)]
        for rank, name in enumerate(sorted(ranked, key=lambda name: -found[name][part]), 1):
            score[name] += 1 / (60 + rank)
    return sorted(found, key=lambda name: -score[name])


def choose(tools):
    """nDCG@10 of many ways of mixing, on the questions that are there for it."""
    alphas = [0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9]
    ways = {"reciprocal ranks": reciprocal_ranks, "words alone": lambda found: mixed(found, 1.0, 0.0, -1.0)}
    for alpha in alphas:
        ways[f"fixed scales, alpha {alpha}"] = lambda found, alpha=alpha: mixed(found, alpha, 0.0, -1.0)
        ways[f"meaning from 0, alpha {alpha}"] = lambda found, alpha=alpha: mixed(found, alpha, 0.0, 0.0)
        ways[f"min–max, alpha {alpha}"] = lambda found, alpha=alpha: mixed(found, alpha, None, None)
    table = {way: [] for way in ways}
    for title, _, documents, questions in collections():
        ours = Collection(tools, title, documents)
        questions = drawn(questions, 0)
        print(f"{title}: {len(questions)} questions", flush=True)
        found = {name: ours.candidates(query) for name, (query, _) in questions.items()}
        for way, rank in ways.items():
            table[way].append(mean([ndcg(rank(found[name]), relevant) for name, (_, relevant) in questions.items()]))
    for way, scores in sorted(table.items(), key=lambda row: -mean(row[1])):
        print(f"{way:32} {mean(scores):.4f}  " + "  ".join(f"{score:.4f}" for score in scores))


def main():
    options, tools = opened(sys.argv)
    (choose if options == ["choose"] else report)(tools)
    tools.close()
    finish()


main()
