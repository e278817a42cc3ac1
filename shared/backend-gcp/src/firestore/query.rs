//! Queries over one collection, in one order.

use gcloud_sdk::google::firestore::v1::structured_query::composite_filter::Operator as Both;
use gcloud_sdk::google::firestore::v1::structured_query::field_filter::Operator;
use gcloud_sdk::google::firestore::v1::structured_query::filter::FilterType;
use gcloud_sdk::google::firestore::v1::structured_query::{
    CollectionSelector, CompositeFilter, Direction, FieldFilter, FieldReference, Filter, Order,
    Projection,
};
use gcloud_sdk::google::firestore::v1::{Cursor, StructuredQuery, Value};

use super::keys::SHARDS;
use super::value::{integer, list, reference};

/// The field that says which range of the indexes a document is in.
pub(crate) const SHARD: &str = "shard";
/// The name of a document, as a field.
const NAME: &str = "__name__";

/// A question to one collection.
#[derive(Debug, Clone, Default)]
pub(crate) struct Query {
    pub(crate) collection: &'static str,
    /// Fields and the values they must have.
    pub(crate) equals: Vec<(&'static str, Value)>,
    /// A list and what it must hold.
    pub(crate) contains: Option<(&'static str, Value)>,
    /// Whether all ranges of the indexes are looked at; else the equal fields are enough.
    pub(crate) sharded: bool,
    /// The field it is ordered by, and whether from the greatest; none where the order is open.
    pub(crate) order: Option<(&'static str, bool)>,
    /// Bounds of that field.
    pub(crate) at_least: Option<Value>,
    pub(crate) below: Option<Value>,
    /// The value of that field and the document's name where the page before ended.
    pub(crate) after: Option<(Value, String)>,
    pub(crate) limit: usize,
    /// The fields that come back; all where there are none.
    pub(crate) select: &'static [&'static str],
}

fn field(name: &str) -> FieldReference {
    FieldReference { field_path: name.to_owned() }
}

fn filter(name: &str, operator: Operator, value: Value) -> Filter {
    Filter {
        filter_type: Some(FilterType::FieldFilter(FieldFilter {
            field: Some(field(name)),
            op: operator.into(),
            value: Some(value),
        })),
    }
}

impl Query {
    /// The names of the fields that must be equal or hold a value: what an index begins with.
    pub(crate) fn prefix(&self) -> Vec<&'static str> {
        let mut names: Vec<&'static str> = self.equals.iter().map(|(name, _)| *name).collect();
        names.extend(self.contains.as_ref().map(|(name, _)| *name));
        if self.sharded {
            names.push(SHARD);
        }
        names
    }

    pub(crate) fn into_structured(self) -> StructuredQuery {
        let mut filters: Vec<Filter> = Vec::new();
        if self.sharded {
            let shards = list((0..SHARDS).map(integer));
            filters.push(filter(SHARD, Operator::In, shards));
        }
        for (name, value) in self.equals {
            filters.push(filter(name, Operator::Equal, value));
        }
        if let Some((name, value)) = self.contains {
            filters.push(filter(name, Operator::ArrayContains, value));
        }
        let mut order_by = Vec::new();
        if let Some((name, descending)) = self.order {
            let bounds =
                [(Operator::GreaterThanOrEqual, self.at_least), (Operator::LessThan, self.below)];
            for (operator, bound) in bounds {
                filters.extend(bound.map(|bound| filter(name, operator, bound)));
            }
            let direction = if descending { Direction::Descending } else { Direction::Ascending };
            for name in [name, NAME] {
                order_by.push(Order { field: Some(field(name)), direction: direction.into() });
            }
        }
        let start_at = self
            .after
            .map(|(value, name)| Cursor { values: vec![value, reference(name)], before: false });
        StructuredQuery {
            select: (!self.select.is_empty()).then(|| Projection {
                fields: self.select.iter().map(|name| field(name)).collect(),
            }),
            from: vec![CollectionSelector {
                collection_id: self.collection.to_owned(),
                all_descendants: false,
            }],
            r#where: (!filters.is_empty()).then(|| Filter {
                filter_type: Some(FilterType::CompositeFilter(CompositeFilter {
                    op: Both::And.into(),
                    filters,
                })),
            }),
            order_by,
            start_at,
            limit: Some(i32::try_from(self.limit).unwrap_or(i32::MAX)),
            ..StructuredQuery::default()
        }
    }
}
