//! From a path to the leaves whose templates fit its structure: a trie of segments.
//!
//! A mixed segment or one with constraints counts as any segment that is not empty (reference A3.1,
//! step 1), but for a text that a route has in the same place as a literal: of such a text it is
//! asked here whether it satisfies them. So does ASP.NET, whose automaton has a state for each such
//! text; what it makes of others is seen after methods and hosts only.

use std::collections::HashMap;
use std::num::NonZeroU32;
use std::sync::Arc;

use hashbrown::HashTable;
use smallvec::SmallVec;

use crate::ordinal;
use crate::route::path::RequestPath;
use crate::route::template::{Guard, PathTemplate, Segment};

/// The trie. All its edges are in one table, which keeps it small and close together.
#[derive(Debug, Clone)]
pub(super) struct PathIndex {
    /// The root is the first.
    nodes: Vec<Node>,
    /// By node: how many templates lead through it. Apart, since no request asks.
    uses: Vec<u32>,
    /// Edges with a text.
    edges: HashTable<Edge>,
    /// The texts of all edges, folded.
    texts: String,
    /// By node: guards, each once, and where a segment leads that satisfies it.
    guarded: HashMap<u32, Arc<Vec<(Guard, u32)>>>,
    leaves: u32,
}

/// All routes whose templates have one structure, guards included.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Leaf(NonZeroU32);

#[derive(Debug, Default, Clone)]
struct Node {
    /// The leaf of paths that end here.
    exact: Option<Leaf>,
    /// The leaf of paths that end here or go on in any way.
    catch_all: Option<Leaf>,
    /// Where any segment that is not empty leads. Never the root, so 0 is free to mean none.
    any: Option<NonZeroU32>,
    /// Whether such a segment leads elsewhere too, if it satisfies a guard.
    has_guarded: bool,
    /// Whether an edge with a text leads from here.
    has_edges: bool,
}

#[derive(Debug, Clone)]
struct Edge {
    from: u32,
    to: u32,
    text_start: u32,
    text_length: u32,
}

impl Default for PathIndex {
    fn default() -> Self {
        Self {
            nodes: vec![Node::default()],
            uses: vec![0],
            edges: HashTable::new(),
            texts: String::new(),
            guarded: HashMap::new(),
            leaves: 0,
        }
    }
}

impl PathIndex {
    /// Puts a template into the trie and gives its leaves: one, or several when segments at its end
    /// may be missing, one for each length.
    pub(super) fn insert(&mut self, template: &PathTemplate) -> SmallVec<[Leaf; 2]> {
        let mut leaves = SmallVec::new();
        let required = template.required_segments();
        let mut node = 0;
        for (depth, segment) in template.segments().iter().enumerate() {
            if let Segment::CatchAll(_) = segment {
                leaves.push(self.leaf(node, |node| &mut node.catch_all));
                return leaves;
            }
            if depth >= required {
                leaves.push(self.leaf(node, |node| &mut node.exact));
            }
            node = match segment {
                Segment::Literal(text) => self.literal_child(node, text),
                other => match Guard::of(other) {
                    Some(guard) => self.guarded_child(node, guard),
                    None => self.any_child(node),
                },
            };
            self.uses[node as usize] += 1;
        }
        leaves.push(self.leaf(node, |node| &mut node.exact));
        leaves
    }

    /// Takes a template out that was put in, and gives the leaves it had. Where no other template leads,
    /// no path leads any more; the memory stays taken.
    pub(super) fn remove(&mut self, template: &PathTemplate) -> SmallVec<[Leaf; 2]> {
        let mut leaves = SmallVec::new();
        let required = template.required_segments();
        let mut node = 0;
        // The first edge that nobody else needs; what is behind it goes with it.
        let mut unused = None;
        for (depth, segment) in template.segments().iter().enumerate() {
            if let Segment::CatchAll(_) = segment {
                leaves.extend(self.nodes[node as usize].catch_all);
                self.unlink(unused);
                return leaves;
            }
            if depth >= required {
                leaves.extend(self.nodes[node as usize].exact);
            }
            let Some(child) = self.child(node, segment) else {
                return leaves;
            };
            let uses = &mut self.uses[child as usize];
            *uses = uses.saturating_sub(1);
            if *uses == 0 {
                unused.get_or_insert((node, segment));
            }
            node = child;
        }
        leaves.extend(self.nodes[node as usize].exact);
        self.unlink(unused);
        leaves
    }

    /// Where a template's segment leads.
    fn child(&self, from: u32, segment: &Segment) -> Option<u32> {
        if let Segment::Literal(text) = segment {
            let edge = self.edge(from, text, ordinal::hash(text.as_bytes()));
            return edge.map(|edge| edge.to);
        }
        match Guard::of(segment) {
            Some(guard) => {
                let mut children = self.guarded.get(&from)?.iter();
                children
                    .find(|(other, _)| *other == guard)
                    .map(|(_, to)| *to)
            }
            None => self.nodes[from as usize].any.map(NonZeroU32::get),
        }
    }

