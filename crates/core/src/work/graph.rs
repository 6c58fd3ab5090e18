//! Dependencies among the tasks of one submission: what is wrong with them, an order, the critical path.

use std::collections::{HashMap, HashSet};

/// Tasks of one submission.
pub const TASKS_MAX: usize = 10_000;
/// Dependencies of all tasks of one submission together: ten of each, at the most tasks.
pub const DEPENDENCIES_MAX: usize = 100_000;

/// When a task that depends on another may begin.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum On {
    /// Once the other has succeeded; never, if it does not.
    Success,
    /// Once the other is over, whatever became of it.
    Done,
}

impl On {
    /// The word for it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Success => "success",
            Self::Done => "done",
        }
    }
}

/// What a task depends on.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Dependency {
    /// Key of the other task, of the same submission.
    pub key: String,
    /// What of it is waited for.
    pub on: On,
}

/// What is wrong with a graph.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum GraphError {
    /// It has no task.
    #[error("there are no tasks: submit at least one")]
    Empty,
    /// It has too many.
    #[error("{actual} {what}, the limit is {limit}: submit less at a time")]
    TooMany {
        /// `tasks`, `dependencies`.
        what: &'static str,
        /// How many there are.
        actual: usize,
        /// How many there may be.
        limit: usize,
    },
    /// Two tasks have one key.
    #[error("two tasks have the key {key:?}: keys must differ")]
    DuplicateKey {
        /// The key.
        key: String,
    },
    /// A task depends on one that is not there.
    #[error("task {key:?} depends on {dependency:?}, which is no task of this submission")]
    UnknownDependency {
        /// The task.
        key: String,
        /// What it names.
        dependency: String,
    },
    /// A task names one that it depends on twice.
    #[error("task {key:?} names {dependency:?} twice among what it depends on")]
    DuplicateDependency {
        /// The task.
        key: String,
        /// What it names.
        dependency: String,
    },
    /// Tasks depend on each other in a circle.
    #[error("tasks depend on each other in a circle: {}", path.join(" -> "))]
    Cycle {
        /// Keys, each of a task that depends on the next; the last is the first.
        path: Vec<String>,
    },
}

/// Tasks that can be worked off: keys differ, dependencies are there, and nothing is circular. Tasks are named by their place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Graph {
    /// Of each task, what it depends on.
    needs: Vec<Vec<(usize, On)>>,
    /// All tasks, each after those that it depends on; where that leaves a choice, in the order of their places.
    order: Vec<usize>,
}

/// The chain of tasks that takes longest: no number of workers is quicker.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CriticalPath {
    /// Its tasks, in the order in which they run.
    pub tasks: Vec<usize>,
    /// The sum of what they cost.
    pub cost: u64,
}

impl Graph {
    /// Checks tasks, each a key with what it depends on.
    ///
    /// # Errors
    /// The first thing that is wrong, in the order of [`GraphError`].
    pub fn check(tasks: &[(&str, &[Dependency])]) -> Result<Self, GraphError> {
        let dependencies = tasks.iter().map(|(_, needs)| needs.len()).sum();
        for (what, actual, limit) in
            [("tasks", tasks.len(), TASKS_MAX), ("dependencies", dependencies, DEPENDENCIES_MAX)]
        {
            if actual > limit {
                return Err(GraphError::TooMany { what, actual, limit });
            }
        }
        if tasks.is_empty() {
            return Err(GraphError::Empty);
        }
        let mut places = HashMap::with_capacity(tasks.len());
        for (place, &(key, _)) in tasks.iter().enumerate() {
            if places.insert(key, place).is_some() {
                return Err(GraphError::DuplicateKey { key: key.to_owned() });
            }
        }
        let needs = tasks
            .iter()
            .map(|(key, needs)| resolve(key, needs, &places))
            .collect::<Result<Vec<_>, GraphError>>()?;
        match topological(&needs) {
            Ok(order) => Ok(Self { needs, order }),
            Err(circle) => Err(GraphError::Cycle {
                path: circle.into_iter().map(|place| tasks[place].0.to_owned()).collect(),
            }),
        }
    }

