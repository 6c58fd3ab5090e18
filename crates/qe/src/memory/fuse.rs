//! One score of two: how well an entry fits by its words, and by its meaning.
//!
//! Each score is put on a scale from 0 to 1 among the candidates, and the two are mixed: a *convex combination* (Bruch, Gai
//! and Ingber, ACM TOIS 2023), which keeps how far apart two entries are; mixing ranks, as reciprocal rank fusion does,
//! forgets that, and ranked worse wherever we measured it (`interop/qe/retrieval.py`).

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

/// The least and greatest of a score among the candidates.
#[derive(Debug, Clone, Copy)]
struct Scale {
    least: f64,
    greatest: f64,
}

impl Scale {
    fn of(scores: impl Iterator<Item = f64>) -> Option<Self> {
        scores.fold(None, |scale: Option<Self>, score| {
            let scale = scale.unwrap_or(Self { least: score, greatest: score });
            Some(Self { least: scale.least.min(score), greatest: scale.greatest.max(score) })
        })
    }

    /// From 0 for the least to 1 for the greatest. Where all are the same, 1 for what is above nothing.
    fn place(self, score: f64) -> f64 {
        let width = self.greatest - self.least;
        if width > 0.0 { (score - self.least) / width } else { f64::from(u8::from(score > 0.0)) }
    }
}

/// The score of each candidate, from 0 to 1; `None` for one that is no result in this mode.
pub(super) fn fuse(candidates: &[Candidate], mode: Mode) -> Vec<Option<f64>> {
    let lexical = Scale::of(candidates.iter().map(|one| one.bm25)).map(|scale| Scale { least: 0.0, ..scale });
    let vector = Scale::of(candidates.iter().filter_map(|one| one.cosine));
    let by_words = |one: &Candidate| lexical.map_or(0.0, |scale| scale.place(one.bm25));
    // What has no vector is as far away as the farthest.
    let by_meaning =
        |one: &Candidate| vector.zip(one.cosine).map_or(0.0, |(scale, cosine)| scale.place(cosine));
    candidates
        .iter()
        .map(|one| match mode {
            // Without any vectors there is nothing to mix.
            Mode::Hybrid(alpha) if vector.is_some() => {
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
        let candidates = [candidate(8.0, Some(0.2)), candidate(4.0, Some(0.6)), candidate(0.0, Some(0.4))];
        assert_eq!(fuse(&candidates, Mode::Hybrid(0.5)), [Some(0.5), Some(0.75), Some(0.25)]);
        assert_eq!(fuse(&candidates, Mode::Hybrid(1.0)), [Some(1.0), Some(0.5), Some(0.0)]);
        assert_eq!(fuse(&candidates, Mode::Lexical), [Some(1.0), Some(0.5), None]);
        assert_eq!(fuse(&candidates, Mode::Vector), [Some(0.2), Some(0.6), Some(0.4)]);
    }

    #[test]
    fn without_vectors_words_alone_decide() {
        let candidates = [candidate(2.0, None), candidate(1.0, None), candidate(0.0, None)];
        assert_eq!(fuse(&candidates, Mode::Hybrid(0.5)), fuse(&candidates, Mode::Lexical));
        assert_eq!(fuse(&candidates, Mode::Vector), [None, None, None]);
        assert_eq!(fuse(&[], Mode::Hybrid(0.5)), []);
    }

    #[test]
    fn one_candidate_alone_has_a_full_score_for_what_it_has() {
        assert_eq!(fuse(&[candidate(3.0, Some(0.5))], Mode::Hybrid(0.5)), [Some(1.0)]);
        assert_eq!(fuse(&[candidate(0.0, Some(0.5))], Mode::Hybrid(0.5)), [Some(0.5)]);
        assert_eq!(fuse(&[candidate(3.0, Some(-0.5))], Mode::Hybrid(0.5)), [Some(0.5)]);
    }
}