    fn unlink(&mut self, edge: Option<(u32, &Segment)>) {
        let Some((from, segment)) = edge else { return };
        if let Segment::Literal(text) = segment {
            let hash = edge_hash(from, ordinal::hash(text.as_bytes()));
            let texts = &self.texts;
            let found = self.edges.find_entry(hash, |edge| {
                let start = edge.text_start as usize;
                let of_edge = &texts[start..start + edge.text_length as usize];
                edge.from == from && of_edge.eq_ignore_ascii_case(text)
            });
            if let Ok(found) = found {
                found.remove();
            }
            return;
        }
        match Guard::of(segment) {
            Some(guard) => {
                if let Some(children) = self.guarded.get_mut(&from) {
                    Arc::make_mut(children).retain(|(other, _)| *other != guard);
                }
            }
            None => self.nodes[from as usize].any = None,
        }
    }

    /// How many leaves there are.
    pub(super) fn leaves(&self) -> usize {
        self.leaves as usize
    }

    /// Visits the leaves of a path; each once.
    pub(super) fn visit(&self, path: &RequestPath<'_>, mut visit: impl FnMut(Leaf)) {
        // All nodes that the segments so far lead to.
        let mut reached = SmallVec::<[u32; 8]>::new();
        let mut next = SmallVec::<[u32; 8]>::new();
        reached.push(0);
        let mut segments = path.segments_for_look_up();
        loop {
            let nodes = || reached.iter().map(|at| &self.nodes[*at as usize]);
            nodes()
                .filter_map(|node| node.catch_all)
                .for_each(&mut visit);
            let Some(segment) = segments.next() else {
                nodes().filter_map(|node| node.exact).for_each(&mut visit);
                return;
            };
            if segment.is_empty() {
                // Only a catch-all takes an empty segment.
                return;
            }
            self.step(&reached, segment, &mut next);
            if next.is_empty() {
                return;
            }
            std::mem::swap(&mut reached, &mut next);
            next.clear();
        }
    }

    /// Puts the nodes into `next` that one more segment leads to.
    fn step(&self, reached: &[u32], segment: &str, next: &mut SmallVec<[u32; 8]>) {
        let mut hash = None;
        for at in reached {
            let node = &self.nodes[*at as usize];
            if node.has_edges {
                let hash = *hash.get_or_insert_with(|| ordinal::hash(segment.as_bytes()));
                next.extend(self.edge(*at, segment, hash).map(|edge| edge.to));
            }
        }
        // A text that some route names is asked at once for what the others demand of it.
        let is_literal = !next.is_empty();
        for at in reached {
            let node = &self.nodes[*at as usize];
            next.extend(node.any.map(NonZeroU32::get));
            if node.has_guarded {
                let guarded = self.guarded.get(at).into_iter().flat_map(|all| all.iter());
                let admitted = guarded.filter(|(guard, _)| !is_literal || guard.admits(segment));
                next.extend(admitted.map(|(_, to)| *to));
            }
        }
    }

    fn edge(&self, from: u32, segment: &str, hash: u64) -> Option<&Edge> {
        self.edges.find(edge_hash(from, hash), |edge| {
            edge.from == from && self.text(edge).eq_ignore_ascii_case(segment)
        })
    }

    fn text(&self, edge: &Edge) -> &str {
        let start = edge.text_start as usize;
        &self.texts[start..start + edge.text_length as usize]
    }

    fn literal_child(&mut self, from: u32, text: &str) -> u32 {
        let hash = ordinal::hash(text.as_bytes());
        if let Some(edge) = self.edge(from, text, hash) {
            return edge.to;
        }
        let to = self.new_node();
        let edge = Edge {
            from,
            to,
            text_start: self.texts.len() as u32,
            text_length: text.len() as u32,
        };
        self.texts.push_str(text);
        let texts = &self.texts;
        self.edges
            .insert_unique(edge_hash(from, hash), edge, |edge| {
                let start = edge.text_start as usize;
                let text = &texts[start..start + edge.text_length as usize];
                edge_hash(edge.from, ordinal::hash(text.as_bytes()))
            });
        self.nodes[from as usize].has_edges = true;
        to
    }

    fn any_child(&mut self, from: u32) -> u32 {
        if let Some(to) = self.nodes[from as usize].any {
            return to.get();
        }
        let to = self.new_node();
        self.nodes[from as usize].any = NonZeroU32::new(to);
        to
    }

    fn guarded_child(&mut self, from: u32, guard: Guard) -> u32 {
        let children = self.guarded.entry(from).or_default();
        if let Some((_, to)) = children.iter().find(|(other, _)| *other == guard) {
            return *to;
        }
        let to = self.nodes.len() as u32;
        Arc::make_mut(children).push((guard, to));
        self.nodes[from as usize].has_guarded = true;
        self.new_node()
    }

    fn new_node(&mut self) -> u32 {
        self.nodes.push(Node::default());
        self.uses.push(0);
        (self.nodes.len() - 1) as u32
    }

