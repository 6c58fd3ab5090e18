"""The order of a parameter's values where earlier searches have learnt from which sources those come that reach something new."""

# What is not known of is tried: a source without trials stands here, as in Beta(1, 1).
UNKNOWN = 0.5


def dealt(groups, means, most):
    """The values of all sources, dealt out like seats by votes (Sainte-Lague): a source that is twice as good has its turn twice as
    often, and none goes without."""
    decks = {}
    for name, found in groups:
        decks.setdefault(name, []).extend(found)
    given, dealt = dict.fromkeys(decks, 0), {}
    while any(decks.values()) and len(dealt) < most:
        name = max((one for one in decks if decks[one]), key=lambda one: means.get(one, UNKNOWN) / (2 * given[one] + 1))
        given[name] += 1
        dealt.setdefault(decks[name].pop(0))
    return list(dealt)


class Tried:
    """How many values of each source were the only change of a call, and how many of these gained."""

    def __init__(self, origins):
        self.origins = origins
        self.counts = {}

    def tell(self, target, param, source, gained):
        name = self.origins.get((target.name, param.name), {}).get(source)
        if name:
            count = self.counts.setdefault(name, [0, 0])
            count[0] += 1
            count[1] += gained
