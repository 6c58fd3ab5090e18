"""The scores that memory search shows, against other programs: BM25 against bm25s, over words that are their own stems.

Usage: scores.py -- COMMAND…
"""

import random
import sys

import bm25s

from tools import check, finish, opened

DOCUMENTS = 400
QUERIES = 60
# The tool rounds to four digits, and reckons with 24 bits.
DIFFERENCE_AT_MOST = 2e-3


def main():
    _, tools = opened(sys.argv)
    chance = random.Random(11)
    # As often as words of a language are: the n-th in proportion to 1/n.
    words = [f"q{n}x" for n in range(1, 300)]
    weights = [1 / n for n in range(1, 300)]
    texts = [chance.choices(words, weights, k=chance.randrange(1, 80)) for _ in range(DOCUMENTS)]
    ids = {}
    for number, text in enumerate(texts):
        # A key that begins like those that are made of the value is not searched.
        stored = tools.call("qe_memory_store", namespace="scores", key=f"sha256-{number}", value=" ".join(text))
        ids[stored["id"]] = number
    # The same formula up to the factor k1 + 1, which it leaves out.
    reference = bm25s.BM25(method="lucene", k1=1.2, b=0.75)
    reference.index(texts, show_progress=False)
    most, compared = 0.0, 0
    for _ in range(QUERIES):
        # Some have a word twice, which counts twice.
        query = chance.choices(words, weights, k=chance.randrange(1, 6))
        expected = reference.get_scores(query) * 2.2
        found = tools.call("qe_memory_search", query=" ".join(query), namespaces=["scores"], mode="lexical", limit=50, explain=True)
        shown = {ids[hit["id"]]: hit["parts"]["bm25"] for hit in found["results"]}
        most = max([most, *(abs(bm25 - expected[number]) for number, bm25 in shown.items())])
        compared += len(shown)
        # None that is better was left out, but where equals compete.
        least = min(shown.values(), default=0.0)
        left_out = [score for number, score in enumerate(expected) if number not in shown and score > least + DIFFERENCE_AT_MOST]
        if left_out or found["matched"] != sum(score > 0 for score in expected):
            check("the best by BM25 are found", False, f"{query}: {len(left_out)} left out, {found['matched']} matched")
    check("BM25 is that of bm25s", compared > 1000 and most <= DIFFERENCE_AT_MOST, f"{compared} scores, {most:.6f} apart at most")
    tools.close()
    finish()


main()
