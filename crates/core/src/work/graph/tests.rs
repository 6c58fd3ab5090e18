//! What is taken, what is refused and by which words.

use proptest::prelude::*;

use super::*;

fn on(keys: &[&str]) -> Vec<Dependency> {
    keys.iter().map(|&key| Dependency { key: key.into(), on: On::Success }).collect()
}

fn check(tasks: &[(&str, &[&str])]) -> Result<Graph, GraphError> {
    let needs: Vec<Vec<Dependency>> = tasks.iter().map(|(_, needs)| on(needs)).collect();
    let tasks: Vec<_> = tasks.iter().zip(&needs).map(|(&(key, _), needs)| (key, needs.as_slice())).collect();
    Graph::check(&tasks)
}

#[test]
fn tasks_come_after_what_they_depend_on() {
    let graph = check(&[("d", &["b", "c"]), ("b", &["a"]), ("c", &["a"]), ("a", &[])]).unwrap();
    assert_eq!((graph.order(), graph.len(), graph.is_empty()), (&[3, 1, 2, 0][..], 4, false));
    assert_eq!(graph.needs(0), [(1, On::Success), (2, On::Success)]);
}

#[test]
fn what_is_wrong_is_named_by_keys() {
    assert_eq!(check(&[]), Err(GraphError::Empty));
    assert_eq!(check(&[("a", &[]), ("a", &[])]), Err(GraphError::DuplicateKey { key: "a".into() }));
    assert_eq!(
        check(&[("a", &["b"])]),
        Err(GraphError::UnknownDependency { key: "a".into(), dependency: "b".into() })
    );
    assert_eq!(
        check(&[("a", &["b", "b"]), ("b", &[])]),
        Err(GraphError::DuplicateDependency { key: "a".into(), dependency: "b".into() })
    );
}

#[test]
fn a_circle_is_named_by_its_path_without_what_only_hangs_on_it() {
    let circle = |tasks: &[(&str, &[&str])]| match check(tasks).unwrap_err() {
        GraphError::Cycle { path } => path.join(" "),
        other => panic!("{other}"),
    };
    assert_eq!(circle(&[("a", &["a"])]), "a a");
    assert_eq!(
        circle(&[("end", &["b"]), ("a", &["start", "c"]), ("b", &["a"]), ("c", &["b"]), ("start", &[])]),
        "b a c b"
    );
    let text = check(&[("a", &["b"]), ("b", &["a"])]).unwrap_err().to_string();
    assert!(text.ends_with("a -> b -> a"), "{text}");
}

#[test]
fn sizes_are_bounded() {
    let keys: Vec<String> = (0..=TASKS_MAX).map(|n| n.to_string()).collect();
    let tasks: Vec<(&str, &[Dependency])> = keys.iter().map(|key| (key.as_str(), &[][..])).collect();
    assert!(Graph::check(&tasks[..TASKS_MAX]).is_ok());
    assert!(matches!(Graph::check(&tasks), Err(GraphError::TooMany { what: "tasks", .. })));
    let many = vec![Dependency { key: "0".into(), on: On::Done }; DEPENDENCIES_MAX + 1];
    let error = Graph::check(&[("0", &[]), ("1", &many)]).unwrap_err();
    assert!(matches!(error, GraphError::TooMany { what: "dependencies", .. }), "{error}");
}

#[test]
fn the_critical_path_is_the_chain_that_costs_most() {
    let graph = check(&[("a", &[]), ("b", &["a"]), ("c", &["a"]), ("d", &["b", "c"]), ("e", &[])]).unwrap();
    let cost = [1, 5, 2, 1, 6];
    assert_eq!(graph.critical_path(|task| cost[task]), CriticalPath { tasks: vec![0, 1, 3], cost: 7 });
    assert_eq!(graph.critical_path(|_| 0).cost, 0);
    assert_eq!(graph.critical_path(|task| [1, 5, 2, 1, 60][task]).tasks, [4]);
    assert_eq!(graph.critical_path(|_| u64::MAX).cost, u64::MAX, "no overflow");
}

#[test]
fn the_longest_chain_and_the_longest_circle_are_read_without_recursion() {
    let keys: Vec<String> = (0..TASKS_MAX).map(|n| n.to_string()).collect();
    let needs: Vec<Vec<Dependency>> =
        (0..TASKS_MAX).map(|n| if n == 0 { Vec::new() } else { on(&[&keys[n - 1]]) }).collect();
    let mut tasks: Vec<_> =
        keys.iter().zip(&needs).map(|(key, needs)| (key.as_str(), needs.as_slice())).collect();
    assert_eq!(Graph::check(&tasks).unwrap().critical_path(|_| 1).cost, TASKS_MAX as u64);
    let closed = on(&[keys.last().unwrap()]);
    tasks[0].1 = &closed;
    let Err(GraphError::Cycle { path }) = Graph::check(&tasks) else { panic!("a circle") };
    assert_eq!(path.len(), TASKS_MAX + 1);
}

proptest! {
    #[test]
    fn an_order_keeps_every_dependency_and_a_circle_is_one(
        edges in proptest::collection::hash_set((0..12_usize, 0..12_usize), 0..24),
    ) {
        let keys: Vec<String> = (0..12).map(|n| format!("t{n}")).collect();
        let mut needs = vec![Vec::new(); 12];
        for &(task, need) in &edges {
            needs[task].push(Dependency { key: keys[need].clone(), on: On::Success });
        }
        let tasks: Vec<_> = keys.iter().zip(&needs).map(|(key, needs)| (key.as_str(), needs.as_slice())).collect();
        match Graph::check(&tasks) {
            Ok(graph) => {
                let mut place = [usize::MAX; 12];
                for (at, &task) in graph.order().iter().enumerate() {
                    place[task] = at;
                }
                prop_assert!(edges.iter().all(|&(task, need)| place[need] < place[task]));
                prop_assert!(!place.contains(&usize::MAX));
            }
            Err(GraphError::Cycle { path }) => {
                let numbers: Vec<usize> = path.iter().map(|key| key[1..].parse().unwrap()).collect();
                prop_assert!(numbers.len() > 1 && numbers.first() == numbers.last());
                prop_assert!(numbers.windows(2).all(|pair| edges.contains(&(pair[0], pair[1]))));
            }
            Err(other) => panic!("{other}"),
        }
    }
}
