"""How well memory search finds what is meant: nDCG@10 by words, by vectors and by both, beside SQLite's FTS5 and the search
of the official memory server (a substring of the whole query), on the collections of `questions.py` and, where they are
named, those of `judged.py`.

Usage: retrieval.py [choose] [--questions N] [--locomo FILE] [--cranfield FOLDER] [--cisi FOLDER] -- COMMAND…

Every second question chooses how the two scores are mixed (`choose` prints what each way would give); the others, which had
no part in that, are what is reported. Sums are checked with trec_eval, the measure's own program.
"""

import argparse
import math
import random
import re
import sqlite3
import sys

import pytrec_eval

import judged
from questions import collections
from tools import check, finish, opened

DEPTH = 50
# By how much the hybrid mode must be ahead of the lexical one on the public test collections; none of the interval may be
# behind. The packaged ones have questions that name what they are about: there it may add nothing.
AHEAD_AT_LEAST = 0.01
LOSS_AT_MOST = 0.005
# What another way of finding words may be ahead of ours over all questions.
BEHIND_AT_MOST = 0.01
# The words that ours leaves out of questions, too: so it is the ranking that is compared, not the list.
COMMON = set("""a about after all also am an and any are as at be because been before being but by can could did do does doing for
from had has have having he her here hers him his how i if in into is it its me my no nor not of on or our ours she should so some such
than that the their them then there these they this those through to too us was we were what when where which while who whom why
will with would you your yours""".split())
# Collections in files, by the option that names each.
JUDGED = {"LoCoMo": judged.locomo, "Cranfield": judged.cranfield, "CISI": judged.cisi}


class Fts5:
    def __init__(self, documents):
        self.file = sqlite3.connect(":memory:")
        self.file.execute("CREATE VIRTUAL TABLE d USING fts5(name UNINDEXED, text, tokenize='porter unicode61')")
        self.file.executemany("INSERT INTO d VALUES (?, ?)", documents.items())

    def __call__(self, query):
        words = re.findall(r"\w+", query.lower())
        words = [word for word in words if word not in COMMON] or words
        question = " OR ".join(f'"{word}"' for word in words) or '""'
        rows = self.file.execute("SELECT name FROM d WHERE d MATCH ? ORDER BY rank LIMIT ?", (question, DEPTH))
        return [name for (name,) in rows]


def substring(documents):
    return lambda query: [name for name, text in documents.items() if query.lower() in text.lower()][:DEPTH]


def ndcg(ranking, relevant):
    gain = sum(1 / math.log2(at + 2) for at, name in enumerate(ranking[:10]) if name in relevant)
    return gain / sum(1 / math.log2(at + 2) for at in range(min(10, len(relevant))))


def mean(values):
    return sum(values) / len(values)


def compared(ours, theirs):
    """How far we are ahead, and where 95 % of the means are when questions are resampled: both were asked the same ones."""
    apart = [one - other for one, other in zip(ours, theirs)]
    chance = random.Random(7)
    means = sorted(mean(chance.choices(apart, k=len(apart))) for _ in range(2000))
    return mean(apart), means[50], means[1949]


def shown(difference):
    return "{:+.4f} (95 % {:+.4f} … {:+.4f})".format(*difference)


def trec_eval(rankings, answers):
    relevant = {name: dict.fromkeys(found, 1) for name, found in answers.items()}
    run = {name: {one: float(-rank) for rank, one in enumerate(ranking)} for name, ranking in rankings.items()}
    measured = pytrec_eval.RelevanceEvaluator(relevant, {"ndcg_cut.10"}).evaluate(run)
    return sum(one["ndcg_cut_10"] for one in measured.values()) / len(answers)


class Part:
    """One part of a collection: a namespace, and the questions that are asked of it."""

    def __init__(self, tools, namespace, documents, questions):
        self.tools, self.namespace, self.documents, self.questions, self.names = tools, namespace, documents, questions, {}
        for number, (name, text) in enumerate(documents.items()):
            # A key that begins like those that are made of the value is not searched.
            stored = tools.call("qe_memory_store", namespace=namespace, key=f"sha256-{number}", value=text)
            self.names[stored["id"]] = name

    def search(self, query, **how):
        return self.tools.call("qe_memory_search", query=query[:4000], namespaces=[self.namespace], limit=DEPTH, **how)

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


