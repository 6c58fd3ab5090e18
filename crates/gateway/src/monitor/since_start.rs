//! Everything since the start, as other programs get it: they make rates of it, so that no figure may shrink while the
//! process lives, but for those of a tool that comes back after it was away for long.

use std::collections::BTreeMap;
use std::sync::Arc;

use aqe_core::monitor::Totals;
use aqe_core::registry::ToolEntry;

use super::tracks::{Counted, Subject};
use crate::upstream::ReplicaName;

/// The method that calls of tools are requests of.
const TOOLS_CALL: &str = "tools/call";

/// Figures since the start.
#[derive(Debug, Default)]
pub(crate) struct SinceStart {
    /// The tools that are seen by their names, by these.
    pub(crate) tools: BTreeMap<Box<str>, (Arc<ToolEntry>, Totals)>,
    /// All other tools of an upstream together, by its name.
    pub(crate) others: BTreeMap<Box<str>, Totals>,
    /// All tools of an upstream together, also those that are no longer there.
    pub(crate) upstreams: BTreeMap<Box<str>, Totals>,
    /// All requests, by method.
    pub(crate) methods: BTreeMap<&'static str, Totals>,
    /// What was sent to each replica.
    pub(crate) replicas: Vec<(Arc<ReplicaName>, Totals)>,
}

impl SinceStart {
    pub(super) fn read(counted: Counted) -> Self {
        let mut all = Self::default();
        for (upstream, gone) in counted.gone {
            if gone.unnamed.requests() > 0 {
                all.others.insert(upstream.clone(), gone.unnamed);
            }
            all.upstreams.insert(upstream, gone.all);
        }
        for (subject, series, standing) in counted.series {
            let totals = series.totals();
            match subject {
                Subject::Method(name) => all.method(name).merge(&totals),
                Subject::Replica(name) => all.replicas.push((name, totals)),
                Subject::Tool(tool) => {
                    let upstream = &tool.upstream.name;
                    all.upstreams.entry(upstream.clone()).or_default().merge(&totals);
                    if !standing.named {
                        all.others.entry(upstream.clone()).or_default().merge(&totals);
                    } else if standing.present || !all.tools.contains_key(&tool.shown) {
                        // One that has gone may have left its name to another.
                        all.tools.insert(tool.shown.clone(), (tool, totals));
                    }
                }
            }
        }
        // There from the first moment, so that a rate of it is known.
        let calls = all.methods.entry(TOOLS_CALL).or_default();
        all.upstreams.values().for_each(|totals| calls.merge(totals));
        all
    }

    fn method(&mut self, name: &'static str) -> &mut Totals {
        self.methods.entry(name).or_default()
    }
}
