//! A radix tree over the shown names: exact lookup in the length of the name, and all names with a prefix as one
//! range of the sorted names.

use std::ops::Range;

/// A compact, immutable radix tree. Nodes of one parent stand next to each other, ordered by first byte.
#[derive(Debug)]
pub(super) struct Trie {
    nodes: Vec<Node>,
    /// The labels of all nodes, one after the other.
    labels: Vec<u8>,
    /// Positions in the list of tools, in byte order of the names.
    sorted: Vec<u32>,
}

#[derive(Debug)]
struct Node {
    label_start: u32,
    /// Names have at most 64 bytes.
    label_len: u8,
    /// A name ends here; it is the first of `names`.
    ends: bool,
    first_child: u32,
    children: u16,
    /// The names at and below this node, as a range of `sorted`.
    names: Range<u32>,
}

impl Trie {
    /// Builds the tree of `names`, which must be unique; the position of a name is its value.
    pub(super) fn build(names: &[&str]) -> Self {
        let mut sorted: Vec<u32> = (0..names.len() as u32).collect();
        sorted.sort_unstable_by_key(|&id| names[id as usize]);
        let ordered: Vec<&[u8]> = sorted.iter().map(|&id| names[id as usize].as_bytes()).collect();
        let mut trie = Self { nodes: Vec::new(), labels: Vec::new(), sorted };
        // Nodes in order of creation are also the queue of those whose children are still to come.
        let mut depths = Vec::new();
        trie.push_node(&ordered, 0..ordered.len() as u32, 0, &mut depths);
        let mut next = 0;
        while next < trie.nodes.len() {
            let depth = depths[next];
            let Node { names: ref range, ends, .. } = trie.nodes[next];
            let (mut from, end) = (range.start + u32::from(ends), range.end);
            let first_child = trie.nodes.len() as u32;
            while from < end {
                let head = ordered[from as usize][depth];
                let rest = &ordered[from as usize..end as usize];
                let to = from + rest.partition_point(|name| name[depth] == head) as u32;
                trie.push_node(&ordered, from..to, depth, &mut depths);
                from = to;
            }
            trie.nodes[next].first_child = first_child;
            trie.nodes[next].children = (trie.nodes.len() as u32 - first_child) as u16;
            next += 1;
        }
        trie
    }

    /// Appends the node of a range of names that agree up to `depth`, with all they share beyond as its label.
    fn push_node<'n>(
        &mut self,
        ordered: &[&'n [u8]],
        names: Range<u32>,
        depth: usize,
        depths: &mut Vec<usize>,
    ) {
        // In byte order, what the first and the last share is shared by all between.
        let rest = |name: Option<&&'n [u8]>| name.map_or(&[][..], |name| &name[depth..]);
        let within = &ordered[names.start as usize..names.end as usize];
        let (first, last) = (rest(within.first()), rest(within.last()));
        let shared = first.iter().zip(last).take_while(|(one, other)| one == other).count();
        let label_start = self.labels.len() as u32;
        self.labels.extend_from_slice(&first[..shared]);
        let ends = !names.is_empty() && first.len() == shared;
        depths.push(depth + shared);
        let label_len = shared as u8;
        self.nodes.push(Node { label_start, label_len, ends, first_child: 0, children: 0, names });
    }

    /// The position of exactly this name.
    pub(super) fn get(&self, name: &[u8]) -> Option<u32> {
        let (node, rest) = self.descend(name)?;
        (node.ends && rest == 0).then(|| self.sorted[node.names.start as usize])
    }

    /// The positions of all names that begin with `prefix`, in byte order of the names.
    pub(super) fn with_prefix(&self, prefix: &[u8]) -> &[u32] {
        self.descend(prefix)
            .map_or(&[], |(node, _)| &self.sorted[node.names.start as usize..node.names.end as usize])
    }

    /// Follows `text` to the node in whose label (or at whose end) it ends; also how much of the label is left over.
    fn descend(&self, text: &[u8]) -> Option<(&Node, usize)> {
        let mut node = &self.nodes[0];
        let mut text = text;
        loop {
            let label = self.label(node);
            let shared = label.iter().zip(text).take_while(|(one, other)| one == other).count();
            if shared == text.len() {
                return Some((node, label.len() - shared));
            }
            if shared < label.len() {
                return None;
            }
            text = &text[shared..];
            let children = &self.nodes[node.first_child as usize..][..usize::from(node.children)];
            // A child's label is never empty: siblings differ in its first byte.
            let child = children.binary_search_by_key(&text[0], |child| self.label(child)[0]).ok()?;
            node = &children[child];
        }
    }

    fn label(&self, node: &Node) -> &[u8] {
        &self.labels[node.label_start as usize..][..usize::from(node.label_len)]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn an_empty_tree_holds_nothing() {
        let trie = Trie::build(&[]);
        assert_eq!(trie.get(b"a"), None);
        assert_eq!(trie.get(b""), None);
        assert!(trie.with_prefix(b"").is_empty());
    }

    proptest! {
        #[test]
        fn the_tree_answers_like_a_scan(
            names in proptest::collection::btree_set("[ab_]{1,6}", 0..40),
            query in "[ab_]{0,7}",
        ) {
            let names: Vec<&str> = names.iter().rev().map(String::as_str).collect();
            let trie = Trie::build(&names);
            let wanted = names.iter().position(|&name| name == query).map(|id| id as u32);
            prop_assert_eq!(trie.get(query.as_bytes()), wanted);
            let mut wanted: Vec<&str> =
                names.iter().copied().filter(|name| name.starts_with(&query)).collect();
            wanted.sort_unstable();
            let got: Vec<&str> =
                trie.with_prefix(query.as_bytes()).iter().map(|&id| names[id as usize]).collect();
            prop_assert_eq!(got, wanted);
        }
    }
}