def stored(tools, options, half):
    """Each collection with half of its questions (0: to choose by, 1: to report): its title, who answers them, and its parts."""
    files = ((title, getattr(options, title.lower()), read) for title, read in JUDGED.items())
    given = [(title, read(path)) for title, path, read in files if path]
    for title, parts in [*((title, [part]) for title, *part in collections()), *given]:
        names = sorted(name for _, questions in parts for name in questions)
        random.Random(7).shuffle(names)
        names = set(names[half::2][: options.questions])
        drawn = [(documents, {name: one for name, one in questions.items() if name in names}) for documents, questions in parts]
        parts = [Part(tools, f"{title} {number}", *part) for number, part in enumerate(drawn)]
        print(f"{title}: {sum(len(part.documents) for part in parts)} documents, {len(names)} questions", flush=True)
        yield title, {name: found for part in parts for name, (_, found) in part.questions.items()}, parts


METHODS = {
    "memory server (substring)": lambda part: substring(part.documents),
    "FTS5 (porter, OR)": lambda part: Fts5(part.documents),
    "lexical": lambda part: lambda query: part.ranking(query, mode="lexical"),
    "vector": lambda part: lambda query: part.ranking(query, mode="vector"),
    "hybrid": lambda part: part.ranking,
}
SUBSTRING, FTS5, LEXICAL, _, HYBRID = METHODS


def report(tools, options):
    scores, public, apart = {method: [] for method in METHODS}, [], 0.0
    for title, answers, parts in stored(tools, options, 1):
        at = len(scores[HYBRID])
        for method, of_part in METHODS.items():
            rankings = {}
            for part in parts:
                search = of_part(part)
                rankings |= {name: search(query) for name, (query, _) in part.questions.items()}
            each = [ndcg(rankings[name], found) for name, found in answers.items()]
            theirs = trec_eval(rankings, answers)
            print(f"  {method:28} nDCG@10 {mean(each):.4f}  (trec_eval {theirs:.4f})", flush=True)
            apart = max(apart, abs(theirs - mean(each)))
            scores[method] += each
        public += [title in JUDGED] * len(answers)
        for other in (LEXICAL, FTS5):
            print(f"  hybrid − {other}: {shown(compared(scores[HYBRID][at:], scores[other][at:]))}", flush=True)
    over_all = {method: mean(each) for method, each in scores.items()}
    print(f"all {len(public)} questions: " + ", ".join(f"{method} {score:.4f}" for method, score in over_all.items()))
    for ours, theirs in ((HYBRID, FTS5), (LEXICAL, FTS5)):
        print(f"  {ours} − {theirs}: {shown(compared(scores[ours], scores[theirs]))}")
    gain = compared(scores[HYBRID], scores[LEXICAL])
    check("hybrid finds more than lexical", gain[0] > 0 and gain[1] >= -LOSS_AT_MOST, shown(gain))
    if any(public):
        gain = compared(*([score for score, one in zip(scores[method], public) if one] for method in (HYBRID, LEXICAL)))
        check("it does on the public test collections", gain[0] >= AHEAD_AT_LEAST and gain[1] > 0, shown(gain))
    lexical, hybrid, fts5, substrings = (over_all[method] for method in (LEXICAL, HYBRID, FTS5, SUBSTRING))
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


def choose(tools, options):
    """nDCG@10 of many ways of mixing, on the questions that are there for it."""
    ways = {"reciprocal ranks": reciprocal_ranks, "words alone": lambda found: mixed(found, 1.0, 0.0, -1.0)}
    for alpha in [0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9]:
        ways[f"fixed scales, alpha {alpha}"] = lambda found, alpha=alpha: mixed(found, alpha, 0.0, -1.0)
        ways[f"meaning from 0, alpha {alpha}"] = lambda found, alpha=alpha: mixed(found, alpha, 0.0, 0.0)
        ways[f"min–max, alpha {alpha}"] = lambda found, alpha=alpha: mixed(found, alpha, None, None)
    table = {way: [] for way in ways}
    for _, answers, parts in stored(tools, options, 0):
        found = {name: part.candidates(query) for part in parts for name, (query, _) in part.questions.items()}
        for way, rank in ways.items():
            table[way].append([ndcg(rank(found[name]), relevant) for name, relevant in answers.items()])
    # Over all questions, and by collection.
    for over_all, way in sorted(((mean(sum(scores, [])), way) for way, scores in table.items()), reverse=True):
        print(f"{way:28} {over_all:.4f}: " + "  ".join(f"{mean(each):.4f}" for each in table[way]))


def main():
    words, tools = opened(sys.argv)
    parser = argparse.ArgumentParser()
    parser.add_argument("what", nargs="?", choices=["choose"])
    parser.add_argument("--questions", type=int, help="of one half of a collection, at most")
    for title in JUDGED:
        parser.add_argument(f"--{title.lower()}")
    options = parser.parse_args(words)
    (choose if options.what else report)(tools, options)
    tools.close()
    finish()


main()
