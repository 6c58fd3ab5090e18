//! Values in reusable places, named by small keys that go stale when the value is removed.

use std::marker::PhantomData;
use std::ops::{Index, IndexMut};

/// A name for a place in an [`Arena`], good for one occupant of it.
pub(super) trait Key: Copy {
    fn new(index: u32, generation: u32) -> Self;
    fn index(self) -> usize;
    fn generation(self) -> u32;
}

/// Declares a key: eight bytes, cheap to hash and compare, never equal to the key of an earlier occupant.
macro_rules! arena_key {
    ($(#[$doc:meta])* $vis:vis struct $name:ident;) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        $vis struct $name {
            index: u32,
            generation: u32,
        }

        impl $crate::pool::arena::Key for $name {
            fn new(index: u32, generation: u32) -> Self {
                Self { index, generation }
            }
            fn index(self) -> usize {
                self.index as usize
            }
            fn generation(self) -> u32 {
                self.generation
            }
        }
    };
}
pub(super) use arena_key;

#[derive(Debug)]
struct Place<T> {
    generation: u32,
    value: Option<T>,
}

/// Values by key. Insertion and removal reuse places, so that a busy arena stops allocating.
#[derive(Debug)]
pub(super) struct Arena<K, T> {
    places: Vec<Place<T>>,
    free: Vec<u32>,
    key: PhantomData<fn() -> K>,
}

impl<K: Key, T> Arena<K, T> {
    pub(super) fn new() -> Self {
        Self { places: Vec::new(), free: Vec::new(), key: PhantomData }
    }

    pub(super) fn insert(&mut self, value: T) -> K {
        let index = self.free.pop().unwrap_or_else(|| {
            self.places.push(Place { generation: 0, value: None });
            self.places.len() as u32 - 1
        });
        let place = &mut self.places[index as usize];
        place.value = Some(value);
        K::new(index, place.generation)
    }

    pub(super) fn remove(&mut self, key: K) -> Option<T> {
        let place = self.places.get_mut(key.index()).filter(|place| place.generation == key.generation())?;
        let value = place.value.take()?;
        place.generation = place.generation.wrapping_add(1);
        self.free.push(key.index() as u32);
        Some(value)
    }

    pub(super) fn get(&self, key: K) -> Option<&T> {
        let place = self.places.get(key.index())?;
        if place.generation == key.generation() { place.value.as_ref() } else { None }
    }

    pub(super) fn get_mut(&mut self, key: K) -> Option<&mut T> {
        let place = self.places.get_mut(key.index())?;
        if place.generation == key.generation() { place.value.as_mut() } else { None }
    }

    /// In order of places, so that equal histories are walked in equal order.
    pub(super) fn iter(&self) -> impl Iterator<Item = (K, &T)> {
        self.places.iter().enumerate().filter_map(|(index, place)| {
            place.value.as_ref().map(|value| (K::new(index as u32, place.generation), value))
        })
    }

    pub(super) fn iter_mut(&mut self) -> impl Iterator<Item = (K, &mut T)> {
        self.places.iter_mut().enumerate().filter_map(|(index, place)| {
            let generation = place.generation;
            place.value.as_mut().map(|value| (K::new(index as u32, generation), value))
        })
    }

    pub(super) fn keys(&self) -> Vec<K> {
        self.iter().map(|(key, _)| key).collect()
    }
}

/// For keys that are known to be current; a stale one is a fault of the pool and panics.
impl<K: Key, T> Index<K> for Arena<K, T> {
    type Output = T;

    fn index(&self, key: K) -> &T {
        let Some(value) = self.get(key) else { unreachable!("a key outlived its value") };
        value
    }
}

impl<K: Key, T> IndexMut<K> for Arena<K, T> {
    fn index_mut(&mut self, key: K) -> &mut T {
        let Some(value) = self.get_mut(key) else { unreachable!("a key outlived its value") };
        value
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    arena_key! { struct Name; }

    #[test]
    fn a_key_does_not_reach_the_next_occupant_of_its_place() {
        let mut arena: Arena<Name, char> = Arena::new();
        let a = arena.insert('a');
        assert_eq!(arena.remove(a), Some('a'));
        let b = arena.insert('b');
        assert_eq!(arena.remove(a), None);
        assert_eq!((arena.get(a), arena.get(b), arena.keys()), (None, Some(&'b'), vec![b]));
    }
}