    /// The leaf in one of a node's places, made if there is none.
    fn leaf(&mut self, node: u32, place: impl Fn(&mut Node) -> &mut Option<Leaf>) -> Leaf {
        let place = place(&mut self.nodes[node as usize]);
        *place.get_or_insert_with(|| {
            self.leaves += 1;
            Leaf(NonZeroU32::new(self.leaves).expect("just made greater than 0"))
        })
    }
}

impl Leaf {
    /// Leaves count from 0.
    pub(super) fn index(self) -> usize {
        self.0.get() as usize - 1
    }
}

fn edge_hash(from: u32, text_hash: u64) -> u64 {
    ordinal::mix(text_hash, u64::from(from))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The templates whose leaves a path visits.
    fn visited<'t>(templates: &[&'t str], path: &str) -> Vec<&'t str> {
        let mut index = PathIndex::default();
        let mut of_leaf: Vec<Vec<&str>> = Vec::new();
        for template in templates {
            for leaf in index.insert(&PathTemplate::parse(template).unwrap()) {
                of_leaf.resize_with(index.leaves(), Vec::new);
                of_leaf[leaf.index()].push(template);
            }
        }
        let mut found = Vec::new();
        index.visit(&RequestPath::new(path), |leaf| {
            found.extend(&of_leaf[leaf.index()]);
        });
        found.sort_unstable();
        found
    }

    #[test]
    fn a_path_visits_every_template_of_its_structure() {
        let templates = [
            "/a",
            "/A/",
            "/a/{x}",
            "/a/{x:int}",
            "/a/v{x}",
            "/{x}/b",
            "/a/{**x}",
            "/{**x}",
            "/a/b",
        ];
        assert_eq!(
            visited(&templates, "/a"),
            ["/A/", "/a", "/a/{**x}", "/{**x}"]
        );
        assert_eq!(
            visited(&templates, "/a/B"),
            ["/a/b", "/a/{**x}", "/a/{x}", "/{**x}", "/{x}/b"]
        );
        assert_eq!(
            visited(&templates, "/a/C"),
            ["/a/v{x}", "/a/{**x}", "/a/{x:int}", "/a/{x}", "/{**x}"]
        );
        assert_eq!(visited(&templates, "/c/b"), ["/{**x}", "/{x}/b"]);
        assert_eq!(visited(&templates, "/a/b/c"), ["/a/{**x}", "/{**x}"]);
        assert_eq!(visited(&templates, "/"), ["/{**x}"]);
        assert_eq!(visited(&templates, "/a//"), ["/a/{**x}", "/{**x}"]);
    }

    #[test]
    fn a_text_that_a_route_names_is_asked_for_what_others_demand() {
        let templates = [
            "/a/x",
            "/a/12",
            "/a/x.y",
            "/a/{p:int}",
            "/a/{q:int}/c",
            "/a/{p:int?}",
            "/a/{p}.{q:int?}",
            "/{p}/{q:minlength(2)}",
        ];
        assert_eq!(
            visited(&templates, "/a/x"),
            ["/a/x", "/a/{p:int?}", "/a/{p}.{q:int?}"]
        );
        assert_eq!(
            visited(&templates, "/a/12"),
            [
                "/a/12",
                "/a/{p:int?}",
                "/a/{p:int}",
                "/a/{p}.{q:int?}",
                "/{p}/{q:minlength(2)}"
            ]
        );
        assert_eq!(
            visited(&templates, "/a/x.y"),
            ["/a/x.y", "/a/{p:int?}", "/{p}/{q:minlength(2)}"]
        );
        // No route names these; what they fail is seen later.
        assert_eq!(
            visited(&templates, "/a/z"),
            [
                "/a/{p:int?}",
                "/a/{p:int}",
                "/a/{p}.{q:int?}",
                "/{p}/{q:minlength(2)}"
            ]
        );
        assert_eq!(visited(&templates, "/b/12"), ["/{p}/{q:minlength(2)}"]);
        assert_eq!(visited(&templates, "/a/12/c"), ["/a/{q:int}/c"]);
    }

    #[test]
    fn segments_that_may_be_missing_have_a_leaf_for_each_length() {
        let templates = ["/a/{x=1}/{y?}", "/a/{x=1}/{*y}", "/{x?}/b"];
        assert_eq!(
            visited(&templates, "/a"),
            ["/a/{x=1}/{*y}", "/a/{x=1}/{y?}"]
        );
        assert_eq!(
            visited(&templates, "/a/b"),
            ["/a/{x=1}/{*y}", "/a/{x=1}/{y?}", "/{x?}/b"]
        );
        assert_eq!(
            visited(&templates, "/a/b/c"),
            ["/a/{x=1}/{*y}", "/a/{x=1}/{y?}"]
        );
        assert_eq!(visited(&templates, "/a/b/c/d"), ["/a/{x=1}/{*y}"]);
        assert_eq!(visited(&templates, "/b"), [""; 0]);
    }

    #[test]
    fn texts_of_other_scripts_are_found_without_case() {
        assert_eq!(visited(&["/bücher/{x}"], "/B%C3%9CCHER/1"), ["/bücher/{x}"]);
    }
}
