//! One score of two: how well an entry fits by its words, and by its meaning.
//!
//! Each score is put on a scale from 0 to 1 and the two are mixed: a *convex combination* (Bruch, Gai and Ingber, ACM TOIS
//! 2023), which keeps how far apart two entries are; mixing ranks, as reciprocal rank fusion does, forgets that. The scales
//! begin at the least that a score can be (BM25 0, cosine −1), not at the least among the candidates: that depends on how many
//! candidates there are, and lifts what is merely less far away. The words' scale ends at the best candidate's BM25, which has
//! no bound of its own. `interop/qe/retrieval.py` measures it.

use aqe_store::Candidate;

/// Which scores count.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Mode {
    /// Both; the words by so much, from 0 to 1.
    Hybrid(f64),
    /// Words only: entries without any of the query's are no results.
    Lexical,
    /// Meaning only: entries without a vector are no results.
    Vector,
}

/// The weight of words if the caller names none.
pub(super) const ALPHA: f64 = 0.5;

/// The score of each candidate, from 0 to 1; `None` for one that is no result in this mode.
pub(super) fn fuse(candidates: &[Candidate], mode: Mode) -> Vec<Option<f64>> {
    let best = candidates.iter().map(|one| one.bm25).fold(0.0, f64::max);
    let by_words = |one: &Candidate| if best > 0.0 { one.bm25 / best } else { 0.0 };
    // What has no vector says nothing for or against: it stands where a right angle does.
    let by_meaning = |one: &Candidate| f64::midpoint(one.cosine.unwrap_or(0.0), 1.0);
    let has_vectors = candidates.iter().any(|one| one.cosine.is_some());
    candidates
        .iter()
        .map(|one| match mode {
            // Without any vectors there is nothing to mix.
            Mode::Hybrid(alpha) if has_vectors => {
                Some(alpha * by_words(one) + (1.0 - alpha) * by_meaning(one))
            }
            Mode::Hybrid(_) | Mode::Lexical => (one.bm25 > 0.0).then(|| by_words(one)),
            Mode::Vector => one.cosine.map(|cosine| cosine.clamp(0.0, 1.0)),
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use aqe_store::EntryId;

    use super::*;

    fn candidate(bm25: f64, cosine: Option<f64>) -> Candidate {
        let id = EntryId(1);
        Candidate { id, namespace: "n".into(), version: 1, updated: 0, importance: None, bm25, cosine }
    }

    #[test]
    fn both_scores_count_by_their_weight() {
        let candidates = [candidate(8.0, Some(0.0)), candidate(4.0, Some(0.5)), candidate(0.0, Some(-0.5))];
        assert_eq!(fuse(&candidates, Mode::Hybrid(0.5)), [Some(0.75), Some(0.625), Some(0.125)]);
        assert_eq!(fuse(&candidates, Mode::Hybrid(1.0)), [Some(1.0), Some(0.5), Some(0.0)]);
        assert_eq!(fuse(&candidates, Mode::Lexical), [Some(1.0), Some(0.5), None]);
        assert_eq!(fuse(&candidates, Mode::Vector), [Some(0.0), Some(0.5), Some(0.0)]);
    }

    #[test]
    fn without_vectors_words_alone_decide() {
        let candidates = [candidate(2.0, None), candidate(1.0, None), candidate(0.0, None)];
        assert_eq!(fuse(&candidates, Mode::Hybrid(0.5)), fuse(&candidates, Mode::Lexical));
        assert_eq!(fuse(&candidates, Mode::Vector), [None, None, None]);
        assert_eq!(fuse(&[], Mode::Hybrid(0.5)), []);
    }

    #[test]
    fn a_score_does_not_depend_on_how_many_candidates_there_are() {
        let few = [candidate(8.0, Some(0.2)), candidate(4.0, Some(0.6))];
        let many = [few[0].clone(), few[1].clone(), candidate(0.0, Some(-0.9)), candidate(1.0, None)];
        assert_eq!(fuse(&few, Mode::Hybrid(0.5)), fuse(&many, Mode::Hybrid(0.5))[..2]);
    }
}
