"""Our vectors against those of model2vec, the reference implementation, over the same weights.

Usage: embedding.py VECTORS WEIGHTS (needs model2vec 0.10.0 from PyPI)
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

# Quantised to eight bits twice (weights, and each vector): measured 0.9998 at least.
COSINE_AT_LEAST = 0.999


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


def main():
    vectors, weights = sys.argv[1:]
    every = list(texts())
    lines = "".join(json.dumps(text) + "\n" for text in every)
    ours = subprocess.run([vectors], input=lines, capture_output=True, text=True, check=True).stdout.splitlines()
    assert len(ours) == len(every)
    reference = StaticModel.from_pretrained(weights)
    least, different = 1.0, []
    for text, line in zip(every, ours):
        vector = json.loads(line)
        expected = reference.encode(text)
        length = float(numpy.linalg.norm(expected))
        if vector is None or length == 0:
            if (vector is None) != (length == 0):
                different.append((text, vector is None, length))
            continue
        mine = numpy.array(vector, dtype=float)
        cosine = float(mine @ expected / numpy.linalg.norm(mine) / length)
        least = min(least, cosine)
        if cosine < COSINE_AT_LEAST:
            different.append((text, cosine))
    print(f"{len(every)} texts, {len(different)} different, least cosine {least:.5f}")
    for one in different[:10]:
        print("  ", ascii(one)[:300])
    sys.exit(bool(different))


main()
