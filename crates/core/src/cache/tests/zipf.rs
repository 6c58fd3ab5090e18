//! The hit rate on a load in which few questions are asked often, against what theory allows. The same, with other
//! sizes and with times, is printed by `cargo bench -p aqe-core --bench cache`.

use super::*;

#[path = "../zipf.rs"]
mod load;
use load::{Zipf, least_recently_used, optimal};

#[test]
fn the_hit_rate_is_above_that_of_least_recently_used_and_near_the_optimum() {
    const QUESTIONS: usize = 20_000;
    const ENTRIES: usize = 1_000;
    let config = MemoryConfig {
        max_entries: ENTRIES,
        max_bytes: 4 << 20,
        max_entry_bytes: 1 << 16,
        ..MemoryConfig::default()
    };
    let source = &sources(&all_tools(1_000_000, 0))[0];
    let place = place(source, "t");
    let now = Instant::now();
    for exponent in [0.7, 0.9, 1.1] {
        for hot_entries in [0, 64] {
            let memory = Memory::new(MemoryConfig { hot_entries, ..config });
            let mut zipf = Zipf::new(QUESTIONS, exponent, 7);
            let mut ask_some = |count: usize| {
                let hits = (0..count).filter(|_| {
                    let arguments = zipf.next().to_string();
                    let question = question(&place, "t", &arguments, "p");
                    let hit = ask(&memory, &question, now).is_some();
                    if !hit {
                        keep(&memory, &question, "{}", Stamp::ORIGIN, now);
                    }
                    hit
                });
                hits.count() as f64 / count as f64
            };
            ask_some(60_000);
            let rate = ask_some(60_000);
            assert_eq!(hot_entries > 0, memory.read()[0].counts.hits > 10_000, "{:?}", memory.read()[0]);
            let (lru, best) = (least_recently_used(&zipf, ENTRIES), optimal(&zipf, ENTRIES));
            assert!(rate > lru + 0.02, "{exponent}: {rate:.3}, least recently used {lru:.3}");
            assert!(rate > 0.9 * best && rate <= best + 0.02, "{exponent}: {rate:.3}, optimum {best:.3}");
        }
    }
}
