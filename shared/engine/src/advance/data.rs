//! `set`, `branch`, `record`, `end`: steps that only compute.

use flow::step::{Branch, End, Record, Set};
use flow::template;
use serde_json::{Map, Value};

use super::walk::{Next, StepError, Walk};
use crate::effect::Effect;
use crate::ids::RowId;

impl Walk<'_> {
    pub(super) fn set(&mut self, set: &Set) -> Result<Next, StepError> {
        for (name, value) in &set.vars {
            let value = self.evaluate(value)?;
            self.assign(name, value)?;
        }
        Ok(Next::Go(set.next.clone(), "next".into()))
    }

    pub(super) fn branch(&mut self, branch: &Branch) -> Result<Next, StepError> {
        for (index, case) in branch.cases.iter().enumerate() {
            let holds = self
                .with_scope(|scope| template::truthy(&case.condition, scope))
                .map_err(|error| format!("`if: {}`: {error}", case.condition))?;
            if holds {
                return Ok(Next::Go(case.next.clone(), format!("cases/{index}")));
            }
        }
        Ok(Next::Go(branch.otherwise.clone(), "else".into()))
    }

    pub(super) fn record(&mut self, record: &Record) -> Result<Next, StepError> {
        let mut row = Map::new();
        for (column, value) in &record.row {
            row.insert(column.clone(), self.evaluate(value)?);
        }
        let part = self.part();
        let id = RowId::derive(self.event.at, &self.event.id, &part);
        self.effects.push(Effect::Record { id, table: record.table.clone(), row });
        Ok(Next::Go(record.next.clone(), "next".into()))
    }

    pub(super) fn end_step(&mut self, end: &End) -> Result<Next, StepError> {
        let result = match &end.result {
            Some(result) => self.evaluate(result)?,
            None => Value::Null,
        };
        Ok(Next::End { outcome: self.render(&end.outcome)?, result })
    }
}