    /// How many tasks there are.
    pub fn len(&self) -> usize {
        self.needs.len()
    }

    /// Never: a graph has at least one task.
    pub fn is_empty(&self) -> bool {
        self.needs.is_empty()
    }

    /// What a task depends on.
    pub fn needs(&self, task: usize) -> &[(usize, On)] {
        &self.needs[task]
    }

    /// All tasks, each after those that it depends on.
    pub fn order(&self) -> &[usize] {
        &self.order
    }

    /// The chain that costs most; of two alike, the one whose tasks stand first.
    pub fn critical_path(&self, cost: impl Fn(usize) -> u64) -> CriticalPath {
        // Of each task: the cost up to its end, and the task before it on the way there.
        let mut ways: Vec<(u64, Option<usize>)> = vec![(0, None); self.len()];
        let mut last = None;
        for &task in &self.order {
            let mut before: Option<usize> = None;
            for &(need, _) in &self.needs[task] {
                if before.is_none_or(|best| (ways[need].0, best) > (ways[best].0, need)) {
                    before = Some(need);
                }
            }
            let total = before.map_or(0, |before| ways[before].0).saturating_add(cost(task));
            ways[task] = (total, before);
            if last.is_none_or(|best: usize| (total, best) > (ways[best].0, task)) {
                last = Some(task);
            }
        }
        let cost = last.map_or(0, |last| ways[last].0);
        let mut tasks: Vec<usize> = std::iter::successors(last, |&task| ways[task].1).collect();
        tasks.reverse();
        CriticalPath { tasks, cost }
    }
}

/// The places of what a task depends on.
fn resolve(
    key: &str,
    needs: &[Dependency],
    places: &HashMap<&str, usize>,
) -> Result<Vec<(usize, On)>, GraphError> {
    let mut seen = HashSet::with_capacity(needs.len());
    needs
        .iter()
        .map(|need| {
            let (key, dependency) = (key.to_owned(), need.key.clone());
            match places.get(need.key.as_str()) {
                None => Err(GraphError::UnknownDependency { key, dependency }),
                Some(&place) if !seen.insert(place) => {
                    Err(GraphError::DuplicateDependency { key, dependency })
                }
                Some(&place) => Ok((place, need.on)),
            }
        })
        .collect()
}

/// An order of the tasks (Kahn, 1962), or a circle among them, closed.
fn topological(needs: &[Vec<(usize, On)>]) -> Result<Vec<usize>, Vec<usize>> {
    let mut missing: Vec<usize> = needs.iter().map(Vec::len).collect();
    let mut dependents = vec![Vec::new(); needs.len()];
    for (task, needs) in needs.iter().enumerate() {
        for &(need, _) in needs {
            dependents[need].push(task);
        }
    }
    let mut order: Vec<usize> = (0..needs.len()).filter(|&task| missing[task] == 0).collect();
    let mut next = 0;
    while let Some(&task) = order.get(next) {
        next += 1;
        for &dependent in &dependents[task] {
            missing[dependent] -= 1;
            if missing[dependent] == 0 {
                order.push(dependent);
            }
        }
    }
    let Some(start) = missing.iter().position(|&missing| missing > 0) else { return Ok(order) };
    Err(circle(needs, &missing, start))
}

/// Walks from a task that no order reaches along what such tasks depend on, which are such tasks again, until one comes twice.
fn circle(needs: &[Vec<(usize, On)>], missing: &[usize], start: usize) -> Vec<usize> {
    let mut walked = vec![start];
    let mut places = HashMap::from([(start, 0)]);
    let mut task = start;
    while let Some(&(next, _)) = needs[task].iter().find(|&&(need, _)| missing[need] > 0) {
        walked.push(next);
        if let Some(first) = places.insert(next, walked.len() - 1) {
            return walked.split_off(first);
        }
        task = next;
    }
    walked
}

#[cfg(test)]
mod tests;
