//! What one principal's memory may take.

use crate::limits::{
    BYTES_PER_NAMESPACE, BYTES_PER_PRINCIPAL, ENTRIES_PER_NAMESPACE, ENTRIES_PER_PRINCIPAL,
    NAMESPACES_PER_PRINCIPAL,
};

/// Bounds on memory entries, history included in the bytes. What is there already stays where one is lowered; writes that
/// make it larger are refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Quotas {
    pub entries_per_namespace: u64,
    pub bytes_per_namespace: u64,
    pub namespaces_per_principal: u64,
    pub entries_per_principal: u64,
    pub bytes_per_principal: u64,
}

impl Default for Quotas {
    fn default() -> Self {
        Self {
            entries_per_namespace: ENTRIES_PER_NAMESPACE,
            bytes_per_namespace: BYTES_PER_NAMESPACE,
            namespaces_per_principal: NAMESPACES_PER_PRINCIPAL,
            entries_per_principal: ENTRIES_PER_PRINCIPAL,
            bytes_per_principal: BYTES_PER_PRINCIPAL,
        }
    }
}
