//! Whether the database has the indexes: asked by one query for each, which finds nothing.

use super::Firestore;
use super::indexes;

impl Firestore {
    /// Runs a query that each index alone serves; Firestore refuses one whose index is missing.
    pub async fn examine_indexes(&self) -> Vec<(String, Result<(), String>)> {
        let mut findings = Vec::new();
        for (name, query) in indexes::probes() {
            let found = self.client().all(query).await;
            findings.push((
                format!("Firestore index {name}"),
                found.map(|_| ()).map_err(|error| {
                    format!("{error}; apply infra/firestore/indexes.json (Terraform does)")
                }),
            ));
        }
        findings
    }
}
