"""Quantiles of the Beta distribution by SciPy, for `beta.rs` to be compared with.

    pip install scipy && python crates/qe/src/learn/vectors.py > crates/qe/src/learn/vectors.txt
"""

import scipy
from scipy.stats import beta

COUNTS = [0, 0.001, 0.5, 1, 2.75, 7, 19.9, 60, 350.25, 12_000, 250_000]

print(f"# p a b scipy.stats.beta.ppf(p, a, b) of SciPy {scipy.__version__}; printed by vectors.py")
for p in (0.05, 0.95, 0.5, 0.001):
    for successes in COUNTS:
        for failures in COUNTS:
            a, b = 1 + successes, 1 + failures
            print(p, a, b, repr(float(beta.ppf(p, a, b))))
