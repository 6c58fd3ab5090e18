"""Our vectors against those of model2vec, the reference implementation, over the same weights; and the cosines that memory
search shows against numpy's of our vectors.

Usage: embedding.py VECTORS WEIGHTS -- COMMAND…
  VECTORS  the program `cargo build -p aqe-embed --example vectors` makes
  WEIGHTS  the folder with model.safetensors, tokenizer.json and config.json
"""

import json
import random
import subprocess
import sys
import unicodedata

import numpy
from model2vec import StaticModel

from tools import check, finish, opened

# Quantised to eight bits twice (weights, and each vector): measured 0.9998 at least.
COSINE_AT_LEAST = 0.999
# The tool rounds to four digits, and reckons with 24 bits.
DIFFERENCE_AT_MOST = 1e-4


def texts():
    """Words of all kinds, and random characters of every plane."""
    chance = random.Random(7)
    yield from ["the quick brown fox", "Größe naïve café", "snake_case kebab-case CamelCase", "中文 and 日本語 テスト"]
    yield from ["Don't!", "…—«quoted»", "a\u0000b\u200bc", "x" * 101 + " word", "हिन्दी में", "\ufb01ne", "İstanbul", "ΑΣ ΟΔΟΣ"]
    words = [line for line in open(sys.argv[0], encoding="utf-8").read().split()]
    for _ in range(500):
        yield " ".join(chance.choice(words) for _ in range(chance.randrange(1, 40)))
    for _ in range(2000):
        plane = chance.choice([0x80, 0x250, 0x3000, 0x10000, 0x20000])
        codes = (chance.randrange(1, plane) for _ in range(chance.randrange(1, 30)))
        # Categories of later characters differ from one version of Unicode to the next, and so from tool to tool.
        yield "".join(char for char in map(chr, codes) if unicodedata.ucd_3_2_0.category(char) not in ("Cn", "Co", "Cs"))


def ours(program, every):
    lines = "".join(json.dumps(text) + "\n" for text in every)
    printed = subprocess.run([program], input=lines, capture_output=True, text=True, check=True).stdout.splitlines()
    assert len(printed) == len(every)
    return [None if (vector := json.loads(line)) is None else numpy.array(vector, dtype=float) for line in printed]


def cosine(a, b):
    return float(a @ b / numpy.linalg.norm(a) / numpy.linalg.norm(b))


def against_model2vec(vectors, weights):
    every = list(texts())
    reference = StaticModel.from_pretrained(weights)
    least, different = 1.0, []
    for text, vector in zip(every, ours(vectors, every)):
        expected = reference.encode(text)
        if vector is None or not expected.any():
            if (vector is None) != (not expected.any()):
                different.append((text, vector is None))
            continue
        near = cosine(vector, expected)
        least = min(least, near)
        if near < COSINE_AT_LEAST:
            different.append((text, near))
    for one in different[:10]:
        print("  ", ascii(one)[:300])
    figure = f"{len(every)} texts, {len(different)} different, least cosine {least:.5f}"
    check("vectors are those of model2vec", len(every) > 2000 and not different, figure)


def against_numpy(tools, vectors):
    chance = random.Random(5)
    words = [line for line in open(sys.argv[0], encoding="utf-8").read().split() if line.isalpha()]
    some = [" ".join(chance.choice(words) for _ in range(chance.randrange(2, 30))) for _ in range(60)]
    ids = {}
    for number, text in enumerate(some):
        # A key that begins like those that are made of the value is not searched.
        stored = tools.call("qe_memory_store", namespace="cosines", key=f"sha256-{number}", value=text)
        ids[stored["id"]] = number
    by_numpy, most, compared = ours(vectors, some), 0.0, 0
    for query, vector in zip(some[:20], by_numpy):
        found = tools.call("qe_memory_search", query=query, namespaces=["cosines"], mode="vector", limit=50, explain=True)
        for hit in found["results"]:
            most = max(most, abs(hit["parts"]["cosine"] - cosine(vector, by_numpy[ids[hit["id"]]])))
            compared += 1
    check("cosines are numpy's", compared >= 500 and most <= DIFFERENCE_AT_MOST, f"{compared} cosines, {most:.6f} apart at most")


def main():
    (vectors, weights), tools = opened(sys.argv)
    against_model2vec(vectors, weights)
    against_numpy(tools, vectors)
    tools.close()
    finish()


main()
